/** The models that the search page names, and how what people type or drop becomes one of them. */
import { choiceFromText as fromText, fileChoice, folderChoice, type Choice, type Listed } from "../shared-ui/models.js";
import type { Offer } from "../shared-ui/picker.js";

/** What is offered first. It lies on the hub: nothing asks for it before someone says so. */
export const FIRST: Listed = {
  source: "sentence-transformers/all-MiniLM-L6-v2",
  name: "all-MiniLM-L6-v2",
  parameters: 22.7e6,
  size: 91e6,
  licence: "Apache-2.0",
  note: "embedEnglish",
};

export const EMBEDDERS: readonly Listed[] = [
  FIRST,
  {
    source: "BAAI/bge-small-en-v1.5",
    name: "BGE small, English",
    parameters: 33.4e6,
    size: 133e6,
    licence: "MIT",
    note: "embedEnglish",
  },
  {
    source: "BAAI/bge-small-zh-v1.5",
    name: "BGE small, Chinese",
    parameters: 24e6,
    size: 96e6,
    licence: "MIT",
    note: "embedChinese",
  },
  {
    source: "intfloat/multilingual-e5-small",
    name: "Multilingual E5 small",
    parameters: 118e6,
    size: 471e6,
    licence: "MIT",
    note: "embedMany",
  },
  {
    source: "Qwen/Qwen3-Embedding-0.6B",
    name: "Qwen3 Embedding 0.6B",
    parameters: 596e6,
    size: 1190e6,
    licence: "Apache-2.0",
    note: "embedStrong",
  },
];

export const RERANKERS: readonly Listed[] = [
  {
    source: "cross-encoder/ms-marco-MiniLM-L6-v2",
    name: "MS MARCO MiniLM-L6",
    parameters: 22.7e6,
    size: 91e6,
    licence: "Apache-2.0",
    note: "rerankEnglish",
  },
  {
    source: "Qwen/Qwen3-Reranker-0.6B",
    name: "Qwen3 Reranker 0.6B",
    parameters: 596e6,
    size: 1190e6,
    licence: "Apache-2.0",
    note: "rerankMany",
  },
];

/** Reads what someone typed or pasted; undefined where it can be no model. */
export function choiceFromText(text: string): Choice | undefined {
  return fromText(text, [...EMBEDDERS, ...RERANKERS]);
}

/** A choice for files from this device: one file by itself, or the folder that a model lies in. */
export function choiceFromFiles(files: Map<string, File>): Choice | undefined {
  const paths = [...files.keys()];
  const weights = paths.filter((path) => /\.(gguf|safetensors)$/i.test(path));
  if (weights.length === 1 && /\.gguf$/i.test(weights[0]!)) return fileChoice(files.get(weights[0]!)!);
  if (weights.length === 0) return undefined;
  // Where modules.json lies the others are looked for; without one, where the outermost config.json does.
  const depth = (path: string) => path.split("/").length;
  const named = (name: string) => paths.filter((path) => path === name || path.endsWith(`/${name}`));
  const outermost = [...named("modules.json"), ...named("config.json").sort((a, b) => depth(a) - depth(b))][0];
  return folderChoice(files, outermost ?? weights[0]!);
}

/** Whether files are a model's and not someone's notes. */
export function isModel(files: Map<string, File>): boolean {
  return [...files.keys()].some((path) => /\.(gguf|safetensors)$/i.test(path));
}

const COMMON = {
  fromText: choiceFromText,
  fromFiles: choiceFromFiles,
  noName: "nameProblem",
  noModel: "noModelInFiles",
  accept: ".gguf,.safetensors,.json",
  nameLabel: "nameLabel",
  namePlaceholder: "namePlaceholderSearch",
  dropHint: "dropHint",
} as const;

/** What the search page offers to choose from, for each of its two models. */
export const OFFERS: Record<"embedder" | "reranker", Offer> = {
  embedder: { ...COMMON, catalogue: EMBEDDERS, listTitle: "namedEmbedders" },
  reranker: { ...COMMON, catalogue: RERANKERS, listTitle: "namedRerankers" },
};
