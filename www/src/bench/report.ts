/** What was measured, as plain data: the table, the plot and both files are made of nothing else. */
import type { ImageFlops, ImageInfo, ModelInfo, ProbeResult, Roofline, Tried } from "inkstone";
import type { Trouble } from "../shared-ui/trouble.js";

export interface Report {
  /** When the measuring began, ISO 8601. */
  date: string;
  browser: string;
  gpu?: Pick<ProbeResult, "adapter" | "tier" | "family" | "limits" | "budgetBytes" | "kernels">;
  /** Pairs of kernels, and which is the quicker one here. */
  tried?: Tried[];
  bound?: Roofline;
  /** Why the bound is missing. */
  boundTrouble?: Trouble;
  language?: LanguageReport;
  image?: ImageReport;
  /** The person ended it early: what is missing was not measured. */
  cancelled?: boolean;
  trouble?: Trouble;
}

/** How a model came to the GPU. */
export interface Load {
  ms: number;
  /** False: its files came over the network. */
  local: boolean;
}

export interface LanguageReport {
  name: string;
  info?: ModelInfo;
  load?: Load;
  contexts: Context[];
  leftOut: LeftOut[];
  trouble?: Trouble;
}

/** A prompt of about `context` tokens, read and continued: medians of `runs`. */
export interface Context {
  context: number;
  promptTokens: number;
  newTokens: number;
  runs: number;
  prefillTokensPerSecond: number;
  firstTokenMs: number;
  decodeTokensPerSecond: number;
}

/** A context that was not measured, and how long it would take here; without `seconds` the model can't read so much. */
export interface LeftOut {
  context: number;
  seconds?: number;
}

export interface ImageReport {
  name: string;
  info?: ImageInfo;
  load?: Load;
  picture?: Picture;
  trouble?: Trouble;
}

export interface Picture {
  width: number;
  height: number;
  steps: number;
  guidance: number;
  textMs: number;
  /** The median; the first step is left out of it. */
  stepMs: number;
  decodeMs: number;
  totalMs: number;
  flops: ImageFlops;
}

/** Which part of the read bandwidth decoding takes: every token reads the weights once. */
export function decodeShare({ bound, language }: Report, { decodeTokensPerSecond }: Context): number | undefined {
  if (!bound?.bytesPerSecond || !language?.info) return undefined;
  return (language.info.bytes.weights * decodeTokensPerSecond) / bound.bytesPerSecond;
}

/** Which part of the arithmetic reading a prompt takes: a multiplication and an addition for each weight and token. */
export function prefillShare({ bound, language }: Report, { prefillTokensPerSecond }: Context): number | undefined {
  if (!bound?.flopsPerSecond || !language?.info) return undefined;
  return (2 * language.info.parameters * prefillTokensPerSecond) / bound.flopsPerSecond;
}

/** Which part of the arithmetic a step and the decoder of a picture take. */
export function pictureShares(
  { bound }: Report,
  { stepMs, decodeMs, flops }: Picture,
): Record<keyof ImageFlops, number | undefined> {
  const share = (count: number, ms: number) => bound?.flopsPerSecond && (count * 1000) / ms / bound.flopsPerSecond;
  return { step: share(flops.step, stepMs), decode: share(flops.decode, decodeMs) };
}

/** Prompts that the speed of reading is told of; where they would take too long, of the longest that did not. */
const PREFILL = [128, 512];

export function prefills({ contexts }: LanguageReport): Context[] {
  const usual = contexts.filter(({ context }) => PREFILL.includes(context));
  return usual.length > 0 ? usual : contexts.slice(-1);
}

/** The one whose first token is told of: a short question. */
export function firstToken({ contexts }: LanguageReport): Context | undefined {
  return contexts.find(({ context }) => context === PREFILL[0]) ?? contexts.at(-1);
}

/** The report with the fractions of the bound beside the speeds: what is saved as JSON. */
export function withShares(report: Report): object {
  const { language, image } = report;
  const contexts = language?.contexts.map((each) => ({
    ...each,
    prefillShare: prefillShare(report, each),
    decodeShare: decodeShare(report, each),
  }));
  const picture = image?.picture && { ...image.picture, shares: pictureShares(report, image.picture) };
  return {
    ...report,
    ...(language && { language: { ...language, contexts } }),
    ...(image && { image: { ...image, picture } }),
  };
}
