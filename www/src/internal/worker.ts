import { InkstoneError } from "../public/error.js";
import { Files } from "./files.js";
import { prepareAdapter } from "./gpu.js";
import { throwIfAborted } from "./http.js";
import init, { AbortFlag, estimate, probe, WasmLanguageModel } from "./inkstone_wasm.js";
import { serve, type Handlers } from "./rpc.js";
import { clearStore, deleteFromStore, listStore } from "./store.js";

let ready: Promise<unknown> | undefined;
const models = new Map<number, WasmLanguageModel>();
let nextModel = 1;
let lastLoad: Promise<unknown> = Promise.resolve();

/** Compiles the wasm, once; a failure can be tried again. */
async function wasm(): Promise<void> {
  const address = new URL("./inkstone_wasm_bg.wasm", import.meta.url);
  try {
    await (ready ??= init({ module_or_path: address }));
  } catch (cause) {
    ready = undefined;
    const what = `the wasm can't be loaded (${cause}): serve it beside worker.js`;
    throw new InkstoneError("Fetch", `${address}: ${what}`, { cause });
  }
}

function model(id: number): WasmLanguageModel {
  const found = models.get(id);
  if (!found) throw new InkstoneError("Unsupported", "the model has been disposed of: load it again");
  return found;
}

/** Runs `job` with a flag that Rust looks at, raised when the signal is aborted. */
async function withFlag<T>(signal: AbortSignal, job: (flag: AbortFlag) => Promise<T>): Promise<T> {
  const flag = new AbortFlag();
  const raise = () => flag.abort();
  if (signal.aborted) raise();
  signal.addEventListener("abort", raise, { once: true });
  try {
    return await job(flag);
  } finally {
    signal.removeEventListener("abort", raise);
    flag.free();
  }
}

/** One load at a time: what fits is only known when the one before has taken its memory. */
function inTurn<T>(job: () => Promise<T>): Promise<T> {
  const turn = lastLoad.then(job);
  lastLoad = turn.catch(() => undefined);
  return turn;
}

const handlers: Handlers = {
  load: ({ source, options }, { signal, emit }) =>
    inTurn(async () => {
      throwIfAborted(signal);
      const [adapterInfo] = await Promise.all([prepareAdapter(options), wasm()]);
      const files = await Files.open(source, options.cache === false ? "off" : "keep", signal);
      // Rust may be in the middle of something else when the page no longer wants the model.
      signal.addEventListener("abort", () => void files.close(false), { once: true });
      let complete = false;
      try {
        const loaded = await withFlag(signal, (flag) =>
          WasmLanguageModel.load(
            files,
            { ...options, adapterInfo },
            (progress) => emit({ ...progress, local: files.isLocal(progress.file) }),
            flag,
          ),
        );
        const id = nextModel++;
        models.set(id, loaded);
        complete = true;
        return { model: id, info: loaded.info() };
      } catch (error) {
        throw files.failure ?? error;
      } finally {
        await files.close(complete);
      }
    }),

  generate: ({ model: id, input, options }, { signal, emit }) =>
    withFlag(signal, (flag) =>
      model(id).generate(input, options, (text, reasoning) => emit({ text, reasoning: reasoning ?? "" }), flag),
    ),

  tokenize: async ({ model: id, text, special }) => model(id).tokenize(text, special),

  detokenize: async ({ model: id, tokens }) => model(id).detokenize(tokens),

  logits: async ({ model: id, tokens }) => model(id).logits(tokens),

  dispose: async ({ model: id }) => {
    const found = models.get(id);
    models.delete(id);
    found?.dispose();
  },

  probe: async ({ options }) => {
    try {
      const [adapterInfo] = await Promise.all([prepareAdapter(options), wasm()]);
      return await probe({ ...options, adapterInfo });
    } catch (error) {
      if (!(error instanceof InkstoneError) || !["Unsupported", "Gpu"].includes(error.code)) throw error;
      return {
        supported: false,
        reason: error.message,
        adapter: "",
        tier: "",
        limits: {},
        budgetBytes: 0,
        kernels: [],
      };
    }
  },

  estimate: async ({ source, options }, { signal }) => {
    const [adapterInfo] = await Promise.all([prepareAdapter(options), wasm()]);
    const files = await Files.open(source, options.cache === false ? "off" : "read", signal);
    try {
      const answer = await estimate(files, { ...options, adapterInfo });
      return { ...answer, download: Math.max(0, answer.download - (await files.localBytes())) };
    } catch (error) {
      throw files.failure ?? error;
    } finally {
      await files.close(false);
    }
  },

  cacheList: () => listStore(),

  cacheDelete: ({ key }) => deleteFromStore(key),

  cacheClear: () => clearStore(),

  cacheBytes: async () => (await listStore()).reduce((sum, { bytes }) => sum + bytes, 0),
};

serve(handlers);
