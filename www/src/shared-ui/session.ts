/**
 * The one model that a page has open: choosing, checking that it fits, loading, closing.
 * Everything the page shows about it is drawn from `state`, so no step can be shown twice or forgotten.
 */
import { cache, estimate, probe, type CacheEntry, type LoadOptions, type Progress as Report, type Source } from "inkstone";
import { isSame, type Choice } from "./models.js";
import { Signal } from "./signal.js";
import { readSetting, writeSetting } from "./storage.js";
import { troubleOf, type Trouble } from "./trouble.js";

export interface Fit {
  fits: boolean;
  download: number;
  gpu: number;
  advice?: string;
}

export interface Progress {
  phase: Report["phase"];
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

export type State<Model> =
  | { step: "none" }
  | { step: "checking"; choice: Choice }
  | { step: "chosen"; choice: Choice; fit: Fit; kept: Kept }
  | { step: "loading"; choice: Choice; cancel: () => void }
  | { step: "ready"; choice: Choice; model: Model }
  | { step: "trouble"; choice: Choice; trouble: Trouble; loading: boolean };

export type Device = Awaited<ReturnType<typeof probe>>;

/** What one page's models have of their own. */
export interface Kind<Model> {
  load(source: Source, options: LoadOptions): Promise<Model>;
  /** What `load` and `estimate` are told beside the source. */
  options(): LoadOptions;
  fromText(text: string): Choice | undefined;
  /** The settings that remember the last model, and the one being opened, begin with this. */
  remember: string;
}

export class Session<Model extends { dispose(): Promise<void> }> {
  readonly state = new Signal<State<Model>>({ step: "none" });
  /** Apart from `state` because it changes many times a second. */
  readonly progress = new Signal<Progress | undefined>(undefined);
  /** What the browser's GPU can do; undefined until it has answered. */
  readonly device = new Signal<Device | undefined>(undefined);
  /** Numbers later calls so that a slow answer to an earlier choice can't overwrite a newer one. */
  private turn = 0;

  constructor(private readonly kind: Kind<Model>) {}

  /** Whether something can be asked of it: a model that is open, or one that asking may open. */
  get askable(): boolean {
    const now = this.state.value;
    return now.step === "chosen" ? now.fit.fits : now.step !== "none" && now.step !== "checking";
  }

  /** Selects a model and asks whether it fits: headers only, no weights. */
  async choose(choice: Choice): Promise<void> {
    const mine = ++this.turn;
    await this.close();
    if (mine !== this.turn) return;
    this.state.set({ step: "checking", choice });
    try {
      const [fit, kept] = await Promise.all([estimate(choice.source, this.kind.options()), this.keptPart(choice)]);
      if (mine === this.turn) this.state.set({ step: "chosen", choice, fit, kept });
    } catch (error) {
      if (mine === this.turn) this.state.set({ step: "trouble", choice, trouble: troubleOf(error), loading: false });
    }
  }

  /** Loads a model; resolves to true once it can be used. */
  async open(choice: Choice): Promise<boolean> {
    const mine = ++this.turn;
    await this.close();
    if (mine !== this.turn) return false;
    const controller = new AbortController();
    const meter = new Meter();
    this.progress.set(undefined);
    this.state.set({ step: "loading", choice, cancel: () => controller.abort() });
    // A page that dies while opening a model must not open it again by itself and die again.
    writeSetting(`${this.kind.remember}opening`, choice.key);
    // Asks the browser not to evict a large download; a refusal changes nothing else.
    void cache.persist().catch(() => false);
    try {
      const model = await this.kind.load(choice.source, {
        ...this.kind.options(),
        signal: controller.signal,
        onProgress: (report) => {
          if (mine === this.turn) this.progress.set(meter.read(report));
        },
      });
      if (mine !== this.turn) {
        await model.dispose();
        return false;
      }
      if (typeof choice.source === "string") writeSetting(`${this.kind.remember}lastModel`, choice.source);
      this.state.set({ step: "ready", choice, model });
      return true;
    } catch (error) {
      if (mine !== this.turn) return false;
      const trouble = troubleOf(error);
      if (trouble.code === "Cancelled") void this.choose(choice);
      else this.state.set({ step: "trouble", choice, trouble, loading: true });
      return false;
    } finally {
      writeSetting(`${this.kind.remember}opening`, undefined);
    }
  }

  /** Frees the model that is open, if any. */
  async close(): Promise<void> {
    const now = this.state.value;
    if (now.step === "loading") now.cancel();
    if (now.step !== "ready") return;
    this.state.set({ step: "none" });
    await now.model.dispose().catch(() => undefined);
  }

  /** Frees the model and forgets it: the next visit begins without one. */
  async leave(): Promise<void> {
    this.turn += 1;
    writeSetting(`${this.kind.remember}lastModel`, undefined);
    await this.close();
  }

  /** The GPU failed while computing: the model in hand is gone, opening it again is the way on. */
  async broken(trouble: Trouble): Promise<void> {
    const now = this.state.value;
    if (now.step !== "ready") return;
    this.turn += 1;
    await this.close();
    this.state.set({ step: "trouble", choice: now.choice, trouble, loading: true });
  }

  /** The model of the last visit, where it can be opened again, and whether the page died while opening it. */
  lastChoice(): { choice: Choice; died: boolean } | undefined {
    const source = readSetting<string>(`${this.kind.remember}lastModel`, "");
    const opening = readSetting<string>(`${this.kind.remember}opening`, "");
    const text = opening || source;
    if (!text) return undefined;
    const choice = this.kind.fromText(text);
    return choice && { choice, died: opening !== "" };
  }

  async storedModels(): Promise<CacheEntry[]> {
    // Without OPFS nothing is kept, which is also a true answer.
    return cache.list().catch(() => []);
  }

  /** How much of a model is on this device: all, so that it opens without the network, or what a broken download left. */
  async keptPart(choice: Choice): Promise<Kept> {
    const { source } = choice;
    if (typeof source !== "string") return "whole";
    const entry = (await this.storedModels()).find((kept) => isSame(kept.source, source));
    return entry ? (entry.complete ? "whole" : "part") : "nothing";
  }

  async forget(source: string): Promise<void> {
    await cache.delete(source);
  }

  async askDevice(): Promise<Device> {
    // Whether the kernels compute rightly is asked when a model is opened, not of everyone who looks at the page.
    const answer = await probe({ selfTest: false });
    this.device.set(answer);
    return answer;
  }
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
