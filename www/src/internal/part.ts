import type { Version } from "./stream.js";

/** What the store notes of a file. */
export interface Entry extends Version {
  /** Its name in the store. */
  file: string;
  bytes: number;
  done: boolean;
}

/** What lib.dom lacks, because only workers have it. */
export interface SyncAccessHandle {
  read(buffer: ArrayBufferView, options?: { at?: number }): number;
  write(buffer: ArrayBufferView, options?: { at?: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}
/** A file that grows at its end as its bytes arrive. */
export class PartialFile {
  readonly #access: SyncAccessHandle;
  readonly #entry: Entry;
  readonly #closed: () => void;
  #open = true;
  /** How many bytes of the file are there, from its start. */
  length: number;

  constructor(access: SyncAccessHandle, entry: Entry, closed: () => void) {
    this.#access = access;
    this.#entry = entry;
    this.#closed = closed;
    this.length = access.getSize();
  }

  /** Size and version of the whole file. */
  get target(): Readonly<Version & { bytes: number }> {
    return this.#entry;
  }

  get open(): boolean {
    return this.#open;
  }

  read(buffer: Uint8Array, at: number): boolean {
    return this.#open && this.#access.read(buffer, { at }) === buffer.length;
  }

  /** Appends; false, once and for all, when the browser has no more room. */
  write(bytes: Uint8Array): boolean {
    if (!this.#open) return false;
    try {
      const written = this.#access.write(bytes, { at: this.length });
      if (written === bytes.length) {
        this.length += written;
        return true;
      }
    } catch (error) {
      console.warn(`inkstone: the model won't be kept for the next visit: ${error}`);
    }
    this.discard();
    return false;
  }

  /** To be called when every byte has been written. */
  finish(): void {
    if (this.length === this.#entry.bytes) this.#entry.done = true;
    this.close();
  }

  /** Gives the room back. */
  discard(): void {
    if (!this.#open) return;
    this.#access.truncate(0);
    this.length = 0;
    this.close();
  }

  /** What has arrived stays for the next visit. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#access.flush();
    this.#access.close();
    this.#closed();
  }
}
