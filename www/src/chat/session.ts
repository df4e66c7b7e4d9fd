/**
 * The one model this page has open: choosing, checking that it fits, loading, answering, closing.
 * Everything the page shows about it is drawn from `state`, so no step can be shown twice or forgotten.
 */
import { LanguageModel, cache, estimate, probe, type CacheEntry } from "inkstone";
import { readSetting, writeSetting } from "../shared-ui/storage.js";
import { Signal } from "../shared-ui/signal.js";
import { choiceFromText, type Choice } from "./catalogue.js";
import type { Trouble } from "./conversation.js";
import { settings } from "./settings.js";

export interface Fit {
  fits: boolean;
  download: number;
  gpu: number;
  advice?: string;
}

export interface Progress {
  phase: "download" | "upload" | "compile" | "ready";
  loaded: number;
  total: number;
  file: string;
  /** True when the bytes come from this device. */
  local?: boolean;
  bytesPerSecond: number;
  /** Undefined until there is enough to judge by. */
  secondsLeft: number | undefined;
}

export type Kept = "whole" | "part" | "nothing";

export type State =
  | { step: "none" }
  | { step: "checking"; choice: Choice }
  | { step: "chosen"; choice: Choice; fit: Fit; kept: Kept }
  | { step: "loading"; choice: Choice; cancel: () => void }
  | { step: "ready"; choice: Choice; model: LanguageModel }
  | { step: "trouble"; choice: Choice; trouble: Trouble; loading: boolean };

export const state = new Signal<State>({ step: "none" });
/** Apart from `state` because it changes many times a second. */
export const progress = new Signal<Progress | undefined>(undefined);

export type Device = Awaited<ReturnType<typeof probe>>;
/** What the browser's GPU can do; undefined until it has answered. */
export const device = new Signal<Device | undefined>(undefined);

export function troubleOf(error: unknown): Trouble {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    code: typeof code === "string" ? code : error instanceof Error ? error.name : "Error",
    message: typeof message === "string" ? message : String(error),
  };
}

/** Numbers later calls so that a slow answer to an earlier choice can't overwrite a newer one. */
let turn = 0;

/** Selects a model and asks whether it fits: headers only, no weights. */
export async function choose(choice: Choice): Promise<void> {
  const mine = ++turn;
  await close();
  if (mine !== turn) return;
  state.set({ step: "checking", choice });
  try {
    const [fit, kept] = await Promise.all([
      estimate(choice.source, { contextLength: settings.value.contextLength ?? undefined }),
      keptPart(choice),
    ]);
    if (mine === turn) state.set({ step: "chosen", choice, fit, kept });
  } catch (error) {
    if (mine === turn) state.set({ step: "trouble", choice, trouble: troubleOf(error), loading: false });
  }
}

/** Loads a model; resolves to true once it can answer. */
export async function open(choice: Choice, contextLength = settings.value.contextLength): Promise<boolean> {
  const mine = ++turn;
  await close();
  if (mine !== turn) return false;
  const controller = new AbortController();
  const meter = new Meter();
  progress.set(undefined);
  state.set({ step: "loading", choice, cancel: () => controller.abort() });
  // A page that dies while opening a model must not open it again by itself and die again.
  writeSetting("opening", choice.key);
  // Asks the browser not to evict a large download; a refusal changes nothing else.
  void cache.persist().catch(() => false);
  try {
    const model = await LanguageModel.load(choice.source, {
      signal: controller.signal,
      contextLength: contextLength ?? undefined,
      onProgress: (report) => {
        if (mine === turn) progress.set(meter.read(report));
      },
    });
    if (mine !== turn) {
      await model.dispose();
      return false;
    }
    if (typeof choice.source === "string") writeSetting("lastModel", choice.source);
    state.set({ step: "ready", choice, model });
    return true;
  } catch (error) {
    if (mine !== turn) return false;
    const trouble = troubleOf(error);
    if (trouble.code === "Cancelled") void choose(choice);
    else state.set({ step: "trouble", choice, trouble, loading: true });
    return false;
  } finally {
    writeSetting("opening", undefined);
  }
}

/** What people call the open model: files often carry a name from the training run instead. */
export function modelName(choice: Choice, model: LanguageModel): string {
  return choice.listed?.name || model.info.name || choice.name;
}

/** Frees the model that is open, if any. */
export async function close(): Promise<void> {
  const now = state.value;
  if (now.step === "loading") now.cancel();
  if (now.step !== "ready") return;
  state.set({ step: "none" });
  await now.model.dispose().catch(() => undefined);
}

/** The GPU failed while answering: the model in hand is gone, opening it again is the way on. */
export async function broken(trouble: Trouble): Promise<void> {
  const now = state.value;
  if (now.step !== "ready") return;
  turn += 1;
  await close();
  state.set({ step: "trouble", choice: now.choice, trouble, loading: true });
}

/** The model of the last visit, where it can be opened again, and whether the page died while opening it. */
export function lastChoice(): { choice: Choice; died: boolean } | undefined {
  const source = readSetting<string>("lastModel", "");
  const opening = readSetting<string>("opening", "");
  const text = opening || source;
  if (!text) return undefined;
  const choice = choiceFromText(text);
  return choice && { choice, died: opening !== "" };
}

export async function storedModels(): Promise<CacheEntry[]> {
  // Without OPFS nothing is kept, which is also a true answer.
  return cache.list().catch(() => []);
}

/** How much of a model is on this device: all, so that it opens without the network, or what a broken download left. */
export async function keptPart(choice: Choice): Promise<Kept> {
  const { source } = choice;
  if (typeof source !== "string") return "whole";
  const entry = (await storedModels()).find((kept) => isSame(kept.source, source));
  return entry ? (entry.complete ? "whole" : "part") : "nothing";
}

/** The store names a model by its full address, the list by a relative one. */
export function isSame(kept: string, source: string): boolean {
  return kept === source || (source.startsWith("./") && kept === new URL(source, location.href).href);
}

export async function forget(source: string): Promise<void> {
  await cache.delete(source);
}

export async function askDevice(): Promise<Device> {
  // Whether the kernels compute rightly is asked when a model is opened, not of everyone who looks at the page.
  const answer = await probe({ selfTest: false });
  device.set(answer);
  return answer;
}

/** Speed over the last few seconds of a download, and from it the time left. */
class Meter {
  private marks: { at: number; loaded: number }[] = [];
  private phase = "";

  read(report: Omit<Progress, "bytesPerSecond" | "secondsLeft">): Progress {
    const at = performance.now();
    if (report.phase !== this.phase) this.marks = [];
    this.phase = report.phase;
    this.marks.push({ at, loaded: report.loaded });
    while (this.marks.length > 2 && at - this.marks[1]!.at > 6000) this.marks.shift();
    const first = this.marks[0]!;
    const elapsed = (at - first.at) / 1000;
    const bytesPerSecond = elapsed > 0.25 ? (report.loaded - first.loaded) / elapsed : 0;
    const left = report.total - report.loaded;
    return {
      ...report,
      bytesPerSecond,
      secondsLeft: elapsed > 0.75 && bytesPerSecond > 0 ? left / bytesPerSecond : undefined,
    };
  }
}
