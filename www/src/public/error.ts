import type { ERROR_CODES } from "../internal/generated.js";

/**
 * Who must act, by kind of failure. The names equal the variants of the Rust `Error`.
 *
 * - `Format`: a file is damaged or isn't what its name says.
 * - `Missing`: the model lacks a tensor.
 * - `Shape`: a tensor has another shape than the configuration says.
 * - `Unsupported`: this version, this browser or this object can't do it.
 * - `TooLarge`: more memory or context than there is.
 * - `Gpu`: the GPU, its driver or the worker that drives it failed.
 * - `Fetch`: bytes couldn't be read.
 * - `Cancelled`: the caller asked to stop.
 */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Every failure of this package. `message` says what to do; `code` says who must do it. */
export class InkstoneError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "InkstoneError";
    this.code = code;
  }
}
