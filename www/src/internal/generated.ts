// Written by `INKSTONE_WRITE=1 cargo test --lib types` from the Rust types: change those.

/** The variants of Rust's `Error`. */
export const ERROR_CODES = ["Format", "Missing", "Shape", "Unsupported", "TooLarge", "Gpu", "Fetch", "Cancelled"] as const;

/** The values that a language model's weights are multiplied with. */
export type Activations = "f32" | "int8";

/** Facts about the adapter that the worker knows and wgpu does not pass on. */
export type AdapterInfo = {
  vendor: string, architecture: string, device: string, description: string, isFallbackAdapter: boolean,
  /** Whether devices made from here on may use subgroups. */
  subgroups: boolean, subgroupMinSize: number,
  /** The machine's memory in GiB, roughly, where the browser tells. */
  deviceMemory?: number,
};

/** Which autoencoder makes the finished picture. */
export type Autoencoder = "auto" | "full" | "tiny";

/** A choice that differs from the table. None is made by default. */
export type ChoiceName = "winograd" | "short tiles" | "short attention" | "int8 prompts" | "int8 tokens";

/** Limits of the device. */
export type DeviceLimits = {

  /** Bytes of one binding. */
  maxStorageBufferBindingSize: number,
  /** Bytes of one buffer. */
  maxBufferSize: number,
  /** Bytes of workgroup memory. */
  maxComputeWorkgroupStorageSize: number,
};

/** How to make vectors. */
export type EmbedOptions = {

  /** Whether vectors are made of length one; left out: as the model's folder says. */
  normalize?: boolean,
  /** The name of one of the model's prompts, or a text, which is put before each text. */
  prompt?: string,
  /** How many elements to keep, the first ones; vectors of length one are made so again. */
  dimensions?: number,
};

/** Bytes on the GPU. */
export type EmbeddingBytes = {

  /** Weights. */
  weights: number,
  /** Activations and the rest, when it was loaded; longer texts take more. */
  scratch: number,
};

/** A description of a loaded model. */
export type EmbeddingInfo = {

  /** Its architecture. */
  architecture: string,
  /** Its own name. */
  name: string,
  /** Number of weights. */
  parameters: number,
  /** How most weights are encoded. */
  quantization: string,
  /** Elements of a vector. */
  dimensions: number,
  /** Tokens that are read of a text, special ones included; the rest is left out. */
  maxTokens: number,
  /** How a text's hidden states become one vector: "mean", "cls", "lasttoken" and so on, joined by "+" if several lie
   * side by side.
   */
  pooling: string,
  /** Names of the prompts that may be put before texts. */
  prompts: Array<string>,
  /** Whether it makes vectors. */
  embeds: boolean,
  /** Whether it makes scores of pairs of texts. */
  reranks: boolean,
  /** Bytes on the GPU. */
  bytes: EmbeddingBytes,
  /** The device's tier. */
  tier: Tier,
  /** The adapter's name. */
  adapter: string,
  /** The family of kernel variants in use. */
  family: FamilyName,
  /** Choices that differ from the kernels of its family, since they are quicker on this adapter. */
  choices: Array<ChoiceName>,
  /** Dispatches of one batch of texts. */
  dispatches: number,
};

/** The memory that loading a model would take. */
export type Estimate = {

  /** Whether it should fit. */
  fits: boolean,
  /** Bytes of the files; in JavaScript, those that are still to come over the network. */
  download: number,
  /** Bytes on the GPU. */
  gpu: number,
  /** How to make it fit, if it does not. */
  advice?: string,
};

/** Which row of the tables of kernel variants an adapter gets. */
export type FamilyName = "software" | "generic" | "apple" | "nvidia" | "amd" | "intel" | "qualcomm" | "arm";

/** Why an answer ended. */
export type FinishReason = "stop" | "length" | "abort" | "overflow";

