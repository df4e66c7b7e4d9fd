import type { ErrorCode } from "../public/error.js";
import { ERROR_CODES } from "./generated.js";
import type { Calls, Method, Reply, Request } from "./protocol.js";

interface Scope<M extends Method> {
  /** Aborted when the page no longer wants the answer. */
  signal: AbortSignal;
  emit(event: Calls[M]["event"]): void;
}

/** What the worker does for each call. */
export type Handlers = {
  [M in Method]: (args: Calls[M]["args"], scope: Scope<M>) => Promise<Calls[M]["answer"]>;
};

const CODES: readonly string[] = ERROR_CODES;

/** Answers the page's calls. A failed call is answered with its error; only a trap in the wasm ends the worker. */
export function serve(handlers: Handlers): void {
  const running = new Map<number, AbortController>();
  const send = (reply: Reply, transfer: Transferable[] = []) => self.postMessage(reply, { transfer });

  async function answer({ id, method, args }: Extract<Request, { type: "call" }>): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    const scope = { signal: controller.signal, emit: (value: unknown) => send({ type: "event", id, value }) };
    try {
      const handler = handlers[method] as (args: unknown, scope: unknown) => Promise<unknown>;
      const value = await handler(args, scope);
      // wasm-bindgen hands out copies, so their memory may go over.
      send({ type: "answer", id, value }, ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : []);
    } catch (error) {
      if (isTrap(error)) crash(error);
      send({ type: "error", id, ...describe(error) });
    } finally {
      running.delete(id);
    }
  }

  function crash(error: unknown): void {
    send({ type: "crash", message: describe(error).message });
  }

  self.addEventListener("message", ({ data }: MessageEvent<Request>) => {
    if (data.type === "abort") running.get(data.id)?.abort();
    else void answer(data);
  });
  // A trap inside a future surfaces here, and the call that waits for the future would wait for ever.
  self.addEventListener("error", (event) => crash(event.error ?? event.message));
  self.addEventListener("unhandledrejection", (event) => {
    if (isTrap(event.reason)) crash(event.reason);
  });
  send({ type: "hello" });
}

/** After a trap the wasm's memory can't be trusted any more. */
function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}

/** Rust rejects with plain `{code, message}`; whatever else comes is a failure of the machinery. */
function describe(error: unknown): { code: ErrorCode; message: string } {
  if (error !== null && typeof error === "object" && "code" in error && CODES.includes(String(error.code))) {
    return { code: error.code as ErrorCode, message: "message" in error ? String(error.message) : String(error.code) };
  }
  return { code: "Gpu", message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}
