/** What can be named as a model: an entry of a page's list, a name on the hub, an address, files from this device. */
import type { Key } from "./dictionary.js";

/** What is said of a listed model in a few words. */
export type Note = Key extends infer Each ? (Each extends `note_${infer Name}` ? Name : never) : never;

/** A model that a page names by itself. Sizes are those of the files; whether one fits is asked of the library. */
export interface Listed {
  /** What `load` is given. */
  source: string;
  name: string;
  parameters: number;
  /** Bytes of the files, rounded; the exact number comes from the files' own server. */
  size: number;
  /** Bytes on the GPU, where the files are not loaded as they are. */
  gpu?: number;
  quantization?: string;
  licence: string;
  note: Note;
}

/** A model someone may open: one of the list, one they named, or files they dropped. */
export interface Choice {
  key: string;
  name: string;
  source: string | File | Record<string, Blob>;
  listed?: Listed;
}

export function choiceOf(listed: Listed): Choice {
  return { key: listed.source, name: listed.name, source: listed.source, listed };
}

const HUB_PAGE = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\//i;
const HUB_NAME = /^[\w.-]+\/[\w.-]+(?:\/[^/@:\s]+)*(?:@[^@:\s]+)?(?::[\w-]+)?$/;

/** Reads what someone typed or pasted: an address, or `owner/repo…` on the hub. Undefined where it can be neither. */
export function choiceFromText(text: string, catalogue: readonly Listed[]): Choice | undefined {
  const typed = text.trim();
  // The address of a hub's page says the same as the shorter name, which is the one worth showing.
  const name = typed
    .replace(HUB_PAGE, "")
    .replace(/\/(?:blob|resolve)\/main\/|\/tree\/main\/?$/, "/")
    .replace(/[?#].*$|\/+$/, "");
  if (HUB_PAGE.test(typed) && HUB_NAME.test(name) && !/\/(?:blob|resolve|tree)\//.test(name)) {
    return named(name, catalogue);
  }
  if (/^https?:\/\/\S+$/i.test(typed) || /^\.{0,2}\/\S+$/.test(typed)) return named(typed, catalogue);
  return HUB_NAME.test(typed) ? named(typed, catalogue) : undefined;
}

function named(source: string, catalogue: readonly Listed[]): Choice {
  const listed = catalogue.find((entry) => isSame(source, entry.source));
  if (listed) return choiceOf(listed);
  const path = source.split(/[?#]/)[0]!.replace(/\/+$/, "");
  return { key: source, name: path.slice(path.lastIndexOf("/") + 1) || source, source };
}

/** The store names a model by its full address, the lists by a relative one. */
export function isSame(kept: string, source: string): boolean {
  return (
    kept === source ||
    (source.startsWith("./") && "location" in globalThis && kept === new URL(source, location.href).href)
  );
}

/** Files as one folder: `anchor` lies at its root, and paths become relative to there. */
export function folderChoice(files: Map<string, File>, anchor: string): Choice {
  const base = anchor.slice(0, anchor.lastIndexOf("/") + 1);
  const folder: Record<string, Blob> = {};
  for (const [path, file] of files) if (path.startsWith(base)) folder[path.slice(base.length)] = file;
  const name = base.replace(/\/$/, "").split("/").pop() || files.get(anchor)!.name;
  return { key: `folder:${name}:${Object.keys(folder).length}`, name, source: folder };
}

export function fileChoice(file: File): Choice {
  return { key: `file:${file.name}:${file.size}`, name: file.name.replace(/\.\w+$/, ""), source: file };
}
