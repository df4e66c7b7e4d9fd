import { InkstoneError } from "../public/error.js";
import { fetchBytes, HttpError, refuseWebPage, throwIfAborted, WebPage } from "./http.js";
import type { PartialFile } from "./part.js";
import type { Store } from "./store.js";
import { Spoilt, Stream, versionOf } from "./stream.js";

/** Files that are read into memory whole, because they are small and servers compress them. */
const TEXT = /\.(?:json|jinja|txt|model|merges)$/i;
/** How much of a file is moved at a time. */
const STEP = 4 * 1024 * 1024;

export interface RemoteContext {
  signal: AbortSignal;
  store: Store | undefined;
  /** Called before a connection is opened, so that only a few are open at a time. */
  opening(file: RemoteFile): void;
}

/**
 * A file on a server, read as one stream from front to back; what passes is kept in the store. Reading backwards works
 * too, but costs a request unless the bytes are kept.
 */
export class RemoteFile {
  readonly name: string;
  readonly #url: string;
  /** Whether it is an error that there is no such file. */
  readonly #required: boolean;
  readonly #context: RemoteContext;
  readonly #stream: Stream;
  #opened: Promise<number | undefined> | undefined;
  #total = 0;
  /** Whether the size is known from an earlier visit and the server hasn't been asked. */
  #deferred = false;
  #local = false;
  /** The whole file, when it is at hand. */
  #whole: Blob | undefined;
  /** What is kept so far; undefined if nothing is, or everything. */
  #part: PartialFile | undefined;
  /** Whether the store has got it whole in this visit. */
  #finished = false;
  /** What has passed and may be asked for again: without a part nothing else remembers it. */
  #window: { at: number; bytes: Uint8Array }[] = [];

  constructor(name: string, url: string, required: boolean, context: RemoteContext) {
    this.name = name;
    this.#url = url;
    this.#required = required;
    this.#context = context;
    this.#stream = new Stream(url, context.signal, () => context.opening(this));
  }

  /** Whether it came from the store. */
  get local(): boolean {
    return this.#local;
  }

