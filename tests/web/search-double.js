// Stands in for the package on the search page: its vectors are counts of words, so that what is nearest can be told
// beforehand. How it behaves is set by `localStorage.double`; what it was asked is kept in `asked`. The chat page finds
// a language model here that answers with what it was asked.

const wish = () => JSON.parse(localStorage.getItem("double") ?? "{}");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every call that computes: [what, with what]. */
globalThis.asked = [];
/** Models that were loaded and not yet disposed of. */
globalThis.open = 0;

export class InkstoneError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const cancelled = () => new InkstoneError("Cancelled", "it was cancelled");

export async function probe() {
  const { supported = true } = wish();
  return {
    supported,
    reason: "no adapter",
    adapter: "double",
    tier: "base",
    limits: {},
    budgetBytes: 4e9,
    kernels: [],
  };
}

const stored = () => JSON.parse(localStorage.getItem("doubleStored") ?? "[]");
const addressOf = (source) => (source.startsWith("./") ? new URL(source, location.href).href : source);

export async function estimate(source) {
  asked.push(["estimate", typeof source === "string" ? source : Object.keys(source).join(" ")]);
  if (/missing/.test(source)) throw new InkstoneError("Fetch", `${source}: the server answered 404`);
  const here = typeof source !== "string" || stored().some((kept) => kept.source === addressOf(source));
  return { fits: true, download: here ? 0 : 91e6, gpu: 110e6 };
}

export const cache = {
  list: async () => stored().map((kept) => ({ ...kept, date: new Date() })),
  delete: async (source) =>
    localStorage.setItem("doubleStored", JSON.stringify(stored().filter((kept) => kept.source !== source))),
  persist: async () => true,
};

async function arrive(source, { signal, onProgress } = {}) {
  const { loadMs = 0, loadError } = wish();
  const local = typeof source !== "string" || stored().some((kept) => kept.source === addressOf(source));
  asked.push(["load", typeof source === "string" ? source : (source.name ?? Object.keys(source).join(" "))]);
  for (let i = 1; i <= 10; i++) {
    await sleep(loadMs / 10);
    if (signal?.aborted) throw cancelled();
    onProgress?.({ phase: "download", loaded: i * 9.1e6, total: 91e6, file: "model.safetensors", local });
  }
  if (loadError) throw new InkstoneError(...loadError);
  if (typeof source === "string" && !local) {
    const entry = { source: addressOf(source), files: [], bytes: 91e6, complete: true };
    localStorage.setItem("doubleStored", JSON.stringify([...stored(), entry]));
  }
  globalThis.open += 1;
}

/** Words without their endings, and pairs of characters where there are no spaces. */
function words(text) {
  const latin = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const dense = [...text.matchAll(/(?=([\u4e00-\u9fff]{2}))/g)].map(([, pair]) => pair);
  return [...latin.map((word) => word.replace(/(?:ing|ed|es|s)$/, "")), ...dense];
}

function vectorOf(text, dimensions) {
  const vector = new Float32Array(dimensions);
  for (const word of words(text)) {
    const hash = [...word].reduce((sum, letter) => (Math.imul(sum, 31) + letter.codePointAt(0)) >>> 0, 7);
    vector[hash % dimensions] += 1;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

export class EmbeddingModel {
  #gone = new AbortController();

  static async load(source, options) {
    await arrive(source, options);
    return new EmbeddingModel(String(source.name ?? source));
  }

  constructor(source) {
    this.info = {
      architecture: "bert",
      name: "",
      parameters: 22.7e6,
      quantization: "F32",
      dimensions: /other/.test(source) ? 96 : 512,
      maxTokens: wish().maxTokens ?? 256,
      pooling: "mean",
      prompts: /prompted/.test(source) ? ["query", "document"] : [],
      embeds: !/reranker|cross-encoder/i.test(source),
      reranks: /reranker|cross-encoder/i.test(source),
      bytes: { weights: 91e6, scratch: 19e6 },
      tier: "base",
      adapter: "double",
      family: "generic",
      choices: [],
    };
  }

  async #each(texts, { signal, onProgress }) {
    const { paceMs = 0, error } = wish();
    const stop = AbortSignal.any([this.#gone.signal, ...(signal ? [signal] : [])]);
    for (let i = 0; i < texts.length; i++) {
      if (paceMs > 0) await sleep(paceMs);
      if (stop.aborted) throw cancelled();
      if (error) throw new InkstoneError(...error);
      onProgress?.(i + 1, texts.length);
    }
  }

  async embed(texts, options = {}) {
    const list = [texts].flat();
    asked.push(["embed", list, options.prompt]);
    await this.#each(list, options);
    return list.map((text) => vectorOf(text, this.info.dimensions));
  }

  /** The shorter, the better: another order than that of the vectors. */
  async rerank(query, documents, options = {}) {
    asked.push(["rerank", query, documents]);
    await this.#each(documents, options);
    return documents.map((text, index) => ({ index, score: 10 - text.length / 100 }));
  }

  async tokenize(text) {
    return [1, ...words(text).map(() => 5), 2];
  }

  async dispose() {
    this.#gone.abort();
    globalThis.open -= 1;
  }
}

export class LanguageModel {
  info = {
    architecture: "llama",
    name: "Parrot",
    parameters: 135e6,
    quantization: "Q4_1",
    contextLength: 8192,
    vocabulary: 256,
    bytes: { weights: 100e6, cache: 20e6, scratch: 5e6 },
    tier: "base",
    adapter: "double",
  };

  static async load(source, options) {
    await arrive(source, options);
    return new LanguageModel();
  }

  generate(messages) {
    const text = `You asked: ${messages.at(-1).content.length} letters`;
    const result = {
      text,
      tokens: [1],
      finishReason: "stop",
      usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1 },
      timings: { prefillMs: 1, decodeMs: 1, firstTokenMs: 1, tokensPerSecond: 1 },
    };
    asked.push(["generate", messages]);
    return {
      then: (...callbacks) => Promise.resolve(result).then(...callbacks),
      abort: () => undefined,
      async *[Symbol.asyncIterator]() {
        yield text;
      },
    };
  }

  async dispose() {
    globalThis.open -= 1;
  }
}
