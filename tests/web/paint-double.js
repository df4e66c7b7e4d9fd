// Stands in for the package on the paint page, so that the page can be tested without a model: it answers with pictures
// that say what they were asked for, at a pace that `localStorage.double` sets, and keeps what it was asked in `asked`.

const wish = () => JSON.parse(localStorage.getItem("double") ?? "{}");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every call of `generate`: the prompt, the options, and what its pictures look like. */
globalThis.asked = [];

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

/** How large a model is that this source names. */
function sizeOf(source) {
  if (typeof source !== "string") return 30e6;
  return /huge/.test(source) ? 9e9 : /emoji/.test(source) ? 20.1e6 : 885e6;
}

export async function estimate(source) {
  if (/missing/.test(source)) throw new InkstoneError("Fetch", `${source}: the server answered 404`);
  const size = sizeOf(source);
  const stored = (await cache.list()).some((kept) => kept.source === source);
  const fits = size < 4e9;
  return { fits, download: stored ? 0 : size, gpu: size * 1.2, advice: fits ? undefined : "Choose a smaller model." };
}

const stored = () => JSON.parse(localStorage.getItem("doubleStored") ?? "[]");

export const cache = {
  list: async () => stored(),
  delete: async (source) =>
    localStorage.setItem("doubleStored", JSON.stringify(stored().filter((kept) => kept.source !== source))),
  clear: async () => localStorage.removeItem("doubleStored"),
  bytes: async () => stored().reduce((sum, { bytes }) => sum + bytes, 0),
  persist: async () => true,
};

export class ImageModel {
  static async load(source, { signal, onProgress } = {}) {
    const { loadMs = 0, loadError } = wish();
    const total = sizeOf(source);
    for (let i = 1; i <= 20; i++) {
      if (signal?.aborted) throw cancelled();
      if (loadError && i === 10) throw new InkstoneError(...loadError);
      await sleep(loadMs / 20);
      onProgress?.({ phase: "download", loaded: Math.round((total * i) / 20), total, file: "unet" });
    }
    if (typeof source === "string") {
      const address = source.startsWith("./") ? new URL(source, location.href).href : source;
      const entry = { source: address, files: [], bytes: total, date: new Date(), complete: true };
      localStorage.setItem(
        "doubleStored",
        JSON.stringify([...stored().filter((kept) => kept.source !== address), entry]),
      );
    }
    return new ImageModel(source);
  }

  constructor(source) {
    const emoji = typeof source !== "string" || /emoji/.test(source);
    this.info = {
      architecture: "stable-diffusion",
      components: ["text_encoder", "unet", "vae"],
      defaultSize: emoji ? [64, 64] : [512, 512],
      bytes: { weights: sizeOf(source), scratch: 5e6 },
      tier: "base",
      adapter: "double",
      samplers: ["ddim", "euler", "euler_a", "heun", "dpmpp_2m", "dpmpp_2m_karras", "lcm", "unipc", "pndm", "lms"],
      defaultSteps: emoji ? 20 : 25,
      defaultGuidance: emoji ? 3 : 7.5,
      defaultSampler: emoji ? "dpmpp_2m" : "pndm",
      multipleOf: 8,
    };
  }

  generate(prompt, options = {}) {
    return new Painting(prompt, options, this.info);
  }

  async dispose() {
    globalThis.disposed = (globalThis.disposed ?? 0) + 1;
  }
}

/** Runs once, however it is listened to; events that nobody waits for are kept. */
class Painting {
  #aborted = false;
  #events = [];
  #wake = () => {};
  #ended = false;
  #result;

