// `npm run bench`: Inkstone beside what else runs models in a browser's page, on the same weights, in one run.
//
//   npm run bench -- [--mode null|real|all] [--only inkstone,transformers,wllama,ort] [--runs N] [--timeout S]
//                    [--report]
//
// null   every dispatch is issued with an empty grid: the calls and what they cost the host are real (the default)
// real   the browser's software adapter computes; what takes longer than the timeout is reported as "over S s"
//
// Systems take turns; every round of each has a browser of its own. Results: a table here, and out/bench/results.json,
// which keeps the other mode's from before; with --only they go to out/bench/partial.json. --report also writes
// docs/bench.md and docs/bench.svg from results.json; --runs 0 does that without measuring.
// The first run installs the rivals and what makes the models into the cache folder (INKSTONE_CACHE); a Python that has
// the packages of requirements.txt can be named in INKSTONE_BENCH_PYTHON.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Trouble, main, root } from "../shell.mjs";
import { PLANS, language, pictures } from "./cases.mjs";
import { panels, plot } from "./plot.mjs";
import { installRivals, makeModels } from "./prepare.mjs";
import { report } from "./report.mjs";
import { combine } from "./statistics.mjs";
import { LANGUAGE, PICTURES } from "./systems.mjs";
import { short, tables, text } from "./table.mjs";
import { targetTable, targets } from "./targets.mjs";

const OUT = join(root, "out", "bench");
const RESULTS = join(OUT, "results.json");
const stored = () => (existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : { modes: {} });

function flags() {
  const { values } = parseArgs({
    options: {
      mode: { type: "string", default: "null" },
      only: { type: "string", default: "" },
      runs: { type: "string", default: "3" },
      timeout: { type: "string", default: "300" },
      report: { type: "boolean", default: false },
    },
  });
  const modes = { null: ["null"], real: ["real"], all: ["null", "real"] }[values.mode];
  if (!modes) throw new Trouble("--mode is null, real or all.");
  const only = values.only.split(",").filter(Boolean);
  const kinds = [...new Set([...LANGUAGE, ...PICTURES].map(({ kind }) => kind))];
  const unknown = only.find((kind) => !kinds.includes(kind));
  if (unknown) throw new Trouble(`--only ${unknown}: there is ${kinds.join(", ")}.`);
  const [runs, seconds] = [Number(values.runs), Number(values.timeout)];
  if (!Number.isInteger(runs) || runs < 0 || !(seconds > 0)) throw new Trouble("--runs and --timeout are numbers.");
  if (values.report && only.length > 0) throw new Trouble("--report needs every system: leave --only out.");
  return { modes, only, runs, seconds, writes: values.report };
}

/** All rounds of one kind of model: the systems take turns, in another order each time. */
async function rounds(systems, setting, runs, measure) {
  const records = new Map(systems.map(({ name }) => [name, []]));
  for (let round = 0; round < runs; round++) {
    const turn = systems.map((_, i) => systems[(i + round) % systems.length]);
    for (const system of turn) {
      const begun = performance.now();
      const record = await measure(system, setting);
      const seconds = ((performance.now() - begun) / 1000).toFixed(0);
      const values = Object.entries(record.values).map(([name, value]) => `${name} ${short(value)}`);
      if (record.over) values.push(`${record.phase} over ${record.over} s`);
      if (record.error) values.push(`${record.phase} failed: ${record.error}`);
      const outcome = values.join(", ");
      console.log(`${setting.mode}, round ${round + 1} of ${runs}: ${system.name}, ${seconds} s: ${outcome}`);
      records.get(system.name).push(record);
    }
  }
  return [...records.values()].filter((one) => one.length > 0).map(combine);
}

async function measure({ modes, only, runs, seconds }) {
  const dist = join(root, "dist", "inkstone.js");
  if (!existsSync(dist)) throw new Trouble("dist/ is missing: npm run build.");
  const places = { npm: await installRivals(), models: await makeModels() };
  const prompts = JSON.parse(readFileSync(join(places.models, "language", "prompts.json"), "utf8"));
  const results = { modes: {} };
  for (const mode of modes) {
    const setting = { mode, places, prompts, seconds };
    const takesPart = ({ kind, modes }) => (only.length === 0 || only.includes(kind)) && modes.includes(mode);
    const sized = (combined, systems) =>
      combined.map((one) => {
        const { file, ...system } = systems.find(({ name }) => name === one.name);
        const model = file && statSync(join(places.models, file)).size;
        return { ...one, kind: system.kind, version: version(system, places.npm), note: system.notes?.[mode], model };
      });
    const talk = LANGUAGE.filter(takesPart);
    const paint = PICTURES.filter(takesPart);
    results.modes[mode] = {
      date: new Date().toISOString().slice(0, 10),
      processor: `${cpus()[0].model}, ${cpus().length} cores`,
      runs,
      seconds,
      tokens: PLANS[mode].tokens,
      language: sized(await rounds(talk, setting, runs, language), talk),
      pictures: sized(await rounds(paint, setting, runs, pictures), paint),
    };
  }
  const all = only.length > 0 ? results : { modes: { ...stored().modes, ...results.modes } };
  mkdirSync(OUT, { recursive: true });
  writeFileSync(only.length > 0 ? join(OUT, "partial.json") : RESULTS, `${JSON.stringify(all, undefined, 1)}\n`);
  return results;
}

function version({ package: name }, npm) {
  const path = name ? join(npm, name, "package.json") : join(root, "package.json");
  return JSON.parse(readFileSync(path, "utf8")).version;
}

await main(async () => {
  const wanted = flags();
  const results = wanted.runs > 0 ? await measure(wanted) : stored();
  const goals = Object.entries(targets(results)).map(([mode, list]) => targetTable(mode, list));
  console.log(text([...tables(results), ...goals]));
  if (!wanted.writes) return;
  const all = stored();
  writeFileSync(join(root, "docs", "bench.md"), report(all));
  writeFileSync(join(root, "docs", "bench.svg"), plot(panels(all)));
  console.log("Wrote docs/bench.md and docs/bench.svg.");
});
