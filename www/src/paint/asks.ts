/** What a picture is asked for with, and how such a request becomes the library's options. Plain records. */
import type { ImageInfo, ImageOptions, SamplerName } from "inkstone";
import { within } from "../shared-ui/number-field.js";
import { newSeed, RANGES, resolved, type OfModel, type Settings } from "./settings.js";

export interface Ask {
  prompt: string;
  negativePrompt: string;
  width: number;
  height: number;
  steps: number;
  guidance: number;
  sampler: SamplerName;
  seed: number;
  noise: "cpu" | "gpu";
  clipSkip?: number;
  eta?: number;
  /** Only with a picture to start from. */
  strength?: number;
  variationSeed?: number;
  variationStrength?: number;
}

export interface Words {
  prompt: string;
  negativePrompt: string;
}

/** One request for each picture of a batch: their seeds follow each other. */
export function asksFrom(words: Words, now: Settings, info: ImageInfo, started: boolean): Ask[] {
  return Array.from({ length: now.pictures }, (_, i) => ({
    ...words,
    ...resolved(now, info),
    seed: (now.seed + i) % 2 ** 32,
    noise: now.noise,
    clipSkip: now.clipSkip ?? undefined,
    eta: now.eta ?? undefined,
    strength: started ? now.strength : undefined,
    ...(now.variationSeed !== null && { variationSeed: now.variationSeed, variationStrength: now.variation }),
  }));
}

/** The same picture a few times over, each time a little different. */
export function variationsOf(ask: Ask, count: number, variationStrength: number): Ask[] {
  return Array.from({ length: count }, () => ({ ...ask, variationSeed: newSeed(), variationStrength }));
}

/** A picture to start from and a mask, both at the size of the request. */
export interface Images {
  image: Blob;
  mask?: Blob;
}

export function optionsFor(ask: Ask, images: Images | undefined, preview: boolean): ImageOptions {
  const { prompt: _, guidance, ...rest } = ask;
  return {
    ...rest,
    negativePrompt: ask.negativePrompt || undefined,
    guidanceScale: guidance,
    image: images?.image,
    mask: images?.mask,
    preview: preview ? "latent" : "none",
  };
}

/** The settings that a picture was painted with. What it doesn't say is the model's own; its seed is kept. */
export function settingsFrom(from: Partial<Omit<Ask, "prompt" | "negativePrompt">>): Partial<Settings> {
  const number = (name: "steps" | "guidance" | "clipSkip" | "eta", value: unknown) => within(RANGES[name], value);
  const change: Partial<Settings> & OfModel = {
    steps: number("steps", from.steps),
    guidance: number("guidance", from.guidance),
    clipSkip: number("clipSkip", from.clipSkip),
    eta: number("eta", from.eta),
    sampler: from.sampler ?? null,
    width: from.width ?? null,
    height: from.height ?? null,
    pictures: 1,
  };
  const seed = within(RANGES.seed, from.seed);
  if (seed !== null) Object.assign(change, { seed, locked: true });
  const strength = within(RANGES.strength, from.strength);
  if (strength !== null) change.strength = strength;
  const variation = within(RANGES.variation, from.variationStrength);
  change.variationSeed = variation === null ? null : within(RANGES.variationSeed, from.variationSeed);
  if (variation !== null) change.variation = variation;
  if (from.noise) change.noise = from.noise;
  return change;
}
