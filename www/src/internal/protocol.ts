import type { ErrorCode } from "../public/error.js";
import type {
  CacheEntry,
  DeviceOptions,
  EmbedOptions,
  EmbeddingInfo,
  Estimate,
  GenerateOptions,
  GenerationResult,
  ImageInfo,
  ImageLoadOptions,
  ImageOptions,
  LoadOptions,
  Message,
  ModelInfo,
  ProbeResult,
  Progress,
  Roofline,
  Tried,
} from "../public/types.js";
import type { WirePicture, WireStep } from "./inkstone_wasm.js";

export type { WirePicture, WireStep };

/** A source as it travels to the worker; `key` names it in the store. */
export type Description = { key: string } & (
  | { kind: "hub"; hub: string; repo: string; revision?: string; file?: string; quantization?: string }
  | { kind: "url"; url: string }
  | { kind: "files"; files: { name: string; content: Blob | string }[] }
);

export type WireLoadOptions = Omit<LoadOptions, "signal" | "onProgress" | "lora" | "hub">;
export type WireImageLoadOptions = Omit<ImageLoadOptions, "signal" | "onProgress" | "lora" | "hub">;
export type WireImageOptions = Omit<ImageOptions, "signal" | "image" | "mask" | "latents">;
/** A LoRA on its way to the worker. */
export type WireLora = { source: Description; name: string; scale: number };
export type WireEmbedOptions = Omit<EmbedOptions, "signal" | "onProgress">;
export type WireGenerateOptions = Omit<GenerateOptions, "signal" | "onReasoning">;

/** How many of the texts of a call are done. */
export interface Share {
  done: number;
  total: number;
}

/** What the page may ask of the worker: arguments, answer, and what comes in between. */
export interface Calls {
  load: {
    args: { source: Description; options: WireLoadOptions };
    answer: { model: number; info: ModelInfo };
    event: Progress;
  };
  generate: {
    args: { model: number; input: string | Message[]; options: WireGenerateOptions };
    answer: GenerationResult;
    event: { text: string; reasoning: string };
  };
  tokenize: { args: { model: number; text: string; special: boolean }; answer: Uint32Array; event: never };
  detokenize: { args: { model: number; tokens: Uint32Array }; answer: string; event: never };
  logits: { args: { model: number; tokens: Uint32Array }; answer: Float32Array; event: never };
  loadEmbedding: {
    args: { source: Description; options: WireLoadOptions };
    answer: { model: number; info: EmbeddingInfo };
    event: Progress;
  };
  embed: {
    args: { model: number; texts: string[]; options: WireEmbedOptions };
    answer: Float32Array;
    event: Share;
  };
  rerank: { args: { model: number; query: string; documents: string[] }; answer: Float32Array; event: Share };
  tokenizeText: { args: { model: number; text: string }; answer: Uint32Array; event: never };
  loadImage: {
    args: { source: Description; options: WireImageLoadOptions; loras: WireLora[] };
    answer: { model: number; info: ImageInfo };
    event: Progress;
  };
  paint: {
    args: {
      model: number;
      prompt: string;
      options: WireImageOptions;
      image?: Uint8ClampedArray<ArrayBuffer>;
      mask?: Uint8ClampedArray<ArrayBuffer>;
      latents?: Float32Array;
    };
    answer: { pictures: WirePicture[]; info: ImageInfo };
    event: WireStep;
  };
  dispose: { args: { model: number }; answer: void; event: never };
  probe: { args: { options: DeviceOptions }; answer: ProbeResult; event: never };
  roofline: { args: { options: DeviceOptions }; answer: Roofline; event: never };
  tune: { args: { options: DeviceOptions & Pick<LoadOptions, "activations"> }; answer: Tried[]; event: never };
  estimate: { args: { source: Description; options: WireLoadOptions }; answer: Estimate; event: never };
  cacheList: { args: object; answer: CacheEntry[]; event: never };
  cacheDelete: { args: { key: string }; answer: boolean; event: never };
  cacheClear: { args: object; answer: void; event: never };
  cacheBytes: { args: object; answer: number; event: never };
}

export type Method = keyof Calls;

export type Request = { type: "call"; id: number; method: Method; args: unknown } | { type: "abort"; id: number };

export type Reply =
  | { type: "hello" }
  | { type: "answer"; id: number; value: unknown }
  | { type: "error"; id: number; code: ErrorCode; message: string }
  | { type: "event"; id: number; value: unknown }
  | { type: "crash"; message: string };
