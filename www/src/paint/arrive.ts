/** What was dropped, pasted or chosen: a picture of ours, any picture, or a model. */
import { parseParameters, readParameters } from "inkstone";
import { announce } from "../shared-ui/announce.js";
import { t } from "../shared-ui/i18n.js";
import { settingsFrom, type Words } from "./asks.js";
import type { Settings } from "./settings.js";
import { readStart, type Start } from "./start.js";

const PICTURE = /\.(png|jpe?g|webp|gif|avif|bmp|svg)$/i;

export function isPicture(file: File): boolean {
  return file.type.startsWith("image/") || PICTURE.test(file.name);
}

export type Arrived =
  { kind: "settings"; words: Words; change: Partial<Settings> } | { kind: "start"; start: Start } | { kind: "nothing" };

/** A PNG of ours (or of other programs that write the same text) brings its settings; any other picture is a start. */
export async function arrivedPicture(file: File): Promise<Arrived> {
  const text = await readParameters(file).catch(() => undefined);
  const parsed = text ? parse(text) : undefined;
  if (parsed) return { kind: "settings", ...parsed };
  return arrivedStart(file);
}

export async function arrivedStart(file: Blob & { name?: string }): Promise<Arrived> {
  try {
    return { kind: "start", start: await readStart(file) };
  } catch {
    announce(t("notAPicture", { file: file.name ?? "" }));
    return { kind: "nothing" };
  }
}

function parse(text: string): { words: Words; change: Partial<Settings> } | undefined {
  try {
    const found = parseParameters(text);
    // Other programs write other things under the same name: what names no steps is no request.
    if (found.steps === undefined) return undefined;
    const { prompt, negativePrompt, guidanceScale, ...rest } = found;
    const words = { prompt: prompt ?? "", negativePrompt: negativePrompt ?? "" };
    return { words, change: settingsFrom({ ...rest, guidance: guidanceScale }) };
  } catch {
    return undefined;
  }
}
