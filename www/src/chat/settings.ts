/** How answers are sampled and how models are opened, kept from visit to visit. */
import { within, type Range } from "../shared-ui/number-field.js";
import { readSetting, writeSetting } from "../shared-ui/storage.js";
import { Signal } from "../shared-ui/signal.js";

export interface Settings {
  temperature: number;
  topP: number;
  topK: number;
  minP: number;
  repetitionPenalty: number;
  maxTokens: number;
  /** Empty: a new one for every answer. */
  seed: number | null;
  /** Empty: the model's own, bounded by memory. */
  contextLength: number | null;
  reasoning: boolean;
}

export type NumberSetting = Exclude<keyof Settings, "reasoning">;

/** Values many chat front ends start from; the ranges are what the fields accept. */
export const DEFAULTS: Settings = {
  temperature: 0.7,
  topP: 0.95,
  topK: 40,
  minP: 0.05,
  repetitionPenalty: 1.05,
  maxTokens: 1024,
  seed: null,
  contextLength: null,
  reasoning: true,
};

export const RANGES: Record<NumberSetting, Range> = {
  temperature: { min: 0, max: 2, step: 0.05, slider: true },
  topP: { min: 0.05, max: 1, step: 0.01, slider: true },
  topK: { min: 0, max: 200, step: 1, slider: true },
  minP: { min: 0, max: 1, step: 0.01, slider: true },
  repetitionPenalty: { min: 1, max: 2, step: 0.01, slider: true },
  maxTokens: { min: 1, max: 32768, step: 1, slider: false },
  seed: { min: 0, max: 4294967295, step: 1, slider: false },
  contextLength: { min: 64, max: 1048576, step: 1, slider: false },
};

/** The value inside its range and on its grid, or null where it is no number. */
export function clamped(name: NumberSetting, value: unknown): number | null {
  return within(RANGES[name], value);
}

function read(): Settings {
  const kept = readSetting<Partial<Settings>>("sampling", {});
  const result = { ...DEFAULTS, reasoning: kept.reasoning ?? DEFAULTS.reasoning };
  for (const name of Object.keys(RANGES) as NumberSetting[]) {
    const value = clamped(name, kept[name]);
    if (value !== null) result[name] = value;
  }
  return result;
}

export const settings = new Signal<Settings>(read());

export function changeSettings(change: Partial<Settings>): void {
  const next = { ...settings.value, ...change };
  writeSetting("sampling", next);
  settings.set(next);
}

/** The system prompt new conversations start with. */
export function defaultSystem(): string {
  return readSetting("system", "");
}

export function setDefaultSystem(text: string): void {
  writeSetting("system", text.trim() === "" ? undefined : text);
}