  constructor(prompt, options, info) {
    this.#result = this.#run(prompt, options, info).finally(() => {
      this.#ended = true;
      this.#wake();
    });
    this.#result.catch(() => {});
  }

  abort() {
    this.#aborted = true;
  }

  then(...callbacks) {
    return this.#result.then(...callbacks);
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      if (this.#events.length > 0) yield this.#events.shift();
      else if (this.#ended) return void (await this.#result);
      else await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  async #run(prompt, options, info) {
    const { stepMs = 5, error } = wish();
    const { width = info.defaultSize[0], height = info.defaultSize[1], steps = info.defaultSteps } = options;
    const { image, mask, ...plain } = options;
    // As it travels to the worker: without what is undefined.
    const record = { prompt, options: JSON.parse(JSON.stringify(plain)) };
    globalThis.asked.push(record);
    if (image) record.image = await look(image);
    if (mask) record.mask = await look(mask);
    if (error && (!error.width || width >= error.width)) {
      await sleep(stepMs);
      throw new InkstoneError(error.code, error.message);
    }
    const begun = performance.now();
    for (let step = 1; step <= steps; step++) {
      await sleep(stepMs);
      if (this.#aborted) throw cancelled();
      const preview =
        options.preview === "none"
          ? undefined
          : (await drawn(prompt, options, width / 8, height / 8, step / steps)).transferToImageBitmap();
      this.#events.push({ picture: 0, step, steps, ms: stepMs, preview });
      this.#wake();
    }
    const canvas = await drawn(prompt, options, width, height, 1, image);
    const { negativePrompt, sampler, guidanceScale, seed = 7 } = options;
    const parameters = [
      prompt,
      ...(negativePrompt ? [`Negative prompt: ${negativePrompt}`] : []),
      `Steps: ${steps}, Sampler: ${sampler}, CFG scale: ${guidanceScale}, Seed: ${seed}, Size: ${width}x${height}`,
    ].join("\n");
    const png = await canvas.convertToBlob({ type: "image/png" });
    const totalMs = performance.now() - begun;
    return [
      {
        bitmap: canvas.transferToImageBitmap(),
        blob: async () => withText(png, parameters),
        seed,
        parameters,
        timings: { textMs: 1, stepMs: Array(steps).fill(stepMs), decodeMs: 1, totalMs },
      },
    ];
  }
}

/** Width, height and mean of the three colours, 0 to 255. */
async function look(source) {
  const bitmap = await createImageBitmap(source);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const mean = [0, 0, 0];
  for (let i = 0; i < data.length; i++) if (i % 4 < 3) mean[i % 4] += data[i] / (data.length / 4);
  return { width: bitmap.width, height: bitmap.height, mean: mean.map(Math.round) };
}

/** A heart in a colour that the prompt names, or that the seed does, out of coloured noise. */
async function drawn(prompt, { seed = 7, variationSeed = 0 }, width, height, share, image) {
  const [w, h] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
  const canvas = new OffscreenCanvas(w, h);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, w, h);
  if (image) context.drawImage(await createImageBitmap(image), 0, 0, w, h);
  const named = ["red", "blue", "green", "purple"].find((name) => prompt.includes(name));
  context.fillStyle = named
    ? { red: "#d5392f", blue: "#3d6fb4", green: "#3f8f5b", purple: "#8b4fb8" }[named]
    : `hsl(${seed % 360} 55% 50%)`;
  context.translate(w / 2, h / 2);
  context.scale((w / 64) * (0.8 + (variationSeed % 40) / 100), (h / 64) * (0.8 + (variationSeed % 30) / 100));
  context.beginPath();
  context.moveTo(0, 22);
  context.bezierCurveTo(-30, 0, -24, -24, -10, -22);
  context.bezierCurveTo(-4, -21, 0, -16, 0, -12);
  context.bezierCurveTo(0, -16, 4, -21, 10, -22);
  context.bezierCurveTo(24, -24, 30, 0, 0, 22);
  context.fill();
  context.resetTransform();
  let state = seed + 1;
  const random = () => (state = (state * 1664525 + 1013904223) % 2 ** 32) / 2 ** 32;
  context.globalAlpha = 0.9 * (1 - share);
  for (let x = 0; share < 1 && x < w; x++) {
    for (let y = 0; y < h; y++) {
      context.fillStyle = `hsl(${360 * random()} 40% ${40 + 40 * random()}%)`;
      context.fillRect(x, y, 1, 1);
    }
  }
  return canvas;
}

// --- PNG text ----------------------------------------------------------------------------------------------------------

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** The PNG with a tEXt chunk after its header, which is always 33 bytes long with the signature. */
async function withText(png, text) {
  const body = new TextEncoder().encode(`tEXtparameters\0${text}`);
  const chunk = new DataView(new ArrayBuffer(body.length + 8));
  chunk.setUint32(0, body.length - 4);
  new Uint8Array(chunk.buffer).set(body, 4);
  chunk.setUint32(body.length + 4, crc32(body));
  return new Blob([png.slice(0, 33), chunk, png.slice(33)], { type: "image/png" });
}

export async function readParameters(blob) {
  const text = new TextDecoder("latin1").decode(await blob.arrayBuffer());
  const at = text.indexOf("tEXtparameters\0");
  if (text.slice(1, 4) !== "PNG" || at < 0) return undefined;
  const length = new DataView(await blob.slice(at - 4, at).arrayBuffer()).getUint32(0);
  return blob.slice(at + 15, at + 4 + length).text();
}

export function parseParameters(text) {
  const lines = text.split("\n");
  const last = lines.pop();
  const field = (name) => new RegExp(`${name}: ([^,]+)`).exec(last)?.[1];
  const negative = lines.find((line) => line.startsWith("Negative prompt: "));
  const [width, height] = (field("Size") ?? "").split("x").map(Number);
  return {
    prompt: lines.filter((line) => line !== negative).join("\n"),
    negativePrompt: negative?.slice(17),
    steps: Number(field("Steps")),
    sampler: field("Sampler"),
    guidanceScale: Number(field("CFG scale")),
    seed: Number(field("Seed")),
    width,
    height,
  };
}
