/**
 * What is on the easel: the pictures kept in this browser, the sheet being looked at, the one being painted.
 * Views watch the signals and call the methods; nothing here touches the DOM.
 */
import type { ImageGeneration, ImageInfo } from "inkstone";
import { newId } from "../shared-ui/ids.js";
import { Signal } from "../shared-ui/signal.js";
import { RecordStore } from "../shared-ui/storage.js";
import { troubleOf, type Trouble } from "../shared-ui/trouble.js";
import { optionsFor, type Ask, type Images } from "./asks.js";
import { withCard } from "./catalogue.js";
import { Pace } from "./pace.js";
import { session, type State } from "./session.js";
import { settings } from "./settings.js";
import type { Start } from "./start.js";

/** A finished picture, as it is kept. */
export interface Picture {
  id: string;
  /** Pictures that were asked for together have the same one. */
  sheet: string;
  place: number;
  time: number;
  ask: Ask;
  images?: Images;
  /** The model's name. */
  model: string;
  /** PNG; the parameters stand in it too. */
  blob: Blob;
  ms: number;
}

/** A place on a sheet: empty, with a preview, or with its picture. */
export interface Frame {
  ask: Ask;
  picture?: Picture;
  preview?: ImageBitmap;
  /** Where a stopped picture was when it was stopped. */
  stopped?: { step: number; steps: number };
}

export interface Sheet {
  id: string;
  frames: Frame[];
  images?: Images;
  trouble?: Trouble;
}

/** What is looked at. `chosen` is the place of one picture of several; absent, all are shown. */
export type View = { kind: "blank" } | { kind: "start" } | { kind: "sheet"; sheet: Sheet; chosen?: number };

/** A sheet while it is being painted. */
export interface Painting {
  sheet: Sheet;
  place: number;
  phase: "reading" | "painting" | "finishing";
  step: number;
  steps: number;
  secondsLeft?: number;
  stop: () => void;
}

export interface Request {
  asks: Ask[];
  images?: Images;
}

/** Makes a request for the model that is open by then. */
export type Compose = (info: ImageInfo) => Promise<Request> | Request;

type Ready = Extract<State, { step: "ready" }>;

export class Easel {
  readonly pictures = new Signal<Picture[]>([]);
  readonly view = new Signal<View>({ kind: "blank" });
  readonly painting = new Signal<Painting | undefined>(undefined);
  /** Fires with every step of what is being painted. */
  readonly moved = new Signal<Painting | undefined>(undefined);
  readonly start = new Signal<Start | undefined>(undefined);
  /** Why the last attempt to keep a picture failed. */
  readonly notKept = new Signal("");
  /** A request that waits for its model to be opened. */
  private waiting: Compose | undefined;
  /** True from the moment a request is accepted, before there is anything to show. */
  private busy = false;
  private readonly tabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("inkstone-pictures") : undefined;

  private constructor(private readonly store: RecordStore<Picture>) {
    this.tabs?.addEventListener("message", () => void this.reload());
  }

  static async open(): Promise<Easel> {
    const easel = new Easel(await RecordStore.open<Picture>("pictures"));
    await easel.reload();
    return easel;
  }

  /** False where the browser keeps nothing (some private windows): the page says so once. */
  get lasting(): boolean {
    return this.store.lasting;
  }

  get waits(): boolean {
    return this.waiting !== undefined;
  }

  private async reload(): Promise<void> {
    this.pictures.set(sorted(await this.store.all()));
  }

  // --- Looking -------------------------------------------------------------------------------------------------------

  show(view: View): void {
    this.view.set(view);
  }

  /** A picture of the history, with those that were asked for together with it. */
  look(picture: Picture): void {
    const live = this.painting.value?.sheet;
    const sheet =
      live?.id === picture.sheet
        ? live
        : {
            id: picture.sheet,
            images: picture.images,
            frames: this.pictures.value
              .filter((other) => other.sheet === picture.sheet)
              .sort((a, b) => a.place - b.place)
              .map((other) => ({ ask: other.ask, picture: other })),
          };
    const chosen = sheet.frames.findIndex((frame) => frame.picture?.id === picture.id);
    this.view.set({ kind: "sheet", sheet, chosen: Math.max(0, chosen) });
  }

  setStart(start: Start | undefined): void {
    const before = this.start.value;
    if (before && before.bitmap !== start?.bitmap) before.bitmap.close();
    this.start.set(start);
    if (start) this.view.set({ kind: "start" });
    else if (this.view.value.kind === "start") this.lookBack();
  }

  /** What there is to see when nothing in particular is asked for: what is being painted, or the last picture. */
  lookBack(): void {
    const live = this.painting.value?.sheet;
    const last = this.pictures.value[0];
    if (live) this.view.set({ kind: "sheet", sheet: live });
    else if (last) this.look(last);
    else this.view.set({ kind: "blank" });
  }

  // --- Keeping -------------------------------------------------------------------------------------------------------

  private async keep(picture: Picture): Promise<void> {
    this.pictures.set(sorted([picture, ...this.pictures.value.filter(({ id }) => id !== picture.id)]));
    try {
      await this.store.put(picture);
      this.tabs?.postMessage(picture.id);
    } catch (error) {
      // A full disk must not take the picture on the screen with it.
      this.notKept.set(troubleOf(error).message);
    }
  }

