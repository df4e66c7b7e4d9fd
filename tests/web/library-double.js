// Stands in for the module that wasm-bindgen writes, so that everything around it can be tested without a model: it
// reads files as the real one does (the head first, then forward), and does on request what must never happen.

export default async function init({ module_or_path }) {
  const response = await fetch(module_or_path);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
}

const HEAD = 64 * 1024;
const CHUNK = 256 * 1024;
const TRAP = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 5, 1, 3, 0, 0, 11,
]); // (module (func (export "t") unreachable))

function trap() {
  new WebAssembly.Instance(new WebAssembly.Module(TRAP)).exports.t();
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class AbortFlag {
  aborted = false;
  abort() {
    this.aborted = true;
  }
  free() {
    this.freed = true;
  }
}

/** Every byte of a file: twice the head, then the rest in order, but for the last bytes, which a model needn't have. */
async function readAll(files, name, onProgress, tail) {
  const size = await files.size(name);
  const out = new Uint8Array(size);
  const head = Math.min(size, HEAD);
  out.set(await files.read(name, 0, Math.min(head, 24)), 0);
  out.set(await files.read(name, 0, head), 0);
  for (let at = Math.floor(head / 2); at < size - tail; at += CHUNK) {
    const length = Math.min(CHUNK, size - tail - at);
    const bytes = await files.read(name, at, length);
    if (!(bytes instanceof Uint8Array) || bytes.length !== length) throw { code: "Format", message: "wrong length" };
    out.set(bytes, at);
    onProgress({ phase: "download", loaded: at + length, total: size, file: name });
  }
  return out.subarray(0, size - tail);
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class WasmLanguageModel {
  static async load(files, options, onProgress, abort) {
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter.requestDevice({ label: "double" });
    const features = [...device.features];
    device.destroy();
    const names = files.names();
    const sizes = {};
    const small = names.length
      ? names.filter((name) => !/\.(gguf|safetensors)$/.test(name))
      : ["config.json", "chat_template.jinja", "tokenizer.json"];
    for (const name of small) sizes[name] = await files.size(name);
    if (options.ask) sizes[options.ask] = await files.size(options.ask);
    const weights = names.filter((name) => /\.(gguf|safetensors)$/.test(name));
    if (names.length === 0) {
      if (sizes["config.json"] === undefined) throw { code: "Missing", message: "config.json is missing" };
      weights.push("model.safetensors");
    }
    // Shards: the heads of all of them come first.
    for (const name of weights) await files.read(name, 0, Math.min(await files.size(name), 1000));
    const hashes = {};
    for (const name of Object.keys(sizes)) {
      if (sizes[name] !== undefined) hashes[name] = await sha256(await files.read(name, 0, sizes[name]));
    }
    for (const name of weights) hashes[name] = await sha256(await readAll(files, name, onProgress, options.tail ?? 0));
    if (abort.aborted) throw { code: "Cancelled", message: "cancelled" };
    if (options.trap) trap();
    onProgress({ phase: "ready", loaded: 1, total: 1, file: "" });
    const model = new WasmLanguageModel();
    model.about = { architecture: "double", hashes, sizes, names, features, options };
    return model;
  }

  info() {
    return this.about;
  }

  async generate(input, options, onText, abort) {
    if (this.busy) throw { code: "Gpu", message: "two generations at once" };
    if (this.gone) throw { code: "Gpu", message: "used after dispose" };
    this.busy = true;
    try {
      const text = typeof input === "string" ? input : input.map(({ content }) => content).join(" ");
      if (text === "trap") trap();
      if (text === "late trap") {
        setTimeout(trap, 10);
        await new Promise(() => {});
      }
      if (text === "refuse") throw { code: "TooLarge", message: "too long: shorten it" };
      if (text === "strange") throw new TypeError("strange");
      const words = text.split(" ");
      const said = [];
      onText("", "thinking");
      for (let i = 0; i < (options.maxTokens ?? words.length); i++) {
        if (abort.aborted) break;
        await sleep(options.pace ?? 1);
        said.push(words[i % words.length]);
        onText(words[i % words.length]);
      }
      return {
        text: said.join(""),
        tokens: said.map((_, i) => i),
        finishReason: abort.aborted ? "abort" : "stop",
        usage: { promptTokens: 1, cachedTokens: 0, completionTokens: said.length },
        timings: { prefillMs: 0, decodeMs: 0, firstTokenMs: 0, tokensPerSecond: 0 },
        options,
      };
    } finally {
      this.busy = false;
    }
  }

  tokenize(text, special) {
    return Uint32Array.from(text + (special ? "!" : ""), (c) => c.codePointAt(0));
  }

  detokenize(ids) {
    return String.fromCodePoint(...ids);
  }

  async logits(ids) {
    if (this.busy) throw { code: "Gpu", message: "two at once" };
    return Float32Array.from(ids, (id) => id / 2);
  }

  dispose() {
    this.gone = true;
  }
}

export class WasmEmbeddingModel {
  static async load(files, options, onProgress, abort) {
    const sizes = {};
    const names = files.names();
    for (const name of options.ask ?? names) sizes[name] = (await files.size(name)) ?? null;
    for (const name of names) await readAll(files, name, onProgress, 0);
    if (abort.aborted) throw { code: "Cancelled", message: "cancelled" };
    const model = new WasmEmbeddingModel();
    model.about = { architecture: "double", names, sizes, options, dimensions: 3 };
    return model;
  }

  info() {
    return this.about;
  }

  async #each(texts, report, abort, job) {
    if (this.busy || this.gone) throw { code: "Gpu", message: this.gone ? "used after dispose" : "two at once" };
    this.busy = true;
    try {
      for (const [i, text] of texts.entries()) {
        await sleep(text.startsWith("slow") ? 50 : 1);
        if (abort.aborted) throw { code: "Cancelled", message: "cancelled" };
        job(text, i);
        report(i + 1, texts.length);
      }
    } finally {
      this.busy = false;
    }
  }

  async embed(texts, { dimensions = 3, ...options }, onProgress, abort) {
    if (options.prompt === "refuse") throw { code: "Unsupported", message: "there is no such prompt: use another" };
    const flat = new Float32Array(texts.length * dimensions);
    await this.#each(texts, onProgress, abort, (text, i) => flat.fill(text.length, i * dimensions, (i + 1) * dimensions));
    return flat;
  }

  async rerank(query, documents, onProgress, abort) {
    const scores = new Float32Array(documents.length);
    await this.#each(documents, onProgress, abort, (text, i) => (scores[i] = text.split(query).length - 1));
    return scores;
  }

  tokenize(text) {
    return Uint32Array.from(`[${text}]`, (c) => c.codePointAt(0));
  }

  dispose() {
    this.gone = true;
  }
}

export class WasmImageModel {
  static async load(files, options, loras, onProgress, abort) {
    const names = files.names();
    const hashes = {};
    for (const name of names) hashes[name] = await sha256(await readAll(files, name, onProgress, 0));
    const adapters = [];
    for (const { files: own, name, scale } of loras) {
      const [file] = own.names();
      adapters.push({ name, scale, hash: await sha256(await own.read(file, 0, await own.size(file))) });
    }
    const sizes = {};
    for (const name of options.ask ?? []) sizes[name] = (await files.size(name)) ?? null;
    if (abort.aborted) throw { code: "Cancelled", message: "cancelled" };
    const model = new WasmImageModel();
    model.about = { architecture: "double", names, hashes, sizes, adapters, options, tuned };
    return model;
  }

  info() {
    return { ...this.about, defaultSize: [64, 32], multipleOf: 8 };
  }

  async generate(prompt, options, image, mask, latents, onStep, abort) {
    if (this.gone) throw { code: "Gpu", message: "used after dispose" };
    if (prompt === "refuse") throw { code: "Unsupported", message: "steps is 0: give 1 to 1000" };
    const { width = 64, height = 32, steps = 3, batch = 1, seed = 5 } = options;
    const pictures = [];
    for (let picture = 0; picture < batch; picture++) {
      for (let step = 1; step <= steps; step++) {
        await sleep(options.pace ?? 1);
        if (abort.aborted) throw { code: "Cancelled", message: "cancelled" };
        const preview = Uint8ClampedArray.from({ length: 4 * 2 * 4 }, (_, i) => (i % 4 === 3 ? 255 : 10 * step));
        onStep({ picture, step, steps, ms: 7, ...(options.preview === "latent" && { preview, width: 4, height: 2 }) });
      }
      // A picture to start from comes back as it is.
      const value = (i) => (image ? image[4 * Math.floor(i / 3) + (i % 3)] / 255 : (i % 251) / 250);
      pictures.push({
        width,
        height,
        pixels: Float32Array.from({ length: width * height * 3 }, (_, i) => value(i)),
        latents: Float32Array.from(latents ?? [0]),
        seed: seed + picture,
        parameters: `${prompt}\nSteps: ${steps}, Seed: ${seed + picture}, Size: ${width}x${height}`,
        timings: { textMs: 1, stepMs: [7], decodeMs: 1, totalMs: 9, given: { options, mask: mask && Array.from(mask) } },
      });
    }
    return pictures;
  }

  dispose() {
    this.gone = true;
  }
}

export async function probe(options) {
  return {
    supported: true,
    adapter: options.adapterInfo.vendor,
    tier: options.tier ?? "all",
    limits: {},
    budgetBytes: 1,
    kernels: [],
    options,
  };
}

export async function roofline(options) {
  if (options.family === "refuse") throw { code: "Gpu", message: "the device is lost: load the model again" };
  return { bytesPerSecond: 2e9, flopsPerSecond: 3e10, options };
}

let tuned = 0;

/** One choice is quicker; at the tier base the driver breaks over them. */
export async function tune({ tier, adapterInfo }) {
  tuned++;
  if (tier === "base" || !adapterInfo.vendor) throw { code: "Gpu", message: "the device is lost: load the model again" };
  const difference = 1e-12;
  return [
    { choice: "winograd", seconds: [2e-3, 1e-3], difference, chosen: true },
    { choice: "short tiles", seconds: [1e-3, 3e-3], difference, chosen: false },
  ];
}

export async function estimate(files, options) {
  let download = 0;
  for (const name of files.names()) {
    download += await files.size(name);
    await files.read(name, 0, 1000);
  }
  return { fits: true, download, gpu: 1, options };
}
