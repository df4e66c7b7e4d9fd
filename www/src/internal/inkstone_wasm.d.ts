// What the worker uses of the module that wasm-bindgen writes beside it.
import type { Estimate, GenerationResult, Message, ModelInfo, ProbeResult, Progress } from "../public/types.js";

export default function init(options: { module_or_path: URL }): Promise<unknown>;

/** What Rust reads a model's files through. */
export interface FileSet {
  /** The names known beforehand; empty for a folder that can't be listed. */
  names(): string[];
  /** Bytes; undefined when there is no such file. */
  size(name: string): Promise<number | undefined>;
  /** Exactly `length` bytes. */
  read(name: string, offset: number, length: number): Promise<Uint8Array>;
}

export class AbortFlag {
  abort(): void;
  free(): void;
}

export class WasmLanguageModel {
  private constructor();
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

export function probe(options: object): Promise<ProbeResult>;
export function estimate(files: FileSet, options: object): Promise<Estimate>;
