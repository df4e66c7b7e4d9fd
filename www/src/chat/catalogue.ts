/** The models the picker of the chat page names, and how what people type or drop becomes one of them. */
import { choiceFromText as fromText, fileChoice, folderChoice, type Choice, type Listed } from "../shared-ui/models.js";
import type { Offer } from "../shared-ui/picker.js";

export const DEMO: Listed = {
  source: "./models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  name: "SmolLM2 135M Instruct",
  parameters: 135e6,
  size: 98e6,
  quantization: "Q4_1",
  licence: "Apache-2.0",
  note: "demo",
};

export const CATALOGUE: readonly Listed[] = [
  DEMO,
  {
    source: "bartowski/SmolLM2-360M-Instruct-GGUF/SmolLM2-360M-Instruct-Q4_K_M.gguf",
    name: "SmolLM2 360M Instruct",
    parameters: 362e6,
    size: 271e6,
    quantization: "Q4_K_M",
    licence: "Apache-2.0",
    note: "quick",
  },
  {
    source: "Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
    name: "Qwen2.5 0.5B Instruct",
    parameters: 494e6,
    size: 491e6,
    quantization: "Q4_K_M",
    licence: "Apache-2.0",
    note: "quick",
  },
  {
    source: "Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf",
    name: "Qwen3 0.6B",
    parameters: 596e6,
    size: 639e6,
    quantization: "Q8_0",
    licence: "Apache-2.0",
    note: "thinks",
  },
  {
    source: "bartowski/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
    name: "Llama 3.2 1B Instruct",
    parameters: 1.24e9,
    size: 808e6,
    quantization: "Q4_K_M",
    licence: "Llama 3.2 Community",
    note: "balanced",
  },
  {
    source: "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/smollm2-1.7b-instruct-q4_k_m.gguf",
    name: "SmolLM2 1.7B Instruct",
    parameters: 1.71e9,
    size: 1056e6,
    quantization: "Q4_K_M",
    licence: "Apache-2.0",
    note: "balanced",
  },
  {
    source: "unsloth/Qwen3-1.7B-GGUF/Qwen3-1.7B-Q4_K_M.gguf",
    name: "Qwen3 1.7B",
    parameters: 1.72e9,
    size: 1107e6,
    quantization: "Q4_K_M",
    licence: "Apache-2.0",
    note: "thinks",
  },
  {
    source: "unsloth/SmolLM3-3B-GGUF/SmolLM3-3B-Q4_K_M.gguf",
    name: "SmolLM3 3B",
    parameters: 3.08e9,
    size: 1915e6,
    quantization: "Q4_K_M",
    licence: "Apache-2.0",
    note: "strong",
  },
  {
    source: "bartowski/Llama-3.2-3B-Instruct-GGUF/Llama-3.2-3B-Instruct-Q4_K_M.gguf",
    name: "Llama 3.2 3B Instruct",
    parameters: 3.21e9,
    size: 2019e6,
    quantization: "Q4_K_M",
    licence: "Llama 3.2 Community",
    note: "strong",
  },
  {
    source: "bartowski/Mistral-7B-Instruct-v0.3-GGUF/Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
    name: "Mistral 7B Instruct v0.3",
    parameters: 7.25e9,
    size: 4373e6,
    quantization: "Q4_K_M",
    licence: "Apache-2.0",
    note: "strong",
  },
];

/** Reads what someone typed or pasted; undefined where it can be no model. */
export function choiceFromText(text: string): Choice | undefined {
  return fromText(text, CATALOGUE);
}

/** A choice for files from this device: one file by itself, several as the folder they came from. */
export function choiceFromFiles(files: Map<string, File>): Choice | undefined {
  const models = [...files].filter(([path]) => /\.(gguf|safetensors)$/i.test(path));
  const first = models[0];
  if (!first) return undefined;
  if (models.length === 1 && /\.gguf$/i.test(first[0])) return fileChoice(first[1]);
  // Everything beside the weights is one folder: paths become relative to where config.json (or the weights) lie.
  return folderChoice(files, [...files.keys()].find((path) => /(^|\/)config\.json$/.test(path)) ?? first[0]);
}

/** What the chat page offers to choose from. */
export const OFFER: Offer = {
  catalogue: CATALOGUE,
  fromText: choiceFromText,
  fromFiles: choiceFromFiles,
  noName: "nameProblem",
  noModel: "noModelInFiles",
  accept: ".gguf,.safetensors,.json,.model,.txt",
  nameLabel: "nameLabel",
  namePlaceholder: "namePlaceholder",
  dropHint: "dropHint",
  listTitle: "namedModels",
};
