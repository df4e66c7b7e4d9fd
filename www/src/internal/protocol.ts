import type { ErrorCode } from "../public/error.js";
import type {
  CacheEntry,
  DeviceOptions,
  Estimate,
  GenerateOptions,
  GenerationResult,
  LoadOptions,
  Message,
  ModelInfo,
  ProbeResult,
  Progress,
} from "../public/types.js";

/** A source as it travels to the worker; `key` names it in the store. */
export type Description = { key: string } & (
  | { kind: "hub"; hub: string; repo: string; revision?: string; file?: string; quantization?: string }
  | { kind: "url"; url: string }
  | { kind: "files"; files: { name: string; content: Blob | string }[] }
);

export type WireLoadOptions = Omit<LoadOptions, "signal" | "onProgress" | "lora" | "hub">;
export type WireGenerateOptions = Omit<GenerateOptions, "signal" | "onReasoning">;

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
  dispose: { args: { model: number }; answer: void; event: never };
  probe: { args: { options: DeviceOptions }; answer: ProbeResult; event: never };
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
