/** The measuring itself, by the package alone: nothing in here knows of a page. */
import { ImageModel, LanguageModel, probe, roofline, tune, type Progress, type Source } from "inkstone";
import { troubleOf } from "../shared-ui/trouble.js";
import type { Context, ImageReport, LanguageReport, Load, Report } from "./report.js";

/** Lengths of prompts. The first stands for an empty context: something must be there to go on from. */
export const CONTEXTS = [16, 128, 512, 1024, 2048];
/** How often each is measured where that is quick, and the seconds after which it is enough. */
const RUNS = 3;
const ENOUGH_S = 6;
/** What would take longer by itself is left out: adapters that compute on the CPU would hold people for minutes. */
const LONGEST_S = 60;
/** Tokens that are decoded: as many as take about this long. */
const DECODE_S = 1.5;
const DECODE = { least: 8, most: 128 };
/** Steps that are painted: as many as take about this long. */
const PAINT_S = 8;
const STEPS = { least: 2, most: 20 };

const PROMPT = "a red heart";
/** Another one, so that the encoding of the first is not remembered. */
const WARM_PROMPT = "a cat face";
const PASSAGE =
  "The ink is ground slowly, with a little water, until it is as dark as the night over the river. Then the brush is " +
  "dipped, lifted, and set down on the paper, and whoever writes no longer thinks of the hand that holds it. ";

export type Step =
  | { kind: "choices" | "kernels" | "bound" | "warm" }
  | { kind: "load"; name: string; progress?: Progress }
  | { kind: "context"; context: number }
  /** `done` of all steps are. */
  | { kind: "paint"; done: number; steps: number };

export interface Hear {
  signal: AbortSignal;
  step(step: Step): void;
  /** Something was added to the report. */
  grown(): void;
}

export interface Wanted<Source> {
  name: string;
  source: Source;
}

/** Thrown between two calls of the package, which throws the like in them. */
class Cancelled extends Error {
  readonly code = "Cancelled";
}

function check({ signal }: Hear): void {
  if (signal.aborted) throw new Cancelled("cancelled");
}

export async function measureGpu(report: Report, hear: Hear): Promise<void> {
  const { signal } = hear;
  hear.step({ kind: "choices" });
  try {
    report.tried = await tune({ signal });
  } catch {
    // Then nothing is chosen; what is wrong with the device the next call says.
    check(hear);
  }
  hear.step({ kind: "kernels" });
  const { adapter, tier, family, limits, budgetBytes, kernels } = await probe({ signal });
  report.gpu = { adapter, tier, family, limits, budgetBytes, kernels };
  hear.grown();
  hear.step({ kind: "bound" });
  try {
    report.bound = await roofline({ signal });
  } catch (error) {
    // Speeds are worth having without what they are compared with.
    report.boundTrouble = troubleOf(error);
    check(hear);
  }
  hear.grown();
}

/** Loads a model and times it. */
async function timed<M>(
  name: string,
  hear: Hear,
  load: (options: { signal: AbortSignal; onProgress: (progress: Progress) => void }) => Promise<M>,
): Promise<{ model: M; load: Load }> {
  hear.step({ kind: "load", name });
  let local = true;
  const begun = performance.now();
  const model = await load({
    signal: hear.signal,
    onProgress: (progress) => {
      if (progress.phase === "download" && !progress.local) local = false;
      if (!hear.signal.aborted) hear.step({ kind: "load", name, progress });
    },
  });
  return { model, load: { ms: performance.now() - begun, local } };
}

export async function measureLanguage(report: Report, { name, source }: Wanted<Source>, hear: Hear): Promise<void> {
  const found: LanguageReport = (report.language = { name, contexts: [], leftOut: [] });
  const isFile = typeof source !== "string";
  const { model, load } = await timed(name, hear, (options) => LanguageModel.load(source, options));
  try {
    found.load = { ...load, local: load.local || isFile };
    found.info = model.info;
    hear.grown();
    const runs = new Runs(model, hear);
    hear.step({ kind: "warm" });
    await runs.once(CONTEXTS[0]!, 4);
    for (const context of CONTEXTS) {
      const fits = context + DECODE.most + MARGIN <= model.info.contextLength;
      const seconds = runs.guess(context);
      if (!fits) found.leftOut.push({ context });
      else if (seconds > LONGEST_S) found.leftOut.push({ context, seconds });
      else {
        hear.step({ kind: "context", context });
        found.contexts.push(await runs.median(context));
      }
      hear.grown();
    }
  } finally {
    await model.dispose().catch(() => undefined);
  }
}

/** A prompt that is cut out of tokens may have a few more of them once it is a text again. */
const MARGIN = 8;

