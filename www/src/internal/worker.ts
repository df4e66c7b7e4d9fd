import { InkstoneError } from "../public/error.js";
import { choicesFor, remeasured } from "./choices.js";
import { Files } from "./files.js";
import { prepareAdapter } from "./gpu.js";
import { throwIfAborted } from "./http.js";
import init, {
  AbortFlag,
  estimate,
  probe,
  roofline,
  tune,
  WasmEmbeddingModel,
  WasmImageModel,
  WasmLanguageModel,
} from "./inkstone_wasm.js";
import { Lasting } from "./lasting.js";
import type { DeviceOptions, Progress } from "../public/types.js";
import type { Progress as RustProgress } from "./generated.js";
import type { Description, WireLoadOptions } from "./protocol.js";
import { serve, type Handlers } from "./rpc.js";
import { clearStore, deleteFromStore, listStore } from "./store.js";

type Model = WasmLanguageModel | WasmEmbeddingModel | WasmImageModel;

let ready: Promise<unknown> | undefined;
const models = new Map<number, Model>();
/** Files that loaded models may read again. */
const lasting = new Map<number, Lasting[]>();
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

function model<M>(id: number, kind: abstract new (...args: never) => M): M {
  const found = models.get(id);
  if (!(found instanceof kind)) throw new InkstoneError("Unsupported", "the model has been disposed of: load it again");
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

/** One load or measurement at a time: what fits is only known when the load before has taken its memory. */
function inTurn<T>(job: () => Promise<T>): Promise<T> {
  const turn = lastLoad.then(job);
  lastLoad = turn.catch(() => undefined);
  return turn;
}

/** What Rust is told of the adapter: what it is, and what was chosen for it. `measure`: choose now, if not before. */
async function deviceFor<O extends DeviceOptions>(options: O, measure = false): Promise<O & { choices: string[] }> {
  const [adapterInfo] = await Promise.all([prepareAdapter(options), wasm()]);
  const device = { ...options, adapterInfo };
  return { ...device, choices: await choicesFor(options, adapterInfo, measure ? () => tune(device) : undefined) };
}

/** Opens the files of `sources` and hands them to `load`; what it makes is kept until it is disposed of. */
function loadModel<M extends Model, O extends WireLoadOptions>(
  sources: Description[],
  options: O,
  signal: AbortSignal,
  emit: (progress: Progress) => void,
  measure: boolean,
  load: (files: Files[], options: O, report: (progress: RustProgress) => void, flag: AbortFlag) => Promise<M>,
): Promise<{ model: number; info: ReturnType<M["info"]> }> {
  return inTurn(async () => {
    throwIfAborted(signal);
    const device = await deviceFor(options, measure);
    throwIfAborted(signal);
    const files: Files[] = [];
    let complete = false;
    try {
      for (const source of sources) {
        files.push(await Files.open(source, options.cache === false ? "off" : "keep", signal));
      }
      // Rust may be in the middle of something else when the page no longer wants the model.
      signal.addEventListener("abort", () => files.forEach((f) => void f.close(false)), { once: true });
      const isLocal = (name: string) => files[0]?.isLocal(name) ?? false;
      const loaded = await withFlag(signal, (flag) =>
        load(files, device, (p) => emit({ ...p, local: isLocal(p.file) }), flag),
      );
      const id = nextModel++;
      models.set(id, loaded);
      complete = true;
      return { model: id, info: loaded.info() as ReturnType<M["info"]> };
    } catch (error) {
      throw files.find((f) => f.failure)?.failure ?? error;
    } finally {
      for (const f of files) await f.close(complete);
    }
  });
}

const handlers: Handlers = {
  load: ({ source, options }, { signal, emit }) =>
    loadModel([source], options, signal, emit, options.activations === "int8", ([files], all, report, flag) =>
      WasmLanguageModel.load(files as Files, all, report, flag),
    ),

  loadEmbedding: ({ source, options }, { signal, emit }) =>
    loadModel([source], options, signal, emit, false, ([files], all, report, flag) =>
      WasmEmbeddingModel.load(files as Files, all, report, flag),
    ),

  loadImage: async ({ source, options, loras }, { signal, emit }) => {
    const sources = [source, ...loras.map((l) => l.source)];
    const open = async (i: number): Promise<Files> => {
      const again = new AbortController().signal;
      return complemented(await Files.open(sources[i] as Description, options.cache === false ? "off" : "read", again), i);
    };
    const complemented = (files: Files, i: number) => {
      if (i > 0) return files;
      return options.vae === "tiny" ? files.withTokenizer().withTiny() : files.withTokenizer();
    };
    let kept: Lasting[] = [];
    const loaded = await loadModel(sources, options, signal, emit, true, (opened, all, report, flag) => {
      kept = opened.map((files, i) => new Lasting(complemented(files, i), () => open(i)));
      const [own, ...others] = kept as [Lasting, ...Lasting[]];
      const adapters = others.map((files, i) => ({ files, name: loras[i]?.name ?? "", scale: loras[i]?.scale ?? 1 }));
      return WasmImageModel.load(own, all, adapters, report, flag);
    });
    for (const files of kept) files.loaded();
    lasting.set(loaded.model, kept);
    return loaded;
  },

  generate: ({ model: id, input, options }, { signal, emit }) =>
    withFlag(signal, (flag) =>
      model(id, WasmLanguageModel).generate(
        input,
        options,
        (text, reasoning) => emit({ text, reasoning: reasoning ?? "" }),
        flag,
      ),
    ),

  embed: ({ model: id, texts, options }, { signal, emit }) =>
    withFlag(signal, (flag) =>
      model(id, WasmEmbeddingModel).embed(texts, options, (done, total) => emit({ done, total }), flag),
    ),

  rerank: ({ model: id, query, documents }, { signal, emit }) =>
    withFlag(signal, (flag) =>
      model(id, WasmEmbeddingModel).rerank(query, documents, (done, total) => emit({ done, total }), flag),
    ),

  paint: ({ model: id, prompt, options, image, mask, latents }, { signal, emit }) =>
    withFlag(signal, async (flag) => {
      const bytes = (rgba?: Uint8ClampedArray<ArrayBuffer>) => rgba && new Uint8Array(rgba.buffer);
      const painter = model(id, WasmImageModel);
      const pictures = await painter.generate(prompt, options, bytes(image), bytes(mask), latents, emit, flag);
      return { pictures, info: painter.info() };
    }),

  tokenize: async ({ model: id, text, special }) => model(id, WasmLanguageModel).tokenize(text, special),

  tokenizeText: async ({ model: id, text }) => model(id, WasmEmbeddingModel).tokenize(text),

  detokenize: async ({ model: id, tokens }) => model(id, WasmLanguageModel).detokenize(tokens),

  logits: async ({ model: id, tokens }) => model(id, WasmLanguageModel).logits(tokens),

  dispose: async ({ model: id }) => {
    const found = models.get(id);
    models.delete(id);
    found?.dispose();
    for (const files of lasting.get(id) ?? []) files.release();
    lasting.delete(id);
  },

  probe: async ({ options }) => {
    try {
      return await probe(await deviceFor(options));
    } catch (error) {
      if (!(error instanceof InkstoneError) || !["Unsupported", "Gpu"].includes(error.code)) throw error;
      return {
        supported: false,
        reason: error.message,
        adapter: "",
        tier: "",
        family: "",
        limits: {},
        budgetBytes: 0,
        kernels: [],
      };
    }
  },

  roofline: async ({ options }) => roofline(await deviceFor(options)),

  tune: ({ options }) =>
    inTurn(async () => {
      const [adapterInfo] = await Promise.all([prepareAdapter(options), wasm()]);
      return remeasured(options, adapterInfo, () => tune({ ...options, adapterInfo }));
    }),

  estimate: async ({ source, options }, { signal }) => {
    const device = await deviceFor(options);
    const files = await Files.open(source, options.cache === false ? "off" : "read", signal);
    try {
      const answer = await estimate(files.withTokenizer(), device);
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
