/** The models the picker names. Sizes are those of the files; whether one fits is asked of the library. */

export interface Listed {
  /** What `LanguageModel.load` is given. */
  source: string;
  name: string;
  parameters: number;
  /** Bytes of the file, rounded; the exact number comes from the file's own server. */
  size: number;
  quantization: string;
  licence: string;
  note: "demo" | "quick" | "balanced" | "thinks" | "strong";
}

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

/** A model someone may open: one of the list, one they named, or files they dropped. */
export interface Choice {
  key: string;
  name: string;
  source: string | File | Record<string, Blob>;
  listed?: Listed;
}

export function choiceOf(listed: Listed): Choice {
  return { key: listed.source, name: listed.name, source: listed.source, listed };
}

const HUB_PAGE = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\//i;
const HUB_NAME = /^[\w.-]+\/[\w.-]+(?:\/[^/@:\s]+)*(?:@[^@:\s]+)?(?::[\w-]+)?$/;

/** Reads what someone typed or pasted: an address, or `owner/repo…` on the hub. Undefined where it can be neither. */
export function choiceFromText(text: string): Choice | undefined {
  const typed = text.trim();
  // The address of a hub's page says the same as the shorter name, which is the one worth showing.
  const name = typed
    .replace(HUB_PAGE, "")
    .replace(/\/(?:blob|resolve)\/main\/|\/tree\/main\/?$/, "/")
    .replace(/[?#].*$|\/+$/, "");
  if (HUB_PAGE.test(typed) && HUB_NAME.test(name) && !/\/(?:blob|resolve|tree)\//.test(name)) return named(name);
  if (/^https?:\/\/\S+$/i.test(typed) || /^\.{0,2}\/\S+$/.test(typed)) return named(typed);
  return HUB_NAME.test(typed) ? named(typed) : undefined;
}

function named(source: string): Choice {
  const listed = CATALOGUE.find((entry) => entry.source === source);
  if (listed) return choiceOf(listed);
  const path = source.split(/[?#]/)[0]!.replace(/\/+$/, "");
  return { key: source, name: path.slice(path.lastIndexOf("/") + 1) || source, source };
}

/** A choice for files from this device: one file by itself, several as the folder they came from. */
export function choiceFromFiles(files: Map<string, File>): Choice | undefined {
  const models = [...files].filter(([path]) => /\.(gguf|safetensors)$/i.test(path));
  const first = models[0];
  if (!first) return undefined;
  if (models.length === 1 && /\.gguf$/i.test(first[0])) {
    const file = first[1];
    return { key: `file:${file.name}:${file.size}`, name: file.name.replace(/\.gguf$/i, ""), source: file };
  }
  // Everything beside the weights is one folder: paths become relative to where config.json (or the weights) lie.
  const anchor = [...files.keys()].find((path) => /(^|\/)config\.json$/.test(path)) ?? first[0];
  const base = anchor.slice(0, anchor.lastIndexOf("/") + 1);
  const folder: Record<string, Blob> = {};
  for (const [path, file] of files) if (path.startsWith(base)) folder[path.slice(base.length)] = file;
  const name = base.replace(/\/$/, "").split("/").pop() || first[1].name;
  return { key: `folder:${name}:${Object.keys(folder).length}`, name, source: folder };
}
