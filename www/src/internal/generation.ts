/** What arrives piece by piece: every iterator starts at the beginning, and the result can be awaited as well. */
export class LiveGeneration<Piece, Result> implements AsyncIterable<Piece>, PromiseLike<Result> {
  readonly #pieces: Piece[] = [];
  readonly #result: Promise<Result>;
  readonly #abort: () => void;
  #settled = false;
  #wake: (() => void)[] = [];

  /** `run` gets the function that takes each piece. */
  constructor(run: (push: (piece: Piece) => void) => Promise<Result>, abort: () => void) {
    this.#abort = abort;
    this.#result = run((piece) => {
      this.#pieces.push(piece);
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

  then<A = Result, B = never>(
    fulfilled?: ((value: Result) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(fulfilled, rejected);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Piece> {
    let finished = false;
    try {
      for (let i = 0; ;) {
        if (i < this.#pieces.length) {
          yield this.#pieces[i++] as Piece;
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