/** Options of one generation, as in `GenerateOptions` of the JavaScript API. */
export type GenerateOptions = {

  /** At most this many tokens; default: until the context is full. */
  maxTokens?: number,
  /** 0 takes the likeliest token. */
  temperature: number,
  /** Only the k likeliest; 0: all. */
  topK: number,
  /** Only the likeliest that together have this probability. */
  topP: number,
  /** Only those at least this fraction as likely as the likeliest. */
  minP: number,
  /** Same seed, same tokens. */
  seed?: number,
  /** Divides the logits of what was said (Keskar et al. 2019); 1: off. */
  repetitionPenalty: number,
  /** Subtracted from the logits of what was said in the answer. */
  presencePenalty: number,
  /** The same, times how often. */
  frequencyPenalty: number,
  /** Added to the logits of these tokens. */
  logitBias: Record<number, number>,
  /** Strings that end the answer and are not part of it. */
  stop: Stop,
  /** Report each token's log-probability and those of this many alternatives. */
  logprobs?: number,
  /** Continue a string as it stands, without the chat template. */
  raw: boolean,
  /** For templates that can think: whether to. */
  reasoning?: boolean,
  /** Go on past stop tokens. */
  ignoreEos: boolean,
  /** When the context is full. */
  onOverflow: OnOverflow,
};

/** A finished answer. */
export type GenerationResult = {

  /** The answer. */
  text: string,
  /** The thought before it, of a model that thinks. */
  reasoning?: string,
  /** Its tokens, a stop token not included. */
  tokens: Array<number>,
  /** Why it ended. */
  finishReason: FinishReason,
  /** Counts. */
  usage: Usage,
  /** Times. */
  timings: Timings,
  /** Log-probabilities, if asked for. */
  logprobs?: Array<TokenLogprob>,
};

/** Bytes on the GPU. */
export type ImageBytes = {

  /** Weights that are on the GPU now. */
  weights: number,
  /** Activations and the rest, for the latest size. */
  scratch: number,
  /** The most that was allocated on the device at a moment, other models included: during the latest call that
   * painted, or else while the model was loaded.
   */
  peak: number,
};

/** Floating-point operations of products, convolutions and attention, for a picture. */
export type ImageFlops = {

  /** A denoising step, with and without the prompt. */
  step: number,
  /** Decoding the latents. */
  decode: number,
};

/** A description of a loaded image model. */
export type ImageInfo = {

  /** `stable-diffusion` or `stable-diffusion-xl`. */
  architecture: string,
  /** The parts that were loaded. */
  components: Array<string>,
  /** Width and height that it was trained for. */
  defaultSize: [number, number],
  /** Steps taken unless told otherwise. */
  defaultSteps: number,
  /** Guidance unless told otherwise. */
  defaultGuidance: number,
  /** The sampler used unless told otherwise. */
  defaultSampler: SamplerName,
  /** Samplers to choose from. */
  samplers: Array<SamplerName>,
  /** Sides must be a multiple of this. */
  multipleOf: number,
  /** The LoRAs that it was loaded with, by the names that prompts call them: `<lora:name:0.8>`. */
  loras: Array<string>,
  /** Number of weights. */
  parameters: number,
  /** How most weights are encoded. */
  quantization: string,
  /** Bytes on the GPU. */
  bytes: ImageBytes,
  /** The device's tier. */
  tier: Tier,
  /** The adapter's name. */
  adapter: string,
  /** The family of kernel variants in use. */
  family: FamilyName,
  /** Choices that differ from the kernels of its family, since they are quicker on this adapter. */
  choices: Array<ChoiceName>,
};

