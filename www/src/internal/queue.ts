/** First come, first served; one at a time. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs `job` when those before it are done. A job whose `signal` is aborted while it waits never starts: its turn
   * passes, and `skipped` makes its answer at once.
   */
  run<T>(signal: AbortSignal | undefined, job: () => Promise<T>, skipped: () => T | Promise<T>): Promise<T> {
    const before = this.#last;
    const answer = new Promise<T>((resolve, reject) => {
      let waiting = true;
      const skip = () => {
        if (!waiting) return;
        waiting = false;
        Promise.resolve().then(skipped).then(resolve, reject);
      };
      if (signal?.aborted) skip();
      signal?.addEventListener("abort", skip, { once: true });
      const turn = before.then(async () => {
        signal?.removeEventListener("abort", skip);
        if (!waiting) return;
        waiting = false;
        await job().then(resolve, reject);
      });
      this.#last = turn;
    });
    return answer;
  }

  /** Resolves when everything that was asked for so far is done. */
  idle(): Promise<unknown> {
    return this.#last;
  }
}
