import { cancelled, connection, notify, type Connection } from "../internal/client.js";
import { LiveGeneration } from "../internal/generation.js";
import { plain } from "../internal/plain.js";
import { withText } from "../internal/png.js";
import type { WirePicture, WireStep } from "../internal/protocol.js";
import { Queue } from "../internal/queue.js";
import { describeSource } from "../internal/source.js";
import { InkstoneError } from "./error.js";
import { disposed, free } from "./language.js";
import type {
  ImageGeneration,
  ImageInfo,
  ImageLoadOptions,
  ImageOptions,
  ImageResult,
  ImageStep,
  Source,
} from "./types.js";

/** An image model on the GPU. All computing happens in a worker; the page's thread stays free. */
export class ImageModel {
  #info: ImageInfo;
  readonly #connection: Connection;
  readonly #model: number;
  readonly #queue = new Queue();
  /** Aborted by `dispose`. */
  readonly #life = new AbortController();

  private constructor(link: Connection, model: number, info: ImageInfo) {
    this.#connection = link;
    this.#model = model;
    this.#info = info;
  }

  /** What is known of it. `bytes.scratch` is that of the latest picture. */
  get info(): ImageInfo {
    return this.#info;
  }

  /**
   * Streams a model's files to the GPU: a diffusers folder or a checkpoint in a single file. Rejects with an
   * {@link InkstoneError}; with `Cancelled` as soon as `options.signal` is aborted.
   */
  static async load(source: Source, options: ImageLoadOptions = {}): Promise<ImageModel> {
    const { signal, onProgress, lora = [], hub, activations, ...rest } = options;
    if (activations) throw new InkstoneError("Unsupported", "`activations` works with language models only: leave it out");
    const description = describeSource(source, hub);
    const loras = lora.map(({ source: from, scale = 1 }) => {
      const described = describeSource(from, hub);
      return { source: described, name: stem(from), scale };
    });
    if (signal?.aborted) throw cancelled();
    const link = connection();
    const { model, info } = await link.call(
      "loadImage",
      { source: description, options: plain(rest), loras },
      {
        signal,
        event: (progress) => {
          if (!signal?.aborted) notify(onProgress, progress);
        },
        late: ({ model }) => void free(link, model),
      },
    );
    return new ImageModel(link, model, info);
  }

  /** Paints pictures. Calls wait for the ones before them. */
  generate(prompt: string, options: ImageOptions = {}): ImageGeneration {
    const own = new AbortController();
    const stop = AbortSignal.any([own.signal, this.#life.signal, ...(options.signal ? [options.signal] : [])]);
    const run = (push: (step: ImageStep) => void) =>
      this.#queue.run(
        stop,
        () => this.#paint(String(prompt), options, stop, push),
        () => Promise.reject(cancelled()),
      );
    const refused = () => Promise.reject(disposed());
    return new LiveGeneration(this.#life.signal.aborted ? refused : run, () => own.abort());
  }

  async #paint(
    prompt: string,
    { signal: _, image, mask, latents, ...options }: ImageOptions,
    stop: AbortSignal,
    push: (step: ImageStep) => void,
  ): Promise<ImageResult[]> {
    const start = image && (await createBitmap(image, "image"));
    const cover = mask && (await createBitmap(mask, "mask"));
    const size = this.#size(options, start);
    if (cover && start) checkMask(cover, [start, size]);
    const args = {
      model: this.#model,
      prompt: plain(prompt),
      options: { ...plain(options), ...plain(size) },
      ...(start && { image: pixelsOf(start, size, "white") }),
      ...(cover && { mask: pixelsOf(cover, size, "black") }),
      ...(latents && { latents: Float32Array.from(latents) }),
    };
    start?.close();
    cover?.close();
    if (stop.aborted) throw cancelled();
    const { answer, abort } = this.#connection.start("paint", args, (step) => push(seen(step)));
    stop.addEventListener("abort", abort, { once: true });
    try {
      const { pictures, info } = await answer;
      this.#info = info;
      return pictures.map(result);
    } finally {
      stop.removeEventListener("abort", abort);
    }
  }

  /** What was asked for; else the size of the picture to start from, or, if that is larger, the model's own area. */
  #size({ width, height }: ImageOptions, start?: ImageBitmap): { width?: number; height?: number } {
    if (!start || (width !== undefined && height !== undefined)) {
      return { ...(width !== undefined && { width }), ...(height !== undefined && { height }) };
    }
    const { defaultSize, multipleOf } = this.#info;
    const area = start.width * start.height;
    const scale = Math.min(1, Math.sqrt((defaultSize[0] * defaultSize[1]) / area));
    const side = (n: number) => Math.max(multipleOf, Math.round((n * scale) / multipleOf) * multipleOf);
    return { width: width ?? side(start.width), height: height ?? side(start.height) };
  }

