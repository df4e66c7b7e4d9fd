// The results as tables: `{ title, head, rows, notes }`, for a terminal and for Markdown.

const MIB = 2 ** 20;

/** A number with three significant digits, and separators from a thousand on. */
export function short(value) {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A median with its spread, "over N s", or a dash. */
export function cell(summary, limit) {
  if (!summary) return limit ? `over ${short(limit)} s` : "-";
  const { median, least, most, runs } = summary;
  return runs < 2 || least === most ? short(median) : `${short(median)} (${short(least)}-${short(most)})`;
}

const timed = (title, name) => [title, (one) => cell(one.values[name], one.limits[name])];
const counted = (title, group, name) => [title, (one) => short(one[group]?.[name])];
const mib = (title, pick) => [title, (one) => short(pick(one) / MIB)];
const code = (title, name) => [title, (one) => (one.download ? short(one.download[name] / 1e6) : "-")];

const sum = (counts, ...names) => (counts ? short(names.reduce((total, name) => total + counts[name], 0)) : "-");
/** What a unit of work asks of WebGPU. */
const asked = (unit, group) => [
  counted(`${unit}: dispatches`, group, "dispatches"),
  counted("compute passes", group, "passes"),
  counted("submits", group, "submits"),
  ["bind groups and buffers created", (one) => sum(one[group], "bindGroups", "buffers")],
  counted("writeBuffer calls", group, "writes"),
  counted("read-backs", group, "maps"),
  counted("bytes read back", group, "mapped"),
];
const PEAK = mib("GPU bytes at their peak, MiB", (one) => one.peak);
const HOST = [
  mib("WebAssembly memory, MiB", (one) => one.wasm),
  mib("host bytes at their peak, MiB", (one) => one.host),
  code("code fetched, MB", "raw"),
  code("gzipped, MB", "gzip"),
];

const LANGUAGE = [
  timed("load, ms", "load"),
  timed("first token after load, ms", "first"),
  timed("both, ms", "ready"),
  timed("prefill of 128, tokens/s", "prefill128"),
  timed("prefill of 512, tokens/s", "prefill512"),
  timed("decode, tokens/s", "decode"),
  ...asked("a token", "perToken"),
  PEAK,
  mib("model file, MiB", (one) => one.model),
  ["ratio of the two", (one) => short(one.peak / one.model)],
  ...HOST,
];

const PICTURES = [
  timed("load, ms", "load"),
  timed("first step and decode after load, ms", "first"),
  timed("both, ms", "ready"),
  timed("UNet step, ms", "step"),
  timed("VAE decode, ms", "decode"),
  ...asked("a step", "perStep"),
  PEAK,
  ...HOST,
];

const MODES = {
  null: "null GPU: no shader computes, times are the host's",
  real: "real: SwiftShader computes on the CPU",
};
const KINDS = {
  language: ["SmolLM2-135M's shape, 4 bits", LANGUAGE],
  pictures: ["small net of Stable Diffusion's structure, float32, 128 x 128", PICTURES],
};

/** A table for each mode and kind of model. */
export function tables(results) {
  const found = [];
  for (const [mode, measured] of Object.entries(results.modes)) {
    for (const [kind, [what, rows]] of Object.entries(KINDS)) {
      const systems = measured[kind];
      if (systems.length === 0) continue;
      const filled = rows.map(([title, pick]) => [title, ...systems.map(pick)]);
      found.push({
        title: `${what} (${MODES[mode]})`,
        head: ["", ...systems.map(({ name, version }) => `${name} ${version}`)],
        rows: filled.filter(([, ...cells]) => cells.some((value) => value !== "-")),
        notes: systems.flatMap(notes),
      });
    }
  }
  return found;
}

function notes({ name, note, errors }) {
  const found = note ? [`${name}: ${note}`] : [];
  return [...found, ...errors.map((error) => `${name} failed at ${error.split("\n")[0]}`)];
}

/** For a terminal: columns lined up. */
export function text(tables) {
  const drawn = tables.map(({ title, head, rows, notes }) => {
    const all = [head, ...rows];
    const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
    const padded = (value, i) => (i ? value.padStart(widths[i]) : value.padEnd(widths[i]));
    const lines = all.map((row) => row.map(padded).join("  "));
    return [title, ...lines.map((line) => `  ${line}`), ...notes.map((note) => `  * ${note}`)].join("\n");
  });
  return `\n${drawn.join("\n\n")}\n`;
}

/** For Markdown. */
export function markdown({ title, head, rows, notes }) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rule = `|${head.map((_, i) => (i ? "---:" : "---")).join("|")}|`;
  return [`### ${title}`, "", line(head), rule, ...rows.map(line), "", ...notes.map((note) => `- ${note}`)].join("\n");
}
