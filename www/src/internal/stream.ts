import { InkstoneError } from "../public/error.js";
import { get, HttpError, notStalled, pause, refuseWebPage, retry, throwIfAborted, TRIES } from "./http.js";

/** Rather than read through a longer gap that nobody needs, ask for what comes after it. */
const MAX_GAP = 4 * 1024 * 1024;

/** What identifies one version of a file on a server; absent when the server doesn't say. */
export interface Version {
  etag?: string;
  modified?: string;
}

/** Why a file can't be gone on with, and what is kept of it is worth nothing. */
export class Spoilt extends InkstoneError {}

/** The bytes of a file on a server, from front to back, over connections that may break. */
export class Stream {
  readonly #url: string;
  readonly #signal: AbortSignal;
  readonly #opening: () => void;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Read already, but not given out yet. */
  #ahead: Uint8Array | undefined;
  /** Whether the server sends ranges, as far as that has come out. */
  #ranges = false;
  /** The file's size; undefined until the server has said it. */
  total: number | undefined;
  version: Version = {};
  /** The offset of what comes next. */
  pos = 0;

  /** `opening` is called before each connection, so that only a few are open at a time. */
  constructor(url: string, signal: AbortSignal, opening: () => void) {
    this.#url = url;
    this.#signal = signal;
    this.#opening = opening;
  }

  /**
   * Asks for the file, from the end of a part of it that is kept. `pos` then says from where the server sends it: from
   * 0 if the part is of another version or the server knows no ranges. When the server doesn't say how large the file
   * is, its answer is returned, to be taken as it comes; otherwise the stream is ready.
   */
  open(part?: Version & { bytes: number; length: number }): Promise<Response | undefined> {
    return retry(this.#url, this.#signal, async () => {
      let from = part?.length ?? 0;
      let response = await this.#connect(from).catch((error) => {
        // The file has become shorter than the part.
        if (from === 0 || !(error instanceof HttpError) || error.status !== 416) throw error;
        from = 0;
        return this.#connect(0);
      });
      const goesOn = part && response.status === 206 && isSame(part, versionOf(response), false);
      if (from > 0 && !(goesOn && totalOf(response, from) === part?.bytes)) {
        from = 0;
        if (response.status === 206) {
          drop(response);
          response = await this.#connect(0);
        }
      }
      let total = totalOf(response, from);
      if (total === undefined) {
        // The server compresses, or makes the file up as it goes; a range is sent as it is and with the size.
        drop(response);
        response = await this.#connect(0, true);
        total = totalOf(response, 0);
      }
      this.version = versionOf(response);
      refuseWebPage(this.#url, response);
      if (total === undefined) return response;
      this.total = total;
      this.pos = from;
      this.#use(response);
      return undefined;
    });
  }

  /** The next bytes; the connection is opened, and taken up again where it broke, as need be. */
  async next(): Promise<Uint8Array> {
    for (let failures = 0; ;) {
      throwIfAborted(this.#signal);
      try {
        if (!this.#reader) await this.#reopen();
        const chunk = this.#ahead ?? (await this.#pull());
        this.#ahead = undefined;
        if (chunk.length > 0) return this.#checked(chunk);
      } catch (error) {
        this.pause();
        throwIfAborted(this.#signal);
        if (error instanceof InkstoneError || (error instanceof HttpError && error.final)) throw error;
        if (++failures === TRIES) {
          const where = `the connection broke at byte ${this.pos} of ${this.total}, ${TRIES} attempts to go on failed`;
          const what = `${this.#url}: ${where}: check the connection and load again`;
          throw new InkstoneError("Fetch", what, { cause: error });
        }
        await pause(failures, this.#signal);
      }
    }
  }

  /** Makes `offset` what comes next; or, if reading on gets there soon or `gapless` is wanted, something before it. */
  seek(offset: number, gapless: boolean): void {
    const gap = offset - this.pos;
    if (gap >= 0 && (gap <= MAX_GAP || gapless || !this.#ranges)) return;
    this.pause();
    this.pos = offset;
  }

  /** Lets go of the connection; the next read opens another. */
  pause(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#ahead = undefined;
    void reader?.cancel().catch(() => undefined);
  }

  async #connect(from: number, whole = false): Promise<Response> {
    this.#opening();
    const response = await get(this.#url, from, this.#signal, whole);
    if (response.status === 206 || response.headers.get("accept-ranges") === "bytes") this.#ranges = true;
    else if (from > 0) this.#ranges = false;
    return response;
  }

  #use(response: Response): void {
    if (!response.body) throw new InkstoneError("Fetch", `${this.#url}: the answer has no content: try again`);
    this.#reader = response.body.getReader();
  }

  /** Goes on at `pos`, even if the server can only start anew. */
  async #reopen(): Promise<void> {
    const { pos, total } = this;
    const response = await this.#connect(pos);
    const start = response.status === 206 ? pos : 0;
    refuseWebPage(this.#url, response);
    if (!isSame(this.version, versionOf(response), true) || (totalOf(response, start) ?? total) !== total) {
      drop(response);
      throw new Spoilt("Fetch", `${this.#url}: the file has changed on the server in the meantime: load again`);
    }
    this.#use(response);
    for (let skipped = start; skipped < pos;) {
      const chunk = await this.#pull();
      skipped += chunk.length;
      if (skipped > pos) this.#ahead = chunk.subarray(chunk.length - (skipped - pos));
    }
  }

  async #pull(): Promise<Uint8Array> {
    const value = this.#reader && (await notStalled(this.#reader.read())).value;
    if (!value) throw new TypeError("the connection ended early");
    return value;
  }

  #checked(chunk: Uint8Array): Uint8Array {
    if (this.pos === 0) refuseWebPage(this.#url, undefined, chunk);
    this.pos += chunk.length;
    if (this.pos <= (this.total ?? 0)) return chunk;
    const what = "the server sends more bytes than it announced: have it serve the file uncompressed";
    throw new Spoilt("Fetch", `${this.#url}: ${what}`);
  }
}

/** What the server says of a file's version. A weak etag serves as well: servers weaken them when they compress. */
export function versionOf({ headers }: Response): Version {
  const etag = headers.get("etag")?.replace(/^W\//, "");
  const modified = headers.get("last-modified");
  return { ...(etag !== undefined && { etag }), ...(modified !== null && { modified }) };
}

/** Whether two answers are of the same version of a file. `unsure` is the verdict when they don't say. */
function isSame(a: Version, b: Version, unsure: boolean): boolean {
  if (a.etag !== undefined && b.etag !== undefined) return a.etag === b.etag;
  if (a.modified !== undefined && b.modified !== undefined) return a.modified === b.modified;
  return unsure;
}

/** The whole file's size by an answer that starts at `from`; undefined when it doesn't say. */
function totalOf({ status, headers }: Response, from: number): number | undefined {
  const range = /\/(\d+)$/.exec(headers.get("content-range") ?? "");
  if (range) return Number(range[1]);
  const length = headers.get("content-length");
  if (length === null || !/^\d+$/.test(length) || headers.has("content-encoding")) return undefined;
  return Number(length) + (status === 206 ? from : 0);
}

function drop(response: Response): void {
  void response.body?.cancel().catch(() => undefined);
}
