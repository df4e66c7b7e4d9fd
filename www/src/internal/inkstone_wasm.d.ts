// What the worker uses of the module that wasm-bindgen writes beside it.
import type {
  Estimate,
  GenerationResult,
  ImageInfo,
  Message,
  ModelInfo,
  ProbeResult,
  Progress,
  Roofline,
  Tried,
} from "../public/types.js";
import type { WirePicture, WireStep } from "./protocol.js";

export default function init(options: { module_or_path: URL }): Promise<unknown>;

/** What Rust reads a model's files through. */
export interface FileSet {
  /** The names known beforehand; empty for a folder that can't be listed. */
  names(): string[];
  /** Bytes; undefined when there is no such file. */
  size(name: string): Promise<number | undefined>;
  /** Exactly `length` bytes. */
  read(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** Nothing will be read for a while. */
  rest(): void;
}

export class AbortFlag {
  abort(): void;
  free(): void;
}

export class WasmLanguageModel {
  static load(
    files: FileSet,
    options: object,
    onProgress: (progress: Progress) => void,
    abort: AbortFlag,
  ): Promise<WasmLanguageModel>;
  info(): ModelInfo;
  generate(
    input: string | Message[],
    options: object,
    onText: (text: string, reasoning?: string) => void,
    abort: AbortFlag,
  ): Promise<GenerationResult>;
  tokenize(text: string, special: boolean): Uint32Array;
  detokenize(ids: Uint32Array): string;
  logits(ids: Uint32Array): Promise<Float32Array>;
  dispose(): void;
}

/** A LoRA to add to the weights. */
export interface LoraFiles {
  files: FileSet;
  name: string;
  scale: number;
}

export class WasmImageModel {
  static load(
    files: FileSet,
    options: object,
    loras: LoraFiles[],
    onProgress: (progress: Progress) => void,
    abort: AbortFlag,
  ): Promise<WasmImageModel>;
  info(): ImageInfo;
  generate(
    prompt: string,
    options: object,
    image: Uint8Array | undefined,
    mask: Uint8Array | undefined,
    latents: Float32Array | undefined,
    onStep: (step: WireStep) => void,
    abort: AbortFlag,
  ): Promise<WirePicture[]>;
  dispose(): void;
}

export function probe(options: object): Promise<ProbeResult>;
export function roofline(options: object): Promise<Roofline>;
export function tune(options: object): Promise<Tried[]>;
export function estimate(files: FileSet, options: object): Promise<Estimate>;
