import type { Files } from "./files.js";
import type { FileSet } from "./inkstone_wasm.js";

/**
 * A model's files beyond its load: closed when it is there, opened anew whenever some of its weights are read again, and
 * closed once more when that is done.
 */
export class Lasting implements FileSet {
  #files: Promise<Files> | undefined;
  readonly #names: string[];
  readonly #reopen: () => Promise<Files>;
  #loading = true;

  constructor(files: Files, reopen: () => Promise<Files>) {
    this.#files = Promise.resolve(files);
    this.#names = files.names();
    this.#reopen = reopen;
  }

  /** The load is over, and whoever opened the files has closed them. */
  loaded(): void {
    this.#loading = false;
    this.#files = undefined;
  }

  names(): string[] {
    return this.#names;
  }

  async size(name: string): Promise<number | undefined> {
    return (await this.#open()).size(name);
  }

  async read(name: string, offset: number, length: number): Promise<Uint8Array> {
    return (await this.#open()).read(name, offset, length);
  }

  release(): void {
    if (this.#loading) return;
    const files = this.#files;
    this.#files = undefined;
    // What can't be opened needs no closing.
    files?.then((open) => open.close(false)).catch(() => undefined);
  }

  #open(): Promise<Files> {
    if (!this.#files) {
      const files = this.#reopen();
      this.#files = files;
      // The next one may have more luck.
      files.catch(() => {
        if (this.#files === files) this.#files = undefined;
      });
    }
    return this.#files;
  }
}
