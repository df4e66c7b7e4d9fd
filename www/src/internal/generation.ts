import type { Generation, GenerationResult } from "../public/types.js";

/** Text that arrives piece by piece: every iterator starts at the beginning, and the result can be awaited as well. */
export class TextGeneration implements Generation {
  readonly #pieces: string[] = [];
  readonly #result: Promise<GenerationResult>;
  readonly #abort: () => void;
  #settled = false;
  #wake: (() => void)[] = [];

  /** `run` gets the function that takes each piece of text. */
  constructor(run: (push: (text: string) => void) => Promise<GenerationResult>, abort: () => void) {
    this.#abort = abort;
    this.#result = run((text) => {
      if (text === "") return;
      this.#pieces.push(text);
      this.#wakeAll();
    });
    const settle = () => {
      this.#settled = true;
      this.#wakeAll();
    };
    // Whoever only iterates sees the error there; it must not be reported as unhandled as well.
    this.#result.then(settle, settle);
  }

  abort(): void {
    this.#abort();
  }

  then<A = GenerationResult, B = never>(
    fulfilled?: ((value: GenerationResult) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(fulfilled, rejected);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<string> {
    let finished = false;
    try {
      for (let i = 0; ;) {
        const piece = this.#pieces[i];
        if (piece !== undefined) {
          i++;
          yield piece;
        } else if (this.#settled) {
          break;
        } else {
          await new Promise<void>((resolve) => this.#wake.push(resolve));
        }
      }
      finished = true;
      await this.#result;
    } finally {
      if (!finished) this.abort();
    }
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}
