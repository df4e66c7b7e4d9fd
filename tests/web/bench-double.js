// Stands in for the package on the bench page: it "computes" at speeds that `localStorage.double` sets, without taking
// the time, and keeps what it was asked in `asked`.

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

export async function probe({ selfTest = true, signal } = {}) {
  const { supported = true, family = "generic", wrongKernel = false, paceMs = 1 } = wish();
  if (selfTest) {
    asked.push(["probe"]);
    await sleep(paceMs);
    if (signal?.aborted) throw cancelled();
  }
  const kernels = [
    { name: "linear_vec", variant: "rows 4, subgroups", ok: true, error: 2.4e-13 },
    { name: "attention", variant: "split", ok: !wrongKernel, error: wrongKernel ? 0.5 : 1.1e-9 },
    { name: "rope", variant: "", ok: true, error: 0 },
  ];
  return {
    supported,
    reason: "no adapter",
    adapter: "Double | 9000",
    tier: "subgroups",
    family,
    limits: { maxBufferSize: 2 ** 31 },
    budgetBytes: 4e9,
    kernels: selfTest ? kernels : [],
  };
}

export async function tune({ signal } = {}) {
  const { family = "generic", noChoices = false } = wish();
  asked.push(["tune"]);
  await sleep(1);
  if (signal?.aborted) throw cancelled();
  if (noChoices) throw new InkstoneError("Gpu", "the driver broke");
  if (family === "software") return [];
  return [
    { choice: "winograd", seconds: [3e-3, 2e-3], difference: 1e-12, chosen: true },
    { choice: "short tiles", seconds: [1e-3, 2e-3], difference: 0, chosen: false },
    { choice: "short attention", seconds: [1e-3, 0.99e-3], difference: 0, chosen: false },
  ];
}

export async function roofline({ signal } = {}) {
  const { noBound = false, paceMs = 1 } = wish();
  asked.push(["roofline"]);
  await sleep(paceMs);
  if (signal?.aborted) throw cancelled();
  if (noBound) throw new InkstoneError("Gpu", "the clock stood still");
  return { bytesPerSecond: 10e9, flopsPerSecond: 1e12 };
}

const SIZES = { "./models/emoji/": 20.1e6 };

export async function estimate(source) {
  if (/missing/.test(source)) throw new InkstoneError("Fetch", `${source}: the server answered 404`);
  const size = /huge/.test(source) ? 9e9 : (SIZES[source] ?? 98e6);
  const here = stored().some((kept) => kept.source === source);
  return {
    fits: size < 4e9,
    download: here ? 0 : size,
    gpu: 1.2 * size,
    advice: size < 4e9 ? undefined : "Choose a smaller model.",
  };
}

const stored = () => JSON.parse(localStorage.getItem("doubleStored") ?? "[]");
const addressOf = (source) => (source.startsWith("./") ? new URL(source, location.href).href : source);

export const cache = {
  list: async () => stored().map((kept) => ({ ...kept, date: new Date() })),
  persist: async () => true,
};

async function arrive(source, { signal, onProgress } = {}) {
  const { loadMs = 0, loadError } = wish();
  asked.push(["load", typeof source === "string" ? source : (source.name ?? Object.keys(source).join(" "))]);
  const isFile = typeof source !== "string";
  const local = !isFile && stored().some((kept) => kept.source === addressOf(source));
  for (let i = 1; i <= 10; i++) {
    await Promise.race([sleep(loadMs / 10), new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    if (signal?.aborted) throw cancelled();
    onProgress?.({ phase: "download", loaded: i * 1e7, total: 1e8, file: "model", local });
  }
  if (loadError) throw new InkstoneError(...loadError);
  if (!isFile && !local) {
    const entry = { source: addressOf(source), files: [], bytes: 1e8, complete: true };
    localStorage.setItem("doubleStored", JSON.stringify([...stored(), entry]));
  }
  globalThis.open += 1;
}

export class LanguageModel {
  info = {
    architecture: "llama",
    name: "Double",
    parameters: 135e6,
    quantization: "Q4_1",
    contextLength: 8192,
    vocabulary: 256,
    bytes: { weights: 100e6, cache: 20e6, scratch: 5e6 },
    tier: "subgroups",
    adapter: "double",
  };

  static async load(source, options) {
    await arrive(source, options);
    const model = new LanguageModel();
    model.info.contextLength = wish().contextLength ?? 8192;
    return model;
  }

  /** A token for each letter. */
  async tokenize(text) {
    return Array.from(text, (letter) => letter.codePointAt(0));
  }

  async detokenize(tokens) {
    return String.fromCodePoint(...tokens);
  }

  async generate(text, { signal, ...options }) {
    // `write` may have a speed for each call in turn, so that medians can be told from means.
    const { read = 1000, write = [50], paceMs = 1, hangAt } = wish();
    const n = asked.filter(([what]) => what === "generate").length;
    asked.push(["generate", text, options]);
    await sleep(paceMs);
    while (text.length === hangAt && !signal.aborted) await sleep(10);
    const speed = write[n % write.length] / (1 + text.length / 10_000);
    return {
      text: "",
      tokens: [],
      finishReason: signal.aborted ? "abort" : "length",
      usage: { promptTokens: text.length, cachedTokens: 0, completionTokens: options.maxTokens },
      timings: {
        prefillMs: (1000 * text.length) / read,
        firstTokenMs: (1000 * text.length) / read,
        decodeMs: (1000 * options.maxTokens) / speed,
        tokensPerSecond: speed,
      },
    };
  }

  async dispose() {
    globalThis.open -= 1;
  }
}

export class ImageModel {
  info = {
    architecture: "stable-diffusion",
    components: ["unet"],
    defaultSize: [64, 64],
    defaultSteps: 20,
    defaultGuidance: 7.5,
    parameters: 9.9e6,
    quantization: "F16",
    bytes: { weights: 20e6, scratch: 5e6, peak: 26e6 },
  };

  static async load(source, options) {
    await arrive(source, options);
    return new ImageModel();
  }

  generate(prompt, { signal, steps, ...options }) {
    const { stepMs = 1, hangAtStep } = wish();
    asked.push(["paint", prompt, { steps, ...options }]);
    const events = [];
    const result = (async () => {
      for (let step = 1; step <= steps; step++) {
        await sleep(1);
        while (step === hangAtStep && !signal.aborted) await sleep(10);
        if (signal.aborted) throw cancelled();
        events.push({ picture: 0, step, steps, ms: stepMs });
      }
      const canvas = new OffscreenCanvas(64, 64);
      const context = canvas.getContext("2d");
      context.fillStyle = "#d5392f";
      context.fillRect(8, 8, 48, 48);
      // The first step is slower, as steps are that meet a kernel for the first time.
      const all = Array.from({ length: steps }, (_, i) => (i === 0 ? 40 * stepMs : stepMs + (i % 3)));
      const timings = { textMs: 3.25, stepMs: all, decodeMs: 12.5, totalMs: 321 };
      return [{ bitmap: canvas.transferToImageBitmap(), timings, flops: { step: 5.25e9, decode: 2.5e9 } }];
    })();
    result.catch(() => {});
    return {
      then: (...callbacks) => result.then(...callbacks),
      async *[Symbol.asyncIterator]() {
        for (let seen = 0; seen < steps;) {
          if (seen < events.length) yield events[seen++];
          else await Promise.race([sleep(2), result]);
        }
      },
    };
  }

  async dispose() {
    globalThis.open -= 1;
  }
}

export const parseParameters = () => ({});
export const readParameters = async () => undefined;