  /** Undefined when there is no such file. */
  size(): Promise<number | undefined> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async #open(): Promise<number | undefined> {
    const { store } = this.#context;
    this.#whole = await store?.whole(this.name);
    if (this.#whole) {
      this.#local = true;
      return (this.#total = this.#whole.size);
    }
    if (store?.isMissing(this.name) && !this.#required) return undefined;
    const known = store?.knownSize(this.name);
    if (known === undefined) return this.#request();
    this.#deferred = true;
    return (this.#total = known);
  }

  /** Asks the server for the file. */
  async #request(): Promise<number | undefined> {
    try {
      return (this.#total = await (TEXT.test(this.name) ? this.#openText() : this.#openStream()));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const absent = error instanceof WebPage || [403, 404, 410].includes(error.status);
      if (this.#required || !absent) throw this.#refusal(error);
      this.#context.store?.noteMissing(this.name);
      return undefined;
    }
  }

  async #openText(): Promise<number> {
    const { store, signal } = this.#context;
    const { bytes, response } = await fetchBytes(this.#url, signal);
    refuseWebPage(this.#url, response, bytes);
    this.#whole = new Blob([bytes as Uint8Array<ArrayBuffer>]);
    const part = await store?.create(this.name, bytes.length, versionOf(response));
    if (part?.write(bytes)) part.finish();
    return bytes.length;
  }

  async #openStream(): Promise<number> {
    const { store } = this.#context;
    const part = await store?.resume(this.name);
    const answer = await this.#stream.open(part && { ...part.target, length: part.length });
    if (answer) {
      part?.discard();
      return this.#spool(answer);
    }
    const { total = 0, pos, version } = this.#stream;
    if (part && pos === part.length) this.#part = part;
    else {
      part?.discard();
      this.#part = await store?.create(this.name, total, version);
    }
    return total;
  }

  /** Takes a file of unknown size in, since its size must be known before it is read; the browser keeps it on disk. */
  async #spool(response: Response): Promise<number> {
    const blob = await response.blob();
    this.#whole = blob;
    const part = await this.#context.store?.create(this.name, blob.size, versionOf(response));
    for (let at = 0; part?.open && at < blob.size; at += STEP) {
      part.write(await readBlob(blob, at, Math.min(STEP, blob.size - at)));
    }
    part?.finish();
    return blob.size;
  }

  /** Exactly `length` bytes from `offset` on. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if ((await this.size()) === undefined) throw this.#failure("there is no such file: check the address");
    const end = offset + length;
    if (end > this.#total) {
      const what = `it ends at byte ${this.#total}, before byte ${end}, and must be cut off: download it again`;
      throw new InkstoneError("Format", `${this.name}: ${what}`);
    }
    throwIfAborted(this.#context.signal);
    if (this.#deferred) await this.#catchUp();
    if (this.#finished && !this.#whole) {
      this.#whole = await this.#context.store?.whole(this.name);
      this.#window = [];
    }
    if (this.#whole) return readBlob(this.#whole, offset, length);
    const out = new Uint8Array(length);
    let filled = this.#recall(offset, out);
    if (filled < length) this.#seek(offset + filled);
    while (filled < length) {
      const at = this.#stream.pos;
      const chunk = await this.#next();
      const from = Math.max(offset + filled - at, 0);
      if (from >= chunk.length) continue;
      const piece = chunk.subarray(from, from + length - filled);
      out.set(piece, filled);
      filled += piece.length;
    }
    // With a part everything can be read again; without one, a reader that has left the head goes forward only.
    const passed = this.#part ? end : offset;
    this.#window = this.#window.filter(({ at, bytes }) => at + bytes.length > passed);
    return out;
  }

  /** Asks the server for a file whose size an earlier visit has noted. */
  async #catchUp(): Promise<void> {
    this.#deferred = false;
    const promised = this.#total;
    if ((await this.#request()) === promised) return;
    throw this.#failure("the file has changed on the server: delete the model from the cache and load it again");
  }

  /** Lets go of the connection; the next read opens another. */
  pause(): void {
    this.#stream.pause();
  }

  /** How many bytes the store still lacks of a file that has been begun. */
  get lacking(): number {
    return this.#part?.open && this.#stream.pos > 0 ? this.#total - this.#part.length : 0;
  }

  /** Fetches what nobody asked for, so that the stored file is whole. */
  async complete(): Promise<void> {
    if (this.lacking > 0) this.#seek(this.#part?.length ?? 0);
    while (this.lacking > 0) {
      await this.#next();
      this.#window = [];
    }
  }

  close(): void {
    this.pause();
    this.#window = [];
    this.#part?.close();
  }

  /** Copies what is still at hand of `[offset, offset + out.length)`, from its start; says how much that is. */
  #recall(offset: number, out: Uint8Array): number {
    let filled = 0;
    for (const { at, bytes } of this.#window) {
      const from = offset + filled - at;
      if (from < 0 || from >= bytes.length || filled === out.length) continue;
      const piece = bytes.subarray(from, from + out.length - filled);
      out.set(piece, filled);
      filled += piece.length;
    }
    const part = this.#part;
    if (filled === 0 && part?.open && offset < part.length) {
      const piece = out.subarray(0, part.length - offset);
      if (part.read(piece, offset)) filled = piece.length;
    }
    return filled;
  }

  #seek(offset: number): void {
    const { pos } = this.#stream;
    // A part has no holes.
    this.#stream.seek(offset, this.#part?.open === true);
    if (this.#stream.pos !== pos) this.#window = [];
  }

  /** The stream's next bytes, which are kept as they pass. */
  async #next(): Promise<Uint8Array> {
    let chunk: Uint8Array;
    try {
      chunk = await this.#stream.next();
    } catch (error) {
      if (error instanceof Spoilt) this.#part?.discard();
      throw error instanceof HttpError ? this.#refusal(error) : error;
    }
    const at = this.#stream.pos - chunk.length;
    const part = this.#part;
    if (part?.open && part.length === at && part.write(chunk) && part.length === this.#total) {
      part.finish();
      this.#part = undefined;
      this.#finished = true;
    }
    this.#window.push({ at, bytes: chunk });
    return chunk;
  }

  #refusal(error: HttpError): InkstoneError {
    const { status } = error;
    const file = `\`${this.name}\``;
    if (error instanceof WebPage) {
      const what = `the server answered with a web page (HTML) where ${file} was expected: check the address`;
      return new InkstoneError("Format", `${this.#url}: ${what}`, { cause: error });
    }
    if (status === 404 || status === 410) {
      return this.#failure(`there is no ${file} at this address (HTTP ${status}): check how it is written`, error);
    }
    if (status === 401 || status === 403) {
      const advice = "if it is private or asks for consent, download it and open it from disk";
      return this.#failure(`the server refuses ${file} (HTTP ${status}): ${advice}`, error);
    }
    return this.#failure(`the server answered HTTP ${status} for ${file}: try again later`, error);
  }

  #failure(what: string, cause?: unknown): InkstoneError {
    return new InkstoneError("Fetch", `${this.#url}: ${what}`, { cause });
  }
}

export async function readBlob(blob: Blob, offset: number, length: number): Promise<Uint8Array> {
  return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
}
