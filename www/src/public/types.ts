import type {
  Activations,
  Autoencoder,
  EmbedOptions as RustEmbedOptions,
  EmbeddingInfo,
  Estimate,
  FamilyName,
  FinishReason,
  GenerateOptions as RustGenerateOptions,
  GenerationResult as RustGenerationResult,
  ImageFlops,
  ImageInfo,
  ImageOptions as RustImageOptions,
  ImageStep as RustImageStep,
  ImageTimings,
  LanguageInfo,
  PowerPreference,
  Priority,
  Probe,
  Progress as RustProgress,
  Quantize,
  Roofline,
  SamplerName,
  TextMemory,
  Tier,
  Tried,
} from "../internal/generated.js";

/** What Rust has under the same names; its documentation is there. */
export type { EmbeddingInfo, Estimate, FamilyName, ImageFlops, ImageInfo, ImageTimings, Roofline, SamplerName, Tier, Tried };
export type { LanguageInfo as ModelInfo };

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

/**
 * How far a load has come, in bytes of the files: `loaded` of `total`. While the kernels compile (`compile`) nothing is
 * counted: `loaded` is 0. At the end (`ready`) both are equal.
 */
export interface Progress extends Omit<RustProgress, "phase"> {
  phase: RustProgress["phase"] | "upload";
  /** True when the file comes from this machine and not over the network. */
  local?: boolean;
}

/** What the device options of {@link LoadOptions} are: they also steer `probe` and `roofline`. */
export interface DeviceOptions {
  adapter?: PowerPreference;
  /** The highest tier allowed; by default what the device offers. */
  tier?: Tier;
  /** Kernel variants; for tests and benches. */
  family?: "auto" | FamilyName;
  /** Check the kernels on this adapter before their first use. Default true. */
  selfTest?: boolean;
  /**
   * Use the kernels that were measured to be the quicker ones on this adapter, see {@link tune}; an image model's first load
   * measures, once (so does a language model's that may round its {@link LoadOptions.activations}). Default true, but false where `family` names one.
   */
  tune?: boolean;
}

export interface LoadOptions extends DeviceOptions {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  /** For unquantized files; `"auto"` picks what fits. */
  quantize?: "auto" | Quantize;
  /**
   * What a language model's weights are multiplied with. `"int8"`: numbers rounded to eight bits, a scale for every 32, where that was
   * measured to be quicker on this adapter: for prompts, for single tokens (`info.choices` says so; the first such load measures).
   * Logits are off by a hundredth of what they are. Default `"f32"`.
   */
  activations?: Activations;
  /** Default: the model's own, bounded by memory. */
  contextLength?: number;
  /** Keep the files in the browser's own storage. Default true. */
  cache?: boolean;
  /** How long one submit may hold the GPU. */
  priority?: Priority;
  /**
   * Adapters, merged into an image model's weights. A prompt may ask for another scale with `<lora:name:0.8>`, the name being
   * its file's without the ending; 0 takes it off for that picture.
   */
  lora?: { source: Source; scale?: number }[];
  /** Where hub names are looked up. Default `"https://huggingface.co"`; a mirror with the same addresses also works. */
  hub?: string;
}

export interface ImageLoadOptions extends LoadOptions {
  /**
   * Which autoencoder paints the finished picture. `"full"`: the model's own. `"tiny"`: a small, fast one (TAESD), from the
   * model's folder `taesd` (`taesdxl` for SDXL) or from the hub. Default `"auto"`: the model's own, and a tiny one that
   * lies in its folder for previews.
   */
  vae?: Autoencoder;
  /**
   * Whether the text encoders stay on the GPU. `"release"`: they leave once a prompt is encoded, and a new prompt reads them
   * again from where the files are kept. Default `"auto"`: they leave if all together would not fit.
   */
  textEncoder?: TextMemory;
}

/** What every call over several texts may be given. */
export interface TextsOptions {
  signal?: AbortSignal;
  /** Hears how many of the texts are done. */
  onProgress?: (done: number, total: number) => void;
}

/** Options of one call of `embed`; Rust's, and what is not JSON. */
export interface EmbedOptions extends Partial<RustEmbedOptions>, TextsOptions {}

/** How well a document answers a query: the higher, the better. */
export interface Ranked {
  /** Its place in the list that was given. */
  index: number;
  score: number;
}

/** Options of one call; Rust's, and what is not JSON. */
export interface ImageOptions extends Partial<RustImageOptions> {
  /** A picture to start from; it is scaled to `width` and `height`. */
  image?: ImageBitmapSource;
  /** What of `image` is repainted: white. */
  mask?: ImageBitmapSource;
  signal?: AbortSignal;
  /** Start from these instead of the seed's noise, `[batch, channels, h, w]`. */
  latents?: Float32Array;
}

/** One step of one picture of a batch. */
export interface ImageStep extends RustImageStep {
  preview?: ImageBitmap;
}

export interface ImageResult {
  bitmap: ImageBitmap;
  /** A PNG that tells how it was made in its `parameters` text chunk. */
  blob(): Promise<Blob>;
  /** `[height, width, 3]` in 0 to 1, before rounding. */
  pixels(): Promise<Float32Array>;
  /** What the picture was decoded from, `[channels, h, w]`. */
  latents(): Promise<Float32Array>;
  seed: number;
  /** How it was made, as AUTOMATIC1111 writes it. */
  parameters: string;
  timings: ImageTimings;
  /** What was computed: with `timings` and `roofline()` it tells which part of what the adapter can do was reached. */
  flops: ImageFlops;
}

/**
 * Pictures being painted. Iterate it for the steps, or await it for the pictures; both at once work too. Leaving a
 * `for await` loop early aborts it, as `abort()` does: the result is then a rejection with `Cancelled`.
 */
export interface ImageGeneration extends AsyncIterable<ImageStep>, PromiseLike<ImageResult[]> {
  abort(): void;
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

/** Options of one generation; Rust's, and what is not read there. */
export interface GenerateOptions extends Partial<RustGenerateOptions> {
  responseFormat?:
    { type: "json_schema"; schema: object } | { type: "regex"; pattern: string } | { type: "grammar"; lark: string };
  tools?: Tool[];
  toolChoice?: "auto" | "none" | "required" | { name: string };
  signal?: AbortSignal;
  /** Gets what the model thinks, as it appears; iterating gives only the answer. */
  onReasoning?: (text: string) => void;
}

/** A finished answer. */
export interface GenerationResult extends Omit<RustGenerationResult, "finishReason"> {
  toolCalls?: ToolCall[];
  finishReason: FinishReason | "tool_calls";
}

/**
 * A generation under way. Iterate it for text as it appears, or await it for the whole result; both at once work too.
 * Leaving a `for await` loop early aborts it, as `abort()` does: the result is then what there is, with
 * `finishReason: "abort"`.
 */
export interface Generation extends AsyncIterable<string>, PromiseLike<GenerationResult> {
  abort(): void;
}

/** What an adapter is and how its kernels did; where there is none, texts are empty and `reason` says why. */
export interface ProbeResult extends Omit<Probe, "tier" | "family" | "limits"> {
  reason?: string;
  tier: Tier | "";
  /** The family of kernel variants that this adapter gets. */
  family: FamilyName | "";
  limits: Record<string, number>;
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
