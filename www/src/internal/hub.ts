import { InkstoneError } from "../public/error.js";
import type { Description } from "./protocol.js";
import { fetchJson, HttpError } from "./http.js";

/** Where a model's files are: `base + name` is each one's address. */
export interface Listing {
  base: string;
  names: string[];
  /** Whether there are no other files than these. */
  closed: boolean;
}

type HubSource = Extract<Description, { kind: "hub" }>;

// The best compromise of size and quality first; what comes after is better than nothing.
const QUANTIZATIONS = [
  ..."Q4_K_M Q4_0 Q4_1 Q4_K_S Q4_K_L IQ4_NL IQ4_XS Q5_K_M Q5_K_S Q5_0 Q5_1 Q6_K Q8_0".split(" "),
  ..."Q3_K_L Q3_K_M Q3_K_S F16 BF16 Q2_K F32".split(" "),
];
const SPLIT = /-\d{5}-of-\d{5}\.gguf$/i;
const NOT_A_MODEL = /(?:^|[/._-])(?:mmproj|imatrix|draft|lora|adapter)(?:[._-]|$)/i;
const WEIGHTS = /^model(?:-\d+-of-\d+)?\.safetensors$/;
/** The parts of a diffusers folder that are read. */
const PARTS =
  /^(?:scheduler|unet|vae|text_encoder(?:_2)?|tokenizer(?:_2)?)\/[^/]+\.(?:json|txt|safetensors)$/;
const PIPELINE = "model_index.json";
const INDEX = "model.safetensors.index.json";
/** What Sentence Transformers writes beside a model: its modules, each in the root or in a folder with a number. */
const MODULES = "modules.json";
const MODULE = /^\d+_[^/]*\//;
const BESIDE = [
  MODULES,
  "config_sentence_transformers.json",
  "sentence_bert_config.json",
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  INDEX,
];

/** Asks the hub which files a repository has, unless the source names one, and picks those that make a model. */
export async function listHub(source: HubSource, signal: AbortSignal): Promise<Listing> {
  const { hub, repo, file } = source;
  const revision = source.revision ?? "main";
  const address = (commit: string, folder: string) =>
    `${hub}/${repo}/resolve/${escapePath(commit)}/${escapePath(folder)}`;
  if (file !== undefined) {
    const cut = file.lastIndexOf("/") + 1;
    return { base: address(revision, file.slice(0, cut)), names: [file.slice(cut)], closed: false };
  }
  const { commit, files } = await listFiles(
    `${hub}/api/models/${repo}/revision/${encodeURIComponent(revision)}`,
    repo,
    signal,
  );
  const picked = pickFiles(files, repo, source.quantization);
  const cut = (picked[0] ?? "").lastIndexOf("/") + 1;
  const base = address(commit ?? revision, (picked[0] ?? "").slice(0, cut));
  return { base, names: picked.map((name) => name.slice(cut)), closed: true };
}

async function listFiles(
  url: string,
  repo: string,
  signal: AbortSignal,
): Promise<{ commit?: string; files: string[] }> {
  let answer: unknown;
  try {
    answer = await fetchJson(url, signal);
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    let what = `the hub answered HTTP ${error.status} for \`${repo}\`: try again later`;
    if ([401, 403, 404].includes(error.status)) {
      const advice =
        "check the name, or, if it is private or asks for consent, download the file and open it from disk";
      what = `the hub has no public repository \`${repo}\` with that revision (HTTP ${error.status}): ${advice}`;
    }
    throw new InkstoneError("Fetch", `${url}: ${what}`, { cause: error });
  }
  const { sha, siblings } = (answer ?? {}) as { sha?: unknown; siblings?: unknown };
  if (!Array.isArray(siblings)) {
    throw new InkstoneError("Fetch", `${url}: the hub's answer has no list of files: try again later`);
  }
  const files = siblings.map((sibling) => (sibling as { rfilename?: unknown } | null)?.rfilename);
  return {
    files: files.filter((name): name is string => typeof name === "string"),
    ...(typeof sha === "string" && /^[\da-f]{7,64}$/i.test(sha) && { commit: sha }),
  };
}

/** The files of a repository that make one model: a GGUF file, or safetensors with what belongs to them. */
export function pickFiles(files: string[], repo: string, quantization?: string): string[] {
  if (files.includes(PIPELINE) && files.some((name) => PARTS.test(name) && name.endsWith(".safetensors"))) {
    return [PIPELINE, ...files.filter((name) => PARTS.test(name))];
  }
  const gguf = files.filter((name) => /\.gguf$/i.test(name) && !NOT_A_MODEL.test(name));
  if (gguf.length > 0) return [pickGguf(gguf, repo, quantization)];
  if (quantization !== undefined) {
    const what = `\`${repo}\` has no GGUF files, so \`${quantization}\` can't be chosen: use the option \`quantize\``;
    throw new InkstoneError("Unsupported", what);
  }
  const folder = pickFolder(files);
  // The weights of the modules that come after the first are not the model's.
  const first = folder.map((path) => path.replace(/^0_[^/]*\//, ""));
  if (first.includes("config.json") && first.some((name) => WEIGHTS.test(name))) return folder;
  const has = files.some((name) => /\.(?:bin|pth?|ckpt)$/i.test(name))
      ? "has only pickled PyTorch weights"
    : "has neither a GGUF file nor safetensors with a config.json";
  const advice = "look for a GGUF or safetensors version of the model";
  throw new InkstoneError("Unsupported", `\`${repo}\` ${has}: ${advice}`);
}

/** Weights and what belongs to them, a file of the root first: where that lies the others are looked for. */
function pickFolder(files: string[]): string[] {
  const inModules = files.includes(MODULES);
  const found = files.filter((path) => {
    const name = inModules ? path.replace(MODULE, "") : path;
    return BESIDE.includes(name) || WEIGHTS.test(name);
  });
  // One whole file and shards of the same weights may lie side by side.
  const whole = (path: string) => found.includes(path.replace(/[^/]*$/, "model.safetensors"));
  const picked = found.filter((path) => !whole(path) || !/(?:^|\/)model-|\.index\.json$/.test(path));
  return inModules ? [MODULES, ...picked.filter((path) => path !== MODULES)] : picked;
}

function pickGguf(files: string[], repo: string, quantization?: string): string {
  const whole = files.filter((name) => !SPLIT.test(name)).sort();
  const wanted = quantization === undefined ? QUANTIZATIONS : [quantization];
  for (const label of wanted) {
    const found = whole.find((name) => hasLabel(name, label));
    if (found !== undefined) return found;
  }
  if (quantization !== undefined && files.some((name) => hasLabel(name, quantization))) throw split(repo);
  if (quantization === undefined && whole.length === 1) return whole[0] as string;
  if (quantization === undefined && whole.length === 0) throw split(repo);
  const names = whole.slice(0, 12).join(", ") + (whole.length > 12 ? ", ..." : "");
  throw new InkstoneError("Unsupported", `which file of \`${repo}\` is meant? Name one as \`${repo}/FILE\`: ${names}`);
}

function hasLabel(name: string, label: string): boolean {
  const plain = label.replace(/[^\w]/g, "");
  return new RegExp(`(?:^|[/._-])${plain}(?:-\\d{5}-of-\\d{5})?\\.gguf$`, "i").test(name);
}

function split(repo: string): InkstoneError {
  const advice = "choose a smaller quantization, or merge the parts into one GGUF file";
  return new InkstoneError("Unsupported", `\`${repo}\` has this model only in parts (-00001-of-...): ${advice}`);
}

function escapePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
