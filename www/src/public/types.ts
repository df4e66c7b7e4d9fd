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

/** What the device options of {@link LoadOptions} are: they also steer `probe` and `roofline`. */
export interface DeviceOptions {
  adapter?: "high-performance" | "low-power";
  /** The highest tier allowed; by default what the device offers. */
  tier?: "base" | "subgroups" | "f16";
  /** Kernel variants; for tests and benches. */
  family?: "auto" | "software" | "generic" | "apple" | "nvidia" | "amd" | "intel" | "qualcomm" | "arm";
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
  quantize?: "auto" | "none" | "q8" | "q4";
  /**
   * What a language model's weights are multiplied with. `"int8"`: numbers rounded to eight bits, a scale for every 32, where that was
   * measured to be quicker on this adapter: for prompts, for single tokens (`info.choices` says so; the first such load measures).
   * Logits are off by a hundredth of what they are. Default `"f32"`.
   */
  activations?: "f32" | "int8";
  /** Default: the model's own, bounded by memory. */
  contextLength?: number;
  /** Keep the files in the browser's own storage. Default true. */
  cache?: boolean;
  /** How long one submit may hold the GPU. */
  priority?: "interactive" | "background";
  /**
   * Adapters, merged into an image model's weights. A prompt may ask for another scale with `<lora:name:0.8>`, the name being
   * its file's without the ending; 0 takes it off for that picture.
   */
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
  /** The family of kernel variants in use. */
  family: string;
  /** What was chosen beyond it because it is quicker on this adapter: names of {@link Tried}. */
  choices: string[];
}

/** What is known of a loaded image model. Sizes are `[width, height]` in pixels. */
export interface ImageInfo {
  architecture: string;
  /** The parts that were loaded, by their names in a diffusers folder. */
  components: string[];
  defaultSize: [number, number];
  defaultSteps: number;
  defaultGuidance: number;
  defaultSampler: SamplerName;
  samplers: SamplerName[];
  /** Sides must be a multiple of this. */
  multipleOf: number;
  /** The LoRAs that it was loaded with, by the names that prompts call them: `<lora:name:0.8>`. */
  loras: string[];
  parameters: number;
  quantization: string;
  /**
   * On the GPU: weights that are there now, what the latest picture took besides, and the most that was there at any moment
   * of the load or, once there was one, of the latest call.
   */
  bytes: { weights: number; scratch: number; peak: number };
  tier: string;
  adapter: string;
  /** The family of kernel variants in use. */
  family: string;
  /** What was chosen beyond it because it is quicker on this adapter: names of {@link Tried}. */
  choices: string[];
}

/** `ddpm` and `deis` are there for models whose own schedule names them. */
export type SamplerName =
  | "ddim"
  | "euler"
  | "euler_a"
  | "heun"
  | "dpmpp_2m"
  | "dpmpp_2m_karras"
  | "lcm"
  | "unipc"
  | "pndm"
  | "lms"
  | "ddpm"
  | "deis";

export interface ImageLoadOptions extends LoadOptions {
  /**
   * Which autoencoder paints the finished picture. `"full"`: the model's own. `"tiny"`: a small, fast one (TAESD), from the
   * model's folder `taesd` (`taesdxl` for SDXL) or from the hub. Default `"auto"`: the model's own, and a tiny one that
   * lies in its folder for previews.
   */
  vae?: "auto" | "full" | "tiny";
  /**
   * Whether the text encoders stay on the GPU. `"release"`: they leave once a prompt is encoded, and a new prompt reads them
   * again from where the files are kept. Default `"auto"`: they leave if all together would not fit.
   */
  textEncoder?: "auto" | "keep" | "release";
}

export interface ImageOptions {
  /** What the picture should not show. */
  negativePrompt?: string;
  /** Pixels; default: the model's own size, or that of `image`. */
  width?: number;
  height?: number;
  steps?: number;
  /** How far the prompt is followed; up to 1 the negative prompt plays no part and a step takes half the time. */
  guidanceScale?: number;
  /** Default: random. Picture `i` of a batch uses `seed + i`. */
  seed?: number;
  /** Whose seeds to reproduce: torch's on the CPU (diffusers, ComfyUI; the default) or on a GPU (AUTOMATIC1111). */
  noise?: "cpu" | "gpu";
  /** Default: the model's own. */
  sampler?: SamplerName;
  /** How much fresh noise `ddim` adds. */
  eta?: number;
  /** Layers of the text encoder to leave out, counted from its end. */
  clipSkip?: number;
  /** How many pictures. */
  batch?: number;
  /** A picture to start from; it is scaled to `width` and `height`. */
  image?: ImageBitmapSource;
  /** How much of `image` is repainted, above 0 and up to 1. Default 0.8. */
  strength?: number;
  /** What of `image` is repainted: white. */
  mask?: ImageBitmapSource;
  /** The seed of a second noise that is mixed in. */
  variationSeed?: number;
  /** How much of it, 0 to 1. */
  variationStrength?: number;
  /** What the steps show: nothing, a rough view of the latents, or what a small decoder makes of them. */
  preview?: "none" | "latent" | "tiny";
  signal?: AbortSignal;
  /** Start from these instead of the seed's noise, `[batch, channels, h, w]`. */
  latents?: Float32Array;
}

/** One step of one picture of a batch. */
export interface ImageStep {
  /** Which picture of the batch, from 0. */
  picture: number;
  /** From 1 to `steps`. */
  step: number;
  steps: number;
  preview?: ImageBitmap;
  /** How long this step took. */
  ms: number;
}

export interface ImageTimings {
  textMs: number;
  stepMs: number[];
  decodeMs: number;
  totalMs: number;
}

/** Floating-point operations of products, convolutions and attention. */
export interface ImageFlops {
  /** A denoising step, with and without the prompt. */
  step: number;
  /** Decoding the latents. */
  decode: number;
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
  /**
   * `prefillMs`, `firstTokenMs`: from the call to the first token; `decodeMs`: from there to the end; `tokensPerSecond`:
   * tokens that came in `decodeMs`, a stop token among them because its step took as long. 0 if none did.
   */
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
  /** The family of kernel variants that this adapter gets; empty if it is not supported. */
  family: string;
  limits: Record<string, number>;
  budgetBytes: number;
  /** The self-test of every kernel against the CPU. */
  kernels: { name: string; variant: string; ok: boolean; error: number }[];
}

/** What an adapter can do at best; see `roofline`. */
export interface Roofline {
  /** Bytes that kernels read from the GPU's memory in a second. */
  bytesPerSecond: number;
  /** 32-bit operations in a second; a fused multiply-add counts as two. */
  flopsPerSecond: number;
}

/** Two ways to compute the same, measured on an adapter; see `tune`. */
export interface Tried {
  /** What was tried instead of what is usual: `"winograd"`, `"short tiles"`, `"short attention"`, `"int8 prompts"` or `"int8 tokens"`. */
  choice: string;
  /** How long the usual way took, and this one. */
  seconds: [number, number];
  /** The normalised mean squared difference of their results. */
  difference: number;
  /** Whether models loaded from here on use it: it is at least 5 % quicker, agrees, and passes the self-test. */
  chosen: boolean;
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
