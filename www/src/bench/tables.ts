/** The report as rows of text: the page shows them and the copied Markdown holds them, so that both say the same. */
import type { ImageInfo, ModelInfo } from "inkstone";
import { t, type Key } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import type { Trouble } from "../shared-ui/trouble.js";
import {
  decodeShare,
  firstToken,
  pictureShares,
  prefillShare,
  prefills,
  type ImageReport,
  type LanguageReport,
  type Load,
  type Report,
} from "./report.js";

export interface Row {
  label: string;
  value: string;
  /** The part of the measured bound. */
  share?: number | undefined;
}

export interface Section {
  kind: "gpu" | "language" | "image";
  title: string;
  /** What of it one wants to know beside its name. */
  facts: string[];
  rows: Row[];
  notes: string[];
  trouble?: Trouble | undefined;
}

export function sections(report: Report): Section[] {
  const { language, image } = report;
  return [
    gpu(report),
    ...(language ? [languageSection(report, language)] : []),
    ...(image ? [imageSection(report, image)] : []),
  ];
}

const CHOICES: Record<string, Key | undefined> = {
  winograd: "benchWinograd",
  "short tiles": "benchShortTiles",
  "short attention": "benchShortAttention",
};

function gpu({ browser, gpu, tried = [], bound, boundTrouble, trouble }: Report): Section {
  const rows: Row[] = [];
  const notes: string[] = [];
  if (gpu) {
    const right = gpu.kernels.filter(({ ok }) => ok).length;
    rows.push(
      { label: t("factAdapter"), value: gpu.adapter },
      { label: t("benchBrowser"), value: browser },
      { label: t("benchTier"), value: `${gpu.tier} · ${gpu.family}` },
      {
        label: t("benchSelfTest"),
        value: t("benchKernelsRight", { right: numbers.count(right), all: numbers.count(gpu.kernels.length) }),
      },
    );
    if (gpu.family === "software") notes.push(t("benchSoftware"));
  }
  for (const { choice, seconds, chosen } of tried) {
    const speed = numbers.count(seconds[0] / seconds[1], 2);
    rows.push({ label: CHOICES[choice] ? t(CHOICES[choice]) : choice, value: t(chosen ? "benchChosen" : "benchNotChosen", { speed }) });
  }
  if (bound) {
    rows.push(
      { label: t("benchRead"), value: numbers.scaled(bound.bytesPerSecond, "B/s") },
      { label: t("benchCompute"), value: numbers.scaled(bound.flopsPerSecond, "FLOP/s") },
    );
  }
  if (boundTrouble) notes.push(t("benchNoBound", { why: boundTrouble.message }));
  return { kind: "gpu", title: t("benchGpu"), facts: [], rows, notes, trouble };
}

function languageSection(report: Report, language: LanguageReport): Section {
  const { name, info, load, contexts, leftOut, trouble } = language;
  const rows: Row[] = [];
  const facts: string[] = [];
  if (info) {
    const { weights, cache, scratch } = info.bytes;
    facts.push(...about(info, weights + cache + scratch));
  }
  if (load) rows.push(loaded(load));
  for (const each of prefills(language)) {
    const label = t("benchPrefill", { n: numbers.count(each.context) });
    const value = tokensPerSecond(each.prefillTokensPerSecond);
    rows.push({ label, value, share: prefillShare(report, each) });
  }
  const first = firstToken(language);
  if (first) {
    const label = t("benchFirstToken", { n: numbers.count(first.context) });
    rows.push({ label, value: time(first.firstTokenMs) });
  }
  for (const each of contexts) {
    const label = t("benchDecode", { n: numbers.count(each.context) });
    const value = tokensPerSecond(each.decodeTokensPerSecond);
    rows.push({ label, value, share: decodeShare(report, each) });
  }
  const notes = leftOut.map(({ context, seconds }) => {
    const n = numbers.count(context);
    return seconds === undefined
      ? t("benchTooShort", { n })
      : t("benchTooSlow", { n, time: numbers.duration(Math.min(seconds, 86_400)) });
  });
  return { kind: "language", title: t("benchLanguageOf", { name }), facts, rows, notes, trouble };
}

function imageSection(report: Report, { name, info, load, picture, trouble }: ImageReport): Section {
  const rows: Row[] = [];
  const facts: string[] = [];
  if (info) {
    facts.push(...about(info, info.bytes.peak));
  }
  if (load) rows.push(loaded(load));
  if (picture) {
    facts.push(`${picture.width} × ${picture.height}`);
    const { steps, stepMs, textMs, decodeMs, totalMs } = picture;
    const shares = pictureShares(report, picture);
    rows.push(
      { label: t("benchText"), value: time(textMs) },
      { label: t(picture.guidance > 1 ? "benchStepTwice" : "benchStep"), value: time(stepMs), share: shares.step },
      { label: t("benchDecodePicture"), value: time(decodeMs), share: shares.decode },
      { label: t("benchPicture", { n: numbers.count(steps) }), value: time(totalMs) },
    );
  }
  return { kind: "image", title: t("benchImageOf", { name }), facts, rows, notes: [], trouble };
}

function about(info: ModelInfo | ImageInfo, bytes: number): string[] {
  const memory = { weights: numbers.bytes(info.bytes.weights), all: numbers.bytes(bytes) };
  return [t("parameterCount", { n: numbers.parameters(info.parameters) }), info.quantization, t("benchMemory", memory)];
}

function loaded({ local, ms }: Load): Row {
  return { label: t(local ? "benchLoadLocal" : "benchLoadNetwork"), value: time(ms) };
}

export function tokensPerSecond(value: number): string {
  return t("tokensPerSecond", { n: numbers.significant(value) });
}

function time(ms: number): string {
  return ms < 1000
    ? t("milliseconds", { n: numbers.significant(ms) })
    : t("seconds", { n: numbers.significant(ms / 1000) });
}

/** The report to be pasted: a heading and a table for each section. */
export function markdown(report: Report): string {
  const cell = (text: string) => text.replace(/\s+/g, " ").replace(/[|\\]/g, "\\$&");
  const lines = [`## ${t("benchReportTitle", { date: numbers.moment(Date.parse(report.date)) })}`, ""];
  for (const { title, facts, rows, notes, trouble } of sections(report)) {
    lines.push([`**${title}**`, ...facts].join(" · "), "");
    if (rows.length > 0) {
      lines.push(`| | ${t("benchMeasured")} | ${t("benchShare")} |`, "|---|---:|---:|");
      for (const { label, value, share } of rows) {
        lines.push(`| ${cell(label)} | ${cell(value)} | ${share === undefined ? "" : numbers.share(share)} |`);
      }
      lines.push("");
    }
    for (const note of notes) lines.push(`- ${note}`);
    if (trouble) lines.push(`- ${trouble.code}: ${trouble.message}`);
    if (notes.length > 0 || trouble) lines.push("");
  }
  const wrong = report.gpu?.kernels.filter(({ ok }) => !ok) ?? [];
  for (const { name, variant } of wrong) lines.push(`- ${t("benchKernelWrong", { name: `\`${name}\` ${variant}` })}`);
  if (wrong.length > 0) lines.push("");
  if (report.cancelled) lines.push(t("benchCancelled"), "");
  lines.push(t("benchHow"));
  return `${lines.join("\n")}\n`;
}