  /** Removes pictures; the returned function puts them back. */
  async remove(gone: Picture[]): Promise<() => Promise<void>> {
    const ids = new Set(gone.map(({ id }) => id));
    await this.store.delete(...ids);
    this.pictures.set(this.pictures.value.filter(({ id }) => !ids.has(id)));
    this.tabs?.postMessage("removed");
    const { value: view } = this.view;
    if (view.kind === "sheet") {
      const frames = view.sheet.frames.filter(({ picture }) => !picture || !ids.has(picture.id));
      const live = this.painting.value?.sheet === view.sheet;
      if (frames.length === 0 && !live) this.lookBack();
      else if (frames.length < view.sheet.frames.length && !live) {
        const chosen = view.chosen === undefined ? undefined : Math.min(view.chosen, frames.length - 1);
        this.view.set({ kind: "sheet", sheet: { ...view.sheet, frames }, chosen });
      }
    }
    return async () => {
      for (const picture of gone) await this.keep(picture);
      if (gone.length === 1) this.look(gone[0]!);
    };
  }

  // --- Painting ------------------------------------------------------------------------------------------------------

  /** Paints now, or as soon as a model is open. */
  async paint(compose: Compose): Promise<void> {
    if (this.busy) return;
    const now = session.state.value;
    if (now.step === "ready") return this.run(compose, now);
    this.waiting = compose;
    this.painting.set(undefined);
    if (now.step === "chosen" || (now.step === "trouble" && now.loading)) await session.open(now.choice);
  }

  /** Paints what waited, once a model is open. */
  async resume(): Promise<void> {
    const { waiting } = this;
    const now = session.state.value;
    if (!waiting || now.step !== "ready" || this.busy) return;
    this.waiting = undefined;
    await this.run(waiting, now);
  }

  /** The model that was waited for isn't coming. */
  waitNoMore(): void {
    if (!this.waiting) return;
    this.waiting = undefined;
    this.painting.set(undefined);
  }

  stop(): void {
    this.waitNoMore();
    this.painting.value?.stop();
  }

  private async run(compose: Compose, { choice, model }: Ready): Promise<void> {
    this.busy = true;
    let generation: ImageGeneration | undefined;
    let stopped = false;
    const sheet: Sheet = { id: newId(), frames: [] };
    const painting: Painting = {
      sheet,
      place: 0,
      phase: "reading",
      step: 0,
      steps: 0,
      stop: () => {
        stopped = true;
        generation?.abort();
      },
    };
    try {
      const { asks, images } = await compose(withCard(model.info, choice));
      sheet.images = images;
      sheet.frames = asks.map((ask) => ({ ask }));
      const pace = new Pace(asks.length);
      this.painting.set(painting);
      this.view.set({ kind: "sheet", sheet, chosen: asks.length === 1 ? 0 : undefined });
      // One call for each picture: what is finished is shown and kept, whatever becomes of the others.
      for (const [place, frame] of sheet.frames.entries()) {
        if (stopped) {
          frame.stopped = { step: 0, steps: frame.ask.steps };
          continue;
        }
        Object.assign(painting, { place, phase: "reading", step: 0, steps: frame.ask.steps });
        pace.begin(place);
        this.moved.set(painting);
        generation = model.generate(frame.ask.prompt, optionsFor(frame.ask, images, settings.value.preview));
        try {
          await this.follow(painting, frame, generation, pace);
          frame.picture = await this.finish(sheet, place, generation, choice.name);
          frame.preview?.close();
          frame.preview = undefined;
          this.view.set(this.view.value);
          await this.keep(frame.picture);
        } catch (error) {
          const trouble = troubleOf(error);
          frame.stopped = { step: painting.step, steps: painting.steps };
          if (trouble.code === "Cancelled") stopped = true;
          else throw error;
        }
      }
    } catch (error) {
      sheet.trouble = troubleOf(error);
      if (sheet.trouble.code === "Gpu") await session.broken(sheet.trouble);
    } finally {
      this.busy = false;
      this.painting.set(undefined);
      this.view.set(this.view.value);
    }
  }

  private async follow(painting: Painting, frame: Frame, generation: ImageGeneration, pace: Pace): Promise<void> {
    for await (const { step, steps, preview } of generation) {
      if (preview) {
        frame.preview?.close();
        frame.preview = preview;
      }
      pace.step(step, steps);
      Object.assign(painting, { step, steps, phase: step < steps ? "painting" : "finishing" });
      painting.secondsLeft = pace.secondsLeft();
      this.moved.set(painting);
    }
  }

  private async finish(sheet: Sheet, place: number, generation: ImageGeneration, model: string): Promise<Picture> {
    const [result] = await generation;
    if (!result) throw new Error("the model gave no picture");
    const blob = await result.blob();
    result.bitmap.close();
    const ask = { ...sheet.frames[place]!.ask, seed: result.seed };
    const ms = result.timings.totalMs;
    return { id: newId(), sheet: sheet.id, place, time: Date.now(), ask, images: sheet.images, model, blob, ms };
  }
}

/** The latest sheet first; in it, in the order they were asked for. */
function sorted(all: Picture[]): Picture[] {
  const latest = new Map<string, number>();
  for (const { sheet, time } of all) latest.set(sheet, Math.max(time, latest.get(sheet) ?? 0));
  return all.sort(
    (a, b) => latest.get(b.sheet)! - latest.get(a.sheet)! || a.sheet.localeCompare(b.sheet) || a.place - b.place || 0,
  );
}
