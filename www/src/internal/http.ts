import { InkstoneError } from "../public/error.js";

/** How often in a row a request may fail before the load does. */
export const TRIES = 5;
/** No byte for so long counts as a broken connection. */
const STALL_MS = 30_000;
/** More than any tokenizer; a text file is read into memory whole. */
const MAX_TEXT = 256 * 1024 * 1024;

/** An answer that says no. */
export class HttpError extends Error {
  readonly status: number;

  constructor(url: string, status: number) {
    super(`${url}: HTTP ${status}`);
    this.status = status;
  }

  /** Whether asking again is no use. */
  get final(): boolean {
    return ![408, 425, 429].includes(this.status) && this.status < 500;
  }
}

/** An HTML answer: servers of single-page applications send one, with 200, for every path. */
export class WebPage extends HttpError {}

/**
 * Runs `attempt` until it succeeds. What is thrown at last: an InkstoneError or HttpError as it is, `Cancelled` when
 * the signal is aborted, otherwise `Fetch`.
 */
export async function retry<T>(url: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    throwIfAborted(signal);
    try {
      return await attempt();
    } catch (error) {
      throwIfAborted(signal);
      if (error instanceof InkstoneError || (error instanceof HttpError && error.final)) throw error;
      if (tries === TRIES) throw error instanceof HttpError ? error : unreachable(url, error);
      await pause(tries, signal);
    }
  }
}

function unreachable(url: string, cause: unknown): InkstoneError {
  const server = "the server can't be reached or doesn't allow this page (CORS)";
  const why = navigator.onLine === false ? "there is no network" : server;
  return new InkstoneError("Fetch", `${url}: ${why}: check the address and the connection and load again`, { cause });
}

/** Sends one GET from byte `from` on. Throws HttpError for an answer that isn't 2xx. */
export async function get(url: string, from: number, signal: AbortSignal, whole = false): Promise<Response> {
  const headers: Record<string, string> = from > 0 || whole ? { Range: `bytes=${from}-` } : {};
  // The browser's HTTP cache would keep a second copy of what the store keeps.
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(new TypeError("no answer")), STALL_MS);
  const response = await fetch(url, { headers, signal: AbortSignal.any([signal, stalled.signal]), cache: "no-store" });
  clearTimeout(timer);
  const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
  if (response.status === 206 && start && Number(start[1]) !== from) {
    throw new InkstoneError("Fetch", `${url}: the server answers another range than asked for: use another server`);
  }
  if (response.ok) return response;
  void response.body?.cancel().catch(() => undefined);
  throw new HttpError(url, response.status);
}

/** The bytes of a small file. */
export async function fetchBytes(url: string, signal: AbortSignal): Promise<{ bytes: Uint8Array; response: Response }> {
  return retry(url, signal, async () => {
    const response = await get(url, 0, signal);
    const claimed = Number(response.headers.get("content-length") ?? 0);
    if (claimed > MAX_TEXT) {
      void response.body?.cancel().catch(() => undefined);
      throw new InkstoneError("Format", `${url}: ${claimed} bytes are too many for such a file: check the address`);
    }
    return { bytes: new Uint8Array(await response.arrayBuffer()), response };
  });
}

export async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  const { bytes } = await fetchBytes(url, signal);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new InkstoneError("Fetch", `${url}: the answer isn't JSON: check the address`, { cause });
  }
}

/** Waits longer after each failure in a row. */
export function pause(failures: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, Math.min(250 * 2 ** (failures - 1), 4000));
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(new InkstoneError("Cancelled", "cancelled"));
      else resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Rejects when the next bytes take too long to come. */
export async function notStalled<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TypeError(`no byte for ${STALL_MS / 1000} s`)), STALL_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new InkstoneError("Cancelled", "cancelled");
}

/** Throws when an answer, or how it begins, is something else than the file that was asked for. */
export function refuseWebPage(url: string, response: Response | undefined, head?: Uint8Array): void {
  const type = response?.headers.get("content-type") ?? "";
  const start = new TextDecoder().decode(head?.subarray(0, 64)).trimStart().toLowerCase();
  if (/^(?:text\/html|application\/xhtml)/i.test(type) || /^<(?:!doctype html|html)/.test(start)) {
    void response?.body?.cancel().catch(() => undefined);
    throw new WebPage(url, response?.status ?? 200);
  }
  if (start.startsWith("version https://git-lfs")) {
    const what = "this is a Git LFS pointer, not the file: use the address that downloads it";
    throw new InkstoneError("Format", `${url}: ${what}`);
  }
}
