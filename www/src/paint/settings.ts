/** How pictures are painted, kept from visit to visit. What depends on the model is kept for each model. */
import type { ImageInfo, SamplerName } from "inkstone";
import { within, type Range } from "../shared-ui/number-field.js";
import { Signal } from "../shared-ui/signal.js";
import { readSetting, writeSetting } from "../shared-ui/storage.js";

/** As other programs write them. */
export const SAMPLERS: Record<string, string> = {
  ddim: "DDIM",
  euler: "Euler",
  euler_a: "Euler a",
  heun: "Heun",
  dpmpp_2m: "DPM++ 2M",
  dpmpp_2m_karras: "DPM++ 2M Karras",
  lcm: "LCM",
  unipc: "UniPC",
  pndm: "PNDM",
  lms: "LMS",
  ddpm: "DDPM",
  deis: "DEIS",
};

/** Null is the model's own. */
export interface OfModel {
  steps: number | null;
  guidance: number | null;
  sampler: SamplerName | null;
  width: number | null;
  height: number | null;
  clipSkip: number | null;
  eta: number | null;
}

export interface Settings extends OfModel {
  seed: number;
  /** The same seed for every picture; unlocked, each gets a new one. */
  locked: boolean;
  /** How many pictures at once. */
  pictures: number;
  /** How much of a picture that one starts from may change. */
  strength: number;
  /** How far variations go from their picture. */
  variation: number;
  /** The second seed of a variation; null paints the seed itself. */
  variationSeed: number | null;
  preview: boolean;
  noise: "cpu" | "gpu";
}

export type NumberSetting = "steps" | "guidance" | "clipSkip" | "eta" | "strength" | "variation" | "variationSeed";

export const RANGES: Record<NumberSetting | "seed" | "pictures", Range> = {
  steps: { min: 1, max: 150, step: 1, slider: false },
  guidance: { min: 0, max: 30, step: 0.1, slider: false },
  clipSkip: { min: 0, max: 12, step: 1, slider: false },
  eta: { min: 0, max: 1, step: 0.05, slider: false },
  strength: { min: 0.05, max: 1, step: 0.05, slider: true },
  variation: { min: 0.05, max: 1, step: 0.05, slider: true },
  variationSeed: { min: 0, max: 4294967295, step: 1, slider: false },
  seed: { min: 0, max: 4294967295, step: 1, slider: false },
  pictures: { min: 1, max: 9, step: 1, slider: false },
};

const OF_MODEL: OfModel = {
  steps: null,
  guidance: null,
  sampler: null,
  width: null,
  height: null,
  clipSkip: null,
  eta: null,
};

export const DEFAULTS: Omit<Settings, keyof OfModel | "seed"> = {
  locked: false,
  pictures: 1,
  strength: 0.6,
  variation: 0.2,
  variationSeed: null,
  preview: true,
  noise: "cpu",
};

/** Seeds people can read out to each other: every generator takes 32 bits, these have at most nine digits. */
export function newSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000_000;
}

function readGeneral(): Omit<Settings, keyof OfModel> {
  const kept = readSetting<Partial<Settings>>("paint.settings", {});
  const number = (name: "strength" | "variation" | "pictures") => within(RANGES[name], kept[name]) ?? DEFAULTS[name];
  const seed = within(RANGES.seed, kept.seed);
  return {
    seed: seed ?? newSeed(),
    locked: kept.locked === true && seed !== null,
    pictures: number("pictures"),
    strength: number("strength"),
    variation: number("variation"),
    variationSeed: within(RANGES.variationSeed, kept.variationSeed),
    preview: kept.preview !== false,
    noise: kept.noise === "gpu" ? "gpu" : "cpu",
  };
}

function readOfModel(key: string): OfModel {
  const kept = readSetting<Partial<OfModel>>(`paint.model.${key}`, {});
  const number = (name: "steps" | "guidance" | "clipSkip" | "eta") => within(RANGES[name], kept[name]);
  const side = (value: unknown) => within({ min: 8, max: 4096, step: 1, slider: false }, value);
  return {
    steps: number("steps"),
    guidance: number("guidance"),
    sampler: typeof kept.sampler === "string" ? kept.sampler : null,
    width: side(kept.width),
    height: side(kept.height),
    clipSkip: number("clipSkip"),
    eta: number("eta"),
  };
}

export const settings = new Signal<Settings>({ ...readGeneral(), ...OF_MODEL });
/** Which model the settings are those of. */
let model = "";

export function changeSettings(change: Partial<Settings>): void {
  const next = { ...settings.value, ...change };
  const { steps, guidance, sampler, width, height, clipSkip, eta, ...general } = next;
  writeSetting("paint.settings", general);
  if (model) writeSetting(`paint.model.${model}`, { steps, guidance, sampler, width, height, clipSkip, eta });
  settings.set(next);
}

/** Brings what was last chosen for this model. */
export function settingsOf(key: string): void {
  if (key === model) return;
  model = key;
  settings.set({ ...settings.value, ...readOfModel(key) });
}

/** Everything as the model would have it; seed and lock stay. */
export function resetSettings(): void {
  const { seed, locked } = settings.value;
  changeSettings({ ...DEFAULTS, ...OF_MODEL, seed, locked });
}

/** What the fields stand for, with the model's own where nothing was chosen, inside what the model can do. */
export function resolved(
  now: Settings,
  info: ImageInfo,
): { steps: number; guidance: number; sampler: SamplerName; width: number; height: number } {
  const [width, height] = info.defaultSize;
  const known = now.sampler !== null && info.samplers.includes(now.sampler);
  return {
    steps: now.steps ?? info.defaultSteps,
    guidance: now.guidance ?? info.defaultGuidance,
    sampler: known ? now.sampler! : info.defaultSampler,
    width: now.width ?? width,
    height: now.height ?? height,
  };
}
