import { readText } from "../internal/png.js";
import type { ImageOptions, SamplerName } from "./types.js";

/** What AUTOMATIC1111 calls the samplers; its scheduler, if it stands apart, is a second word of the name. */
const SAMPLERS: Record<string, SamplerName> = {
  ddim: "ddim",
  euler: "euler",
  "euler a": "euler_a",
  heun: "heun",
  "dpm++ 2m": "dpmpp_2m",
  "dpm++ 2m karras": "dpmpp_2m_karras",
  lcm: "lcm",
  unipc: "unipc",
  plms: "pndm",
  lms: "lms",
  ddpm: "ddpm",
  deis: "deis",
};

/** What a picture says of how it was made: the `parameters` text of a PNG; undefined if it says nothing. */
export async function readParameters(picture: Blob): Promise<string | undefined> {
  return readText(new Uint8Array(await picture.arrayBuffer()), "parameters");
}

/** Options from such a text, as AUTOMATIC1111 writes it: the prompt, the negative prompt, a line of settings. */
export function parseParameters(text: string): ImageOptions & { prompt: string } {
  const lines = text.trim().split(/\r?\n/);
  const last = lines.at(-1) ?? "";
  const settings = new Map<string, string>();
  if (/^Steps: \d/.test(last)) {
    lines.pop();
    // A value that holds commas stands in quotes.
    for (const [, key = "", quoted, bare = ""] of last.matchAll(/\s*([^:,]+):\s*(?:"((?:\\.|[^"\\])*)"|([^,]*))(?:,|$)/g)) {
      settings.set(key.trim().toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare.trim());
    }
  }
  const cut = lines.findIndex((line) => line.startsWith("Negative prompt:"));
  const negative = cut < 0 ? [] : lines.splice(cut);
  const options: ImageOptions & { prompt: string } = { prompt: lines.join("\n").trim() };
  if (negative.length > 0) options.negativePrompt = negative.join("\n").slice("Negative prompt:".length).trim();
  const number = (key: string, use: (value: number) => void) => {
    const value = Number.parseFloat(settings.get(key) ?? "");
    if (Number.isFinite(value)) use(value);
  };
  number("steps", (v) => (options.steps = v));
  number("cfg scale", (v) => (options.guidanceScale = v));
  number("seed", (v) => (options.seed = v));
  number("clip skip", (v) => (options.clipSkip = Math.max(0, v - 1)));
  number("denoising strength", (v) => (options.strength = v));
  number("eta", (v) => (options.eta = v));
  number("variation seed", (v) => (options.variationSeed = v));
  number("variation seed strength", (v) => (options.variationStrength = v));
  const [, width, height] = /^(\d+)x(\d+)$/.exec(settings.get("size") ?? "") ?? [];
  if (width && height) Object.assign(options, { width: Number(width), height: Number(height) });
  const named = settings.get("sampler")?.toLowerCase() ?? "";
  const scheduler = settings.get("schedule type")?.toLowerCase();
  const sampler = (scheduler && SAMPLERS[`${named} ${scheduler}`]) || SAMPLERS[named];
  if (sampler) options.sampler = sampler;
  const rng = settings.get("rng")?.toLowerCase();
  if (settings.size > 0) options.noise = rng === "cpu" ? "cpu" : "gpu";
  return options;
}