  /** Aborts what is under way or waiting and frees every byte on the GPU. Further calls are refused. */
  async dispose(): Promise<void> {
    if (!this.#life.signal.aborted) this.#life.abort();
    await this.#queue.idle();
    await free(this.#connection, this.#model);
  }
}

/** The name that a prompt may call a LoRA by: its file's, without the ending. */
function stem(source: Source): string {
  const first = Array.isArray(source) ? source[0] : source;
  const name = first instanceof Blob ? ("name" in first ? String(first.name) : "") : address(String(first));
  return name.replace(/^.*\//, "").replace(/\.safetensors$/i, "");
}

/** The readable path of an address. */
function address(url: string): string {
  const path = url.split(/[?#]/, 1)[0] ?? "";
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

async function createBitmap(source: ImageBitmapSource, what: string): Promise<ImageBitmap> {
  try {
    // Colours as they are in the file: what a profile or transparency would make of them is another picture.
    return await createImageBitmap(source, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (cause) {
    const advice = "give a picture that this browser can show, such as a PNG or JPEG file";
    throw new InkstoneError("Format", `the ${what} can't be read (${cause}): ${advice}`, { cause });
  }
}

/** A mask lies on its picture: it is as large as that, or as what is to be painted. */
function checkMask(mask: ImageBitmap, fits: ({ width?: number; height?: number } | undefined)[]): void {
  if (fits.some((f) => f?.width === mask.width && f.height === mask.height)) return;
  const sizes = fits.flatMap((f) => (f?.width && f.height ? [`${f.width} x ${f.height}`] : []));
  const wanted = [...new Set(sizes)].join(" or ") || "the picture's size";
  throw new InkstoneError("Shape", `the mask is ${mask.width} x ${mask.height}: give one of ${wanted}`);
}

/** RGBA of a picture, scaled to `size` on a ground of one colour. */
function pixelsOf(
  bitmap: ImageBitmap,
  { width = bitmap.width, height = bitmap.height }: { width?: number; height?: number },
  ground: string,
): Uint8ClampedArray<ArrayBuffer> {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new InkstoneError("Unsupported", "this browser has no canvas to draw on: try another");
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data as Uint8ClampedArray<ArrayBuffer>;
}

function canvasOf(rgba: Uint8ClampedArray<ArrayBuffer>, width: number, height: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas;
}

function seen({ picture, step, steps, ms, preview, width = 0, height = 0 }: WireStep): ImageStep {
  const event = { picture, step, steps, ms };
  return preview ? { ...event, preview: canvasOf(preview, width, height).transferToImageBitmap() } : event;
}

function result({ width, height, pixels, latents, seed, parameters, timings, flops }: WirePicture): ImageResult {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = Math.round((pixels[3 * i + c] ?? 0) * 255);
  }
  return {
    bitmap: canvasOf(rgba, width, height).transferToImageBitmap(),
    blob: async () => {
      const png = await canvasOf(rgba, width, height).convertToBlob({ type: "image/png" });
      const bytes = new Uint8Array(await png.arrayBuffer());
      return new Blob(withText(bytes, "parameters", parameters), { type: "image/png" });
    },
    pixels: async () => pixels.slice(),
    latents: async () => latents.slice(),
    seed,
    parameters,
    timings,
    flops,
  };
}
