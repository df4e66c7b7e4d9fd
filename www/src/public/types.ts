/**
 * Where a model is.
 *
 * A string is a repository on the Hugging Face hub (`"owner/repo"`, `"owner/repo/file.gguf"`, `"owner/repo@revision"`,
 * `"owner/repo:Q8_0"` to choose a quantization) or a URL, absolute or relative, of a `.gguf`, of a `.safetensors`, or
 * of a folder (ends in `/`, has `config.json`). A relative URL of more than two segments starts with `/`, `./` or
 * `../`. A record maps file names to their contents, as if it were such a folder; a string in it is a URL, or the
 * text of the file if it starts with `{` or `[` or has more than one line.
 */
export type Source = string | URL | Blob | File | File[] | Record<string, Blob | URL | string>;

/** How far a load has come. `loaded` and `total` are bytes, or kernels while compiling. */
export interface Progress {
  phase: "download" | "upload" | "compile" | "ready";
  loaded: number;
  total: number;
  file: string;
  /** True when the file comes from this machine and not over the network. */
  local?: boolean;
}

/** What the device options of {@link LoadOptions} are: they also steer `probe`. */
export interface DeviceOptions {
  adapter?: "high-performance" | "low-power";
  /** The highest tier allowed; by default what the device offers. */
  tier?: "base" | "subgroups" | "f16";
  /** Kernel variants; for tests and benches. */
  family?: "auto" | "software" | "generic" | "apple" | "nvidia" | "amd" | "intel" | "qualcomm" | "arm";
  /** Check the kernels on this adapter before their first use. Default true. */
  selfTest?: boolean;
}

export interface LoadOptions extends DeviceOptions {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  /** For unquantized files; `"auto"` picks what fits. */
  quantize?: "auto" | "none" | "q8" | "q4";
  /** Default: the model's own, bounded by memory. */
  contextLength?: number;
  /** Keep the files in the browser's own storage. Default true. */
  cache?: boolean;
  /** How long one submit may hold the GPU. */
  priority?: "interactive" | "background";
  lora?: { source: Source; scale?: number }[];
  /** Where hub names are looked up. Default `"https://huggingface.co"`; a mirror with the same addresses also works. */
  hub?: string;
}

export interface ModelInfo {
  architecture: string;
  name: string;
  parameters: number;
  quantization: string;
  contextLength: number;
  vocabulary: number;
  bytes: { weights: number; cache: number; scratch: number };
  tier: string;
  adapter: string;
}

export interface TextPart {
  type: "text";
  text: string;
}

export type Part = TextPart;

export interface ToolCall {
  id: string;
  type: "function";
  /** `arguments` is JSON text, as the model wrote it. */
  function: { name: string; arguments: string };
}

export interface Tool {
  type: "function";
  /** `parameters` is a JSON schema. */
  function: { name: string; description?: string; parameters?: object };
}

export interface Message {
  role: "system" | "user" | "assistant" | "tool";
  content: string | Part[];
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

export interface GenerateOptions {
  maxTokens?: number;
  /** 0 is greedy and deterministic. */
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  seed?: number;
  repetitionPenalty?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  logitBias?: Record<number, number>;
  stop?: string | string[];
  /** How many alternatives to report for each token. */
  logprobs?: number;
  /** String input: no chat template, continue the text as it stands. */
  raw?: boolean;
  responseFormat?:
    { type: "json_schema"; schema: object } | { type: "regex"; pattern: string } | { type: "grammar"; lark: string };
  tools?: Tool[];
  toolChoice?: "auto" | "none" | "required" | { name: string };
  /** For templates that can think: on or off. */
  reasoning?: boolean;
  /** For benchmarks: go on past stop tokens up to `maxTokens`. */
  ignoreEos?: boolean;
  signal?: AbortSignal;
  onOverflow?: "error" | "truncate-oldest" | "shift";
  /** Gets what the model thinks, as it appears; iterating gives only the answer. */
  onReasoning?: (text: string) => void;
}

export interface GenerationResult {
  text: string;
  reasoning?: string;
  toolCalls?: ToolCall[];
  tokens: number[];
  finishReason: "stop" | "length" | "tool_calls" | "abort" | "overflow";
  usage: { promptTokens: number; cachedTokens: number; completionTokens: number };
  timings: { prefillMs: number; decodeMs: number; firstTokenMs: number; tokensPerSecond: number };
  logprobs?: { token: number; logprob: number; top: { token: number; logprob: number }[] }[];
}

/**
 * A generation under way. Iterate it for text as it appears, or await it for the whole result; both at once work too.
 * Leaving a `for await` loop early aborts it, as `abort()` does: the result is then what there is, with
 * `finishReason: "abort"`.
 */
export interface Generation extends AsyncIterable<string>, PromiseLike<GenerationResult> {
  abort(): void;
}

export interface ProbeResult {
  supported: boolean;
  reason?: string;
  adapter: string;
  tier: string;
  limits: Record<string, number>;
  budgetBytes: number;
  /** The self-test of every kernel against the CPU. */
  kernels: { name: string; variant: string; ok: boolean; error: number }[];
}

export interface Estimate {
  fits: boolean;
  /** Bytes still to come over the network. */
  download: number;
  /** Bytes on the GPU. */
  gpu: number;
  advice?: string;
}

/** One model in the browser's own storage. */
export interface CacheEntry {
  /** What to give to `load` or `cache.delete`. */
  source: string;
  files: { name: string; bytes: number }[];
  bytes: number;
  date: Date;
  /** False when a download was cut off; loading again resumes it. */
  complete: boolean;
}