/** The options of one call, as in `ImageOptions` of the JavaScript API. */
export type ImageOptions = {

  /** A description of what the picture should not show. */
  negativePrompt?: string,
  /** Width in pixels; default: the model's own size, or that of a picture to start from. */
  width?: number,
  /** Height in pixels, likewise. */
  height?: number,
  /** How many steps the sampler takes. */
  steps?: number,
  /** How strongly the prompt guides (Ho and Salimans 2022); up to 1 there is no guidance: the negative prompt plays
   * no part and a step takes half the time.
   */
  guidanceScale?: number,
  /** Picture `i` of a batch has this seed plus `i`; default: random. */
  seed?: number,
  /** The program whose noise is reproduced. */
  noise: NoiseKind,
  /** The sampler's name; default: the model's own. */
  sampler?: SamplerName,
  /** How much fresh noise DDIM adds (Song et al. 2021). */
  eta: number,
  /** How many of the text encoder's last layers are left out. */
  clipSkip: number,
  /** How many pictures to make. */
  batch?: number,
  /** How much of a given picture is repainted, above 0 and up to 1; default: 0.8. */
  strength?: number,
  /** The seed of another noise to mix in. */
  variationSeed?: number,
  /** How much of that noise, 0 to 1. */
  variationStrength: number,
  /** How pictures are shown while they are painted. */
  preview: Preview,
};

/** A finished step of a picture. */
export type ImageStep = {

  /** Its number in the batch. */
  picture: number,
  /** Steps done, from 1 on. */
  step: number,
  /** Steps in all. */
  steps: number,
  /** Milliseconds that this step took. */
  ms: number,
};

/** Times of a picture, in milliseconds. */
export type ImageTimings = {

  /** Encoding the prompts. */
  textMs: number,
  /** Each step. */
  stepMs: Array<number>,
  /** Decoding the latents. */
  decodeMs: number,
  /** From the call to the picture. */
  totalMs: number,
};

/** The test result of one kernel. */
export type KernelReport = {

  /** The kernel's name. */
  name: string,
  /** Its variant. */
  variant: string,
  /** Whether it agrees with the CPU. */
  ok: boolean,
  /** Its normalised mean squared error. */
  error: number,
};

/** Bytes on the GPU. */
export type LanguageBytes = {

  /** Weights. */
  weights: number,
  /** Keys and values. */
  cache: number,
  /** Activations and the rest. */
  scratch: number,
};

/** A description of a loaded language model. */
export type LanguageInfo = {

  /** Its architecture. */
  architecture: string,
  /** Its own name. */
  name: string,
  /** Number of weights. */
  parameters: number,
  /** How most weights are encoded. */
  quantization: string,
  /** Positions of the cache. */
  contextLength: number,
  /** Number of tokens. */
  vocabulary: number,
  /** Bytes on the GPU. */
  bytes: LanguageBytes,
  /** The device's tier. */
  tier: Tier,
  /** The adapter's name. */
  adapter: string,
  /** The family of kernel variants in use. */
  family: FamilyName,
  /** Choices that differ from the kernels of its family, since they are quicker on this adapter. */
  choices: Array<ChoiceName>,
  /** Dispatches of one decoded token, of one chunk of prefill. */
  dispatches: [number, number],
};

/** A token and its log-probability. */
export type Logprob = {

  /** The token. */
  token: number,
  /** Natural logarithm of its probability, penalties and bias applied, temperature not. */
  logprob: number,
};

/** The program whose noise is reproduced for a seed. */
export type NoiseKind = "cpu" | "gpu";

/** The way out when the context is full. */
export type OnOverflow = "error" | "truncate-oldest" | "shift";

/** `"auto"`, or a name. */
export type OrAuto<T> = "auto" | T;

/** The part of a load that is under way. */
export type Phase = "download" | "compile" | "ready";

/** A finished picture. */
export type Picture = {

  /** Pixels. */
  width: number,
  /** Pixels. */
  height: number,
  /** Its seed. */
  seed: number,
  /** Its parameters, as AUTOMATIC1111 writes them. */
  parameters: string,
  /** Times of its parts. */
  timings: ImageTimings,
  /** Operations that were computed. */
  flops: ImageFlops,
};