/** One run of a context. */
type Run = Omit<Context, "context" | "runs">;

class Runs {
  private count = 0;
  private passage: number[] = [];
  private latest: Run | undefined;

  constructor(
    private readonly model: LanguageModel,
    private readonly hear: Hear,
  ) {}

  /** About how many seconds a run takes, by the one before. */
  guess(context: number): number {
    const { prefillTokensPerSecond: read = 0, decodeTokensPerSecond: write = 0 } = this.latest ?? {};
    return context / read + this.newTokens / write;
  }

  private get newTokens(): number {
    const wanted = Math.round((this.latest?.decodeTokensPerSecond ?? 0) * DECODE_S);
    return Math.min(Math.max(wanted, DECODE.least), DECODE.most);
  }

  /** Medians of a few runs. Where they are quick the first is not counted: kernels meet this size in it. */
  async median(context: number): Promise<Context> {
    const begun = performance.now();
    const newTokens = this.newTokens;
    const runs: Run[] = [];
    while (runs.length <= RUNS && (runs.length === 0 || (performance.now() - begun) / 1000 < ENOUGH_S)) {
      runs.push(await this.once(context, newTokens));
    }
    const counted = runs.length > 1 ? runs.slice(1) : runs;
    const of = (key: keyof Run) => median(counted.map((run) => run[key]));
    return {
      context,
      promptTokens: of("promptTokens"),
      newTokens: of("newTokens"),
      runs: counted.length,
      prefillTokensPerSecond: of("prefillTokensPerSecond"),
      firstTokenMs: of("firstTokenMs"),
      decodeTokensPerSecond: of("decodeTokensPerSecond"),
    };
  }

  async once(context: number, maxTokens: number): Promise<Run> {
    check(this.hear);
    const { usage, timings } = await this.model.generate(await this.prompt(context), {
      raw: true,
      temperature: 0,
      maxTokens,
      ignoreEos: true,
      signal: this.hear.signal,
    });
    check(this.hear);
    const read = usage.promptTokens - usage.cachedTokens;
    this.latest = {
      promptTokens: usage.promptTokens,
      newTokens: usage.completionTokens,
      prefillTokensPerSecond: (read * 1000) / timings.prefillMs,
      firstTokenMs: timings.firstTokenMs,
      decodeTokensPerSecond: timings.tokensPerSecond,
    };
    return this.latest;
  }

  /** A text of about so many tokens that begins like no earlier one: what was read before would not be read again. */
  private async prompt(context: number): Promise<string> {
    for (let times = 1; this.passage.length < context; times *= 2) {
      this.passage = await this.model.tokenize(PASSAGE.repeat(times));
    }
    const head = await this.model.tokenize(`${++this.count}. `);
    return this.model.detokenize([...head, ...this.passage].slice(0, context));
  }
}

export async function measureImage(
  report: Report,
  { name, source, guidance }: Wanted<Source> & { guidance?: number },
  hear: Hear,
): Promise<ImageBitmap | undefined> {
  const found: ImageReport = (report.image = { name });
  const isFile = typeof source !== "string";
  const { model, load } = await timed(name, hear, (options) => ImageModel.load(source, options));
  try {
    found.load = { ...load, local: load.local || isFile };
    found.info = model.info;
    hear.grown();
    const [width, height] = model.info.defaultSize;
    const guidanceScale = guidance ?? model.info.defaultGuidance;
    const paint = async (prompt: string, steps: number, heard: boolean) => {
      check(hear);
      const options = { width, height, steps, guidanceScale, seed: 1, preview: "none", signal: hear.signal } as const;
      const painting = model.generate(prompt, options);
      if (heard) for await (const { step } of painting) hear.step({ kind: "paint", done: step, steps });
      const [picture] = await painting;
      check(hear);
      return picture!;
    };
    hear.step({ kind: "warm" });
    const first = await paint(WARM_PROMPT, STEPS.least, false);
    const wanted = Math.floor((PAINT_S * 1000) / Math.max(1, first.timings.stepMs.at(-1) ?? 1));
    const steps = Math.min(Math.max(wanted, STEPS.least), STEPS.most);
    hear.step({ kind: "paint", done: 0, steps });
    const { bitmap, timings, flops } = await paint(PROMPT, steps, true);
    const { textMs, stepMs, decodeMs, totalMs } = timings;
    const step = median(stepMs.length > 1 ? stepMs.slice(1) : stepMs);
    found.picture = { width, height, steps, guidance: guidanceScale, textMs, stepMs: step, decodeMs, totalMs, flops };
    found.info = model.info;
    hear.grown();
    return bitmap;
  } finally {
    await model.dispose().catch(() => undefined);
  }
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
