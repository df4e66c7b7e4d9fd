/** The two models that can be measured: how each is chosen and whether it fits. Opening is up to the measuring. */
import { ImageModel, LanguageModel } from "inkstone";
import * as chat from "../chat/catalogue.js";
import * as paint from "../paint/catalogue.js";
import type { Choice } from "../shared-ui/models.js";
import type { Chooser, Offer } from "../shared-ui/picker.js";
import { Session } from "../shared-ui/session.js";
import { Signal } from "../shared-ui/signal.js";

export type Kind = "language" | "image";

export const sessions = {
  language: new Session<LanguageModel>({
    load: (source, options) => LanguageModel.load(source, options),
    options: () => ({}),
    fromText: chat.choiceFromText,
    remember: "bench.language.",
  }),
  image: new Session<ImageModel>({
    load: (source, options) => ImageModel.load(source, options),
    options: () => ({}),
    fromText: paint.choiceFromText,
    remember: "bench.image.",
  }),
} satisfies Record<Kind, Chooser>;

export const OFFERS: Record<Kind, Offer> = {
  language: { ...chat.OFFER, dropHint: "dropHintBench" },
  image: { ...paint.OFFER, dropHint: "dropHintBench" },
};

/** What is ticked. */
export const wanted = new Signal<Record<Kind, boolean>>({ language: true, image: true });

/** What files are: a folder of diffusers, or a checkpoint by itself, paints. */
export function kindOf(files: Map<string, File>): Kind {
  const names = [...files.keys()];
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (has(/(^|\/)model_index\.json$/)) return "image";
  return has(/\.safetensors$/i) && !has(/\.gguf$|(^|\/)config\.json$/i) ? "image" : "language";
}

/** The model to measure; undefined while it is not known to fit. */
export function fitting(kind: Kind): Choice | undefined {
  const now = sessions[kind].state.value;
  return now.step === "chosen" && now.fit.fits ? now.choice : undefined;
}

/** How far its card says that prompts should be followed, where its files don't. */
export function guidanceOf({ source }: Choice): number | undefined {
  return paint.CATALOGUE.find((listed) => listed.source === source)?.recommended?.defaultGuidance;
}

/** Whether all that is ticked can be measured. */
export function startable(): boolean {
  return (["language", "image"] as const).every((kind) => !wanted.value[kind] || fitting(kind) !== undefined);
}
