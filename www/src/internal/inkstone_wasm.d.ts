// Written by tools/build.mjs from what wasm-bindgen says of src/web: change that.
/** A LoRA to add to the weights. */
export interface LoraFiles {
    files: FileSet;
    name: string;
    scale: number;
}

/** A step; the preview is RGBA. */
export interface WireStep extends ImageStep {
    preview?: Uint8ClampedArray<ArrayBuffer>;
    width?: number;
    height?: number;
}

/** A finished picture: `pixels` is [height, width, 3] in 0 to 1, `latents` [channels, h, w]. */
export interface WirePicture extends Picture {
    pixels: Float32Array;
    latents: Float32Array;
}

/** A model's files, as Rust reads them. */
export interface FileSet {
    /** The names known beforehand; empty for a folder that can't be listed. */
    names(): string[];
    /** Bytes; undefined when there is no such file. */
    size(name: string): Promise<number | undefined>;
    /** Exactly `length` bytes. */
    read(name: string, offset: number, length: number): Promise<Uint8Array>;
    /** Closes open files. A later read reopens them. */
    release(): void;
}

import type {
    EmbedOptions,
    EmbeddingInfo,
    Estimate,
    GenerateOptions,
    GenerationResult,
    ImageInfo,
    ImageOptions,
    ImageStep,
    LanguageInfo,
    Picture,
    Probe,
    Progress,
    Roofline,
    RustLoadOptions,
    Tried,
} from "./generated.js";
import type { Message } from "../public/types.js";

/**
 * A caller's way to stop what it started.
 */
export class AbortFlag {
    free(): void;
    /**
     * Asks to stop.
     */
    abort(): void;
    /**
     * Makes a flag that is not raised.
     */
    constructor();
}

/**
 * A model that makes vectors or scores, in the worker.
 */
export class WasmEmbeddingModel {
    free(): void;
    /**
     * Frees everything on the GPU, as soon as no call uses it any more.
     */
    dispose(): void;
    /**
     * Makes a vector of each text, one after the other; `on_progress` hears how many are done.
     */
    embed(texts: string[], options: Partial<EmbedOptions>, on_progress: (done: number, total: number) => void, abort: AbortFlag): Promise<Float32Array>;
    /**
     * Returns the metadata of the loaded model: sizes, pooling, prompts.
     */
    info(): EmbeddingInfo;
    /**
     * Loads a model from its files.
     */
    static load(files: FileSet, options: RustLoadOptions, on_progress: (progress: Progress) => void, abort: AbortFlag): Promise<WasmEmbeddingModel>;
    /**
     * Makes a score of how well each document answers the query, in their order.
     */
    rerank(query: string, documents: string[], on_progress: (done: number, total: number) => void, abort: AbortFlag): Promise<Float32Array>;
    /**
     * Returns the token ids that are read of a text.
     */
    tokenize(text: string): Uint32Array;
}

/**
 * An image model in the worker.
 */
export class WasmImageModel {
    free(): void;
    /**
     * Frees everything on the GPU, as soon as no call uses it any more.
     */
    dispose(): void;
    /**
     * Paints pictures; `on_step` hears of each step.
     */
    generate(prompt: string, options: Partial<ImageOptions>, image: Uint8Array | number[] | null | undefined, mask: Uint8Array | number[] | null | undefined, latents: Float32Array | number[] | null | undefined, on_step: (step: WireStep) => void, abort: AbortFlag): Promise<WirePicture[]>;
    /**
     * Returns the metadata of the loaded model: its sizes, defaults, samplers and memory.
     */
    info(): ImageInfo;
    /**
     * Loads a model from its files, with adapters added to its weights.
     */
    static load(files: FileSet, options: RustLoadOptions, loras: LoraFiles[], on_progress: (progress: Progress) => void, abort: AbortFlag): Promise<WasmImageModel>;
}

/**
 * A language model in the worker.
 */
export class WasmLanguageModel {
    free(): void;
    /**
     * Returns the text of token ids.
     */
    detokenize(ids: Uint32Array | number[]): string;
    /**
     * Frees everything on the GPU, as soon as no call uses it any more.
     */
    dispose(): void;
    /**
     * Generates an answer; `on_text` hears the text as it appears.
     */
    generate(input: string | Message[], options: Partial<GenerateOptions>, on_text: (text: string, reasoning?: string) => void, abort: AbortFlag): Promise<GenerationResult>;
    /**
     * Returns the metadata of the loaded model: sizes, context length, encoding.
     */
    info(): LanguageInfo;
    /**
     * Loads a model from its files.
     */
    static load(files: FileSet, options: RustLoadOptions, on_progress: (progress: Progress) => void, abort: AbortFlag): Promise<WasmLanguageModel>;
    /**
     * Computes the logits after each token, [T * V].
     */
    logits(ids: Uint32Array | number[]): Promise<Float32Array>;
    /**
     * Returns the token ids of a text.
     */
    tokenize(text: string, special: boolean): Uint32Array;
}

/**
 * Returns whether a model fits, from its headers alone.
 */
export function estimate(files: FileSet, options: RustLoadOptions): Promise<Estimate>;

/**
 * Returns the capabilities of this browser's GPU, and whether our kernels compute correctly on it.
 */
export function probe(options: RustLoadOptions): Promise<Probe>;

/**
 * Measures the most that this browser's GPU can compute and read.
 */
export function roofline(options: RustLoadOptions): Promise<Roofline>;

export function start(): void;

/**
 * Measures which choices are quicker on this browser's GPU, and makes them.
 */
export function tune(options: RustLoadOptions): Promise<Tried[]>;

export default function init(options: { module_or_path: URL }): Promise<unknown>;
