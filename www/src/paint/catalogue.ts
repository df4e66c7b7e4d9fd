/** The models the picker of the paint page names, and how what people type or drop becomes one of them. */
import type { ImageInfo } from "inkstone";
import { choiceFromText as fromText, fileChoice, folderChoice, type Choice, type Listed } from "../shared-ui/models.js";
import type { Offer } from "../shared-ui/picker.js";

/** A model with what its card recommends, where its files don't say it. */
export interface Painter extends Listed {
  recommended?: { defaultSteps?: number; defaultGuidance?: number };
}

export const EMOJI: Painter = {
  source: "./models/emoji/",
  name: "Tiny Emoji 64",
  parameters: 9.9e6,
  size: 20.1e6,
  licence: "Apache-2.0",
  note: "demo",
  recommended: { defaultSteps: 20, defaultGuidance: 3 },
};

/** Sizes are those of the 16-bit files; on the GPU large weights are quantized to 8 bits. */
export const CATALOGUE: readonly Painter[] = [
  EMOJI,
  {
    source: "IDKiro/sdxs-512-dreamshaper",
    name: "SDXS-512 DreamShaper",
    parameters: 441e6,
    size: 885e6,
    gpu: 800e6,
    licence: "OpenRAIL++",
    note: "oneStep",
    recommended: { defaultSteps: 1, defaultGuidance: 0 },
  },
  {
    source: "segmind/tiny-sd",
    name: "Tiny SD",
    parameters: 530e6,
    size: 1060e6,
    gpu: 950e6,
    licence: "OpenRAIL-M",
    note: "tinySd",
  },
  {
    source: "stable-diffusion-v1-5/stable-diffusion-v1-5",
    name: "Stable Diffusion 1.5",
    parameters: 1.07e9,
    size: 2133e6,
    gpu: 1600e6,
    licence: "CreativeML OpenRAIL-M",
    note: "classic",
  },
  {
    source: "stabilityai/sd-turbo",
    name: "SD-Turbo",
    parameters: 1.29e9,
    size: 2580e6,
    gpu: 1850e6,
    licence: "Stability AI Community",
    note: "oneStep",
    recommended: { defaultSteps: 1, defaultGuidance: 0 },
  },
  {
    source: "stabilityai/sdxl-turbo",
    name: "SDXL-Turbo",
    parameters: 3.47e9,
    size: 6940e6,
    gpu: 4300e6,
    licence: "Stability AI Community",
    note: "strong",
    recommended: { defaultSteps: 4, defaultGuidance: 0 },
  },
];

/** What the model itself says, or rather its card. */
export function withCard(info: ImageInfo, choice: Choice): ImageInfo {
  return { ...info, ...CATALOGUE.find(({ source }) => source === choice.listed?.source)?.recommended };
}

/** Reads what someone typed or pasted; undefined where it can be no model. */
export function choiceFromText(text: string): Choice | undefined {
  return fromText(text, CATALOGUE);
}

/** A choice for files from this device: one checkpoint by itself, or a diffusers folder. */
export function choiceFromFiles(files: Map<string, File>): Choice | undefined {
  const anchor = [...files.keys()].find((path) => /(^|\/)model_index\.json$/.test(path));
  if (anchor) return folderChoice(files, anchor);
  const models = [...files].filter(([path]) => /\.safetensors$/i.test(path));
  const first = models[0];
  if (!first) return undefined;
  return models.length === 1 ? fileChoice(first[1]) : folderChoice(files, first[0]);
}

/** What the paint page offers to choose from. */
export const OFFER: Offer = {
  catalogue: CATALOGUE,
  fromText: choiceFromText,
  fromFiles: choiceFromFiles,
  noName: "nameProblemPaint",
  noModel: "noModelInFilesPaint",
  accept: ".safetensors,.json,.txt",
  nameLabel: "nameLabelPaint",
  namePlaceholder: "namePlaceholderPaint",
  dropHint: "dropHintPaint",
  listTitle: "namedModelsPaint",
};
