import { InkstoneError } from "../public/error.js";
import type { Calls, Method, Reply, Request } from "./protocol.js";

interface Pending {
  resolve(value: unknown): void;
  reject(error: InkstoneError): void;
  event: ((value: never) => void) | undefined;
}

interface CallOptions<M extends Method> {
  /** Aborting rejects the call at once; the worker is told and what it may still answer goes to `late`. */
  signal?: AbortSignal | undefined;
  event?: (value: Calls[M]["event"]) => void;
  late?: (answer: Calls[M]["answer"]) => void;
}

/**
 * The page's end of the worker. There is one worker for all models of a page: one device, one memory. It is started by
 * the first call and, after a crash, by the first call that needs a new one.
 */
export class Connection {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #greeted = false;
  #dead: InkstoneError | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#receive(data);
    worker.onmessageerror = () => this.#die("it sent a message that could not be read");
    worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message || "it stopped without a message");
    };
  }

  /** Why nothing can be asked any more; undefined while all is well. */
  get dead(): InkstoneError | undefined {
    return this.#dead;
  }

  async call<M extends Method>(
    method: M,
    args: Calls[M]["args"],
    { signal, event, late }: CallOptions<M> = {},
  ): Promise<Calls[M]["answer"]> {
    if (this.#dead) throw this.#dead;
    if (signal?.aborted) throw cancelled();
    const id = this.#nextId++;
    const answer = new Promise<Calls[M]["answer"]>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, event });
    });
    try {
      this.#send({ type: "call", id, method, args });
    } catch (cause) {
      this.#pending.delete(id);
      const what = `the arguments of \`${method}\` can't be sent to the worker: ${cause}`;
      throw new InkstoneError("Unsupported", what, { cause });
    }
    if (!signal) return answer;
    return new Promise((resolve, reject) => {
      let left = false;
      const abort = () => {
        left = true;
        this.#send({ type: "abort", id });
        reject(cancelled());
      };
      signal.addEventListener("abort", abort, { once: true });
      answer
        .then((value) => (left ? late?.(value) : resolve(value)), reject)
        .finally(() => signal.removeEventListener("abort", abort));
    });
  }

  /** Like `call` for one that answers by itself soon after `abort`: gives the answer and the way to abort. */
  start<M extends Method>(method: M, args: Calls[M]["args"], event: (value: Calls[M]["event"]) => void) {
    const id = this.#nextId;
    return { answer: this.call(method, args, { event }), abort: () => this.#send({ type: "abort", id }) };
  }

  #send(request: Request): void {
    if (!this.#dead) this.#worker.postMessage(request);
  }

  #receive(reply: Reply): void {
    if (reply.type === "hello") {
      this.#greeted = true;
      return;
    }
    if (reply.type === "crash") return this.#die(reply.message);
    const pending = this.#pending.get(reply.id);
    if (!pending) return;
    if (reply.type === "event") return notify(pending.event, reply.value);
    this.#pending.delete(reply.id);
    if (reply.type === "answer") pending.resolve(reply.value);
    else pending.reject(new InkstoneError(reply.code, reply.message));
  }

  #die(what: string): void {
    if (this.#dead) return;
    this.#dead = this.#greeted
      ? new InkstoneError("Gpu", `the worker that computes has stopped (${what}): load the model again`)
      : new InkstoneError("Fetch", `the worker could not be started (${what}): serve worker.js beside inkstone.js`);
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(this.#dead);
    this.#pending.clear();
  }
}

export function cancelled(): InkstoneError {
  return new InkstoneError("Cancelled", "cancelled");
}

/** Calls what the user gave; an error in there is theirs and must not stop ours. */
export function notify<T>(listener: ((value: T) => void) | undefined, value: unknown): void {
  try {
    listener?.(value as T);
  } catch (error) {
    reportError(error);
  }
}

let current: Connection | undefined;

/** The page's worker: the running one, or a fresh one. */
export function connection(): Connection {
  if (!current || current.dead) current = new Connection(startWorker());
  return current;
}

function startWorker(): Worker {
  if (typeof Worker === "undefined") {
    throw new InkstoneError("Unsupported", "there are no web workers here: models load in a browser's page");
  }
  try {
    // Bundlers look for exactly this expression.
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "inkstone" });
  } catch (error) {
    // A page may import this file from another origin (a CDN), which may not be a worker's address but may be imported
    // by one. Bundlers have dealt with the worker above and leave this address alone.
    const address = new URL(/* webpackIgnore: true */ /* @vite-ignore */ "./worker.js", import.meta.url);
    const script = new Blob([`import ${JSON.stringify(address.href)};`], { type: "text/javascript" });
    const url = URL.createObjectURL(script);
    try {
      return new Worker(url, { type: "module", name: "inkstone" });
    } catch {
      const what = `the page may not start a worker (${error}): allow it in worker-src`;
      throw new InkstoneError("Unsupported", what, { cause: error });
    }
  }
}