/** Which adapter is wanted where there are two. */
export type PowerPreference = "high-performance" | "low-power";

/** How the picture is shown while it is painted. */
export type Preview = "none" | "latent" | "tiny";

/** How long one submit may hold the GPU. */
export type Priority = "interactive" | "background";

/** A description of the device, and its kernels' test results. */
export type Probe = {

  /** Always true: without a device there is an error instead. */
  supported: boolean,
  /** The adapter's name. */
  adapter: string,
  /** The tier in use. */
  tier: Tier,
  /** The family of variants in use. */
  family: FamilyName,
  /** The limits that matter. */
  limits: DeviceLimits,
  /** Bytes that a model should take at most: an estimate, since browsers do not report it. */
  budgetBytes: number,
  /** Every kernel's result. */
  kernels: Array<KernelReport>,
};

/** How far a load has come. */
export type Progress = {
  phase: Phase,
  /** Bytes so far. */
  loaded: number, total: number, file: string,
};

/** How matrices that a file holds as floats are kept. */
export type Quantize = "none" | "q8" | "q4";

/** The bounds of an adapter. */
export type Roofline = {

  /** Bytes that it reads in a second, of more than its caches hold. */
  bytesPerSecond: number,
  /** Operations of f32 in a second; a fused multiply-add is two. */
  flopsPerSecond: number,
};

/** `LoadOptions` as far as Rust reads them. `null` and `"auto"` say as much as nothing. */
export type RustLoadOptions = {
  quantize?: OrAuto<Quantize>, contextLength?: number, adapter?: PowerPreference, priority?: Priority, tier?: Tier, family?: OrAuto<FamilyName>, vae?: Autoencoder, textEncoder?: TextMemory, selfTest?: boolean, activations?: Activations,
  /** The choices that `tune` made on this adapter, by name; absent: those of the device stay. */
  choices?: Array<string>, adapterInfo?: AdapterInfo,
};

/** A way from noise to a picture. */
export type SamplerName = "ddim" | "euler" | "euler_a" | "heun" | "dpmpp_2m" | "dpmpp_2m_karras" | "lcm" | "unipc" | "pndm" | "lms" | "ddpm" | "deis";

/** One or several stop strings. */
export type Stop = null | string | Array<string>;

/** Whether the text encoders are released once a prompt is encoded: for a new prompt they are read again from the
 * model's files.
 */
export type TextMemory = "auto" | "keep" | "release";

/** The features of a device that kernels use; each tier includes those before it. Everything works on [`Tier::Base`]. */
export type Tier = "base" | "subgroups" | "f16";

/** How long it took, in milliseconds. */
export type Timings = {

  /** Processing the prompt. */
  prefillMs: number,
  /** Everything after the first token. */
  decodeMs: number,
  /** From the call to the first token. */
  firstTokenMs: number,
  /** Tokens that came after the first, a stop token counted because its step took as long, by `decode_ms`. Zero if
   * none did.
   */
  tokensPerSecond: number,
};

/** A token of the answer with its likeliest alternatives. */
export type TokenLogprob = {

  /** The token. */
  token: number,
  /** Its log-probability. */
  logprob: number,
  /** The likeliest tokens at its place. */
  top: Array<Logprob>,
};

/** The measured time of a [`Choice`] beside that of the kernel in the table of variants. */
export type Tried = {

  /** Its name. */
  choice: ChoiceName,
  /** Seconds of the table's kernel, and of the choice's. */
  seconds: [number, number],
  /** Normalised mean squared difference of their results. */
  difference: number,
  /** Whether the choice is made from here on. */
  chosen: boolean,
};

/** How many tokens went in and out. */
export type Usage = {

  /** Tokens of the prompt. */
  promptTokens: number,
  /** Those of them that an earlier call had already processed. */
  cachedTokens: number,
  /** Tokens of the answer, a stop token not counted. */
  completionTokens: number,
};
