/** How far the measuring is: one bar for all of it, and in words what is done now. */
import { h } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { CONTEXTS, type Step } from "./measure.js";
import type { Kind } from "./slots.js";

export type Part = "gpu" | Kind;
/** Of how many pieces of about the same length each part is made. */
const PIECES: Record<Part, number> = { gpu: 2, language: 2 + CONTEXTS.length, image: 4 };

export class ProgressBar {
  private readonly filled = h("div", { class: "bar-fill" });
  private readonly bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": t("benchProgress") },
    this.filled,
  );
  private readonly words = h("span", { class: "phase" });
  private readonly amount = h("span", { class: "amount" });
  readonly root = h(
    "div",
    { class: "progress" },
    h("div", { class: "progress-line" }, this.words, this.amount),
    this.bar,
  );
  private part: Part = "gpu";

  constructor(private readonly parts: Part[]) {}

  begin(part: Part): void {
    this.part = part;
  }

  update(step: Step): void {
    const before = this.parts.slice(0, this.parts.indexOf(this.part)).reduce((sum, part) => sum + PIECES[part], 0);
    const all = this.parts.reduce((sum, part) => sum + PIECES[part], 0);
    const share = (before + within(step)) / all;
    const text = wordsFor(step);
    if (this.words.textContent !== text) this.words.textContent = text;
    this.amount.textContent = step.kind === "load" ? amountOf(step) : "";
    this.filled.style.transform = `scaleX(${share})`;
    this.filled.classList.toggle("busy", step.kind !== "load" && step.kind !== "paint");
    this.bar.setAttribute("aria-valuenow", String(Math.floor(100 * share)));
    this.bar.setAttribute("aria-valuetext", `${text} ${numbers.percent(share)}`);
  }
}

/** Pieces of this part that are done. */
function within(step: Step): number {
  switch (step.kind) {
    case "choices":
    case "kernels":
      return 0;
    case "bound":
    case "warm":
      return 1;
    case "load":
      return step.progress && step.progress.total > 0 ? Math.min(1, step.progress.loaded / step.progress.total) : 0;
    case "context":
      return 2 + CONTEXTS.indexOf(step.context);
    case "paint":
      return 2 + (2 * step.done) / step.steps;
  }
}

function amountOf({ progress }: Extract<Step, { kind: "load" }>): string {
  if (progress?.phase !== "download" || progress.total <= 0) return "";
  return t("bytesOf", { loaded: numbers.count(progress.loaded), total: numbers.count(progress.total) });
}

function wordsFor(step: Step): string {
  switch (step.kind) {
    case "choices":
      return t("benchAtChoices");
    case "kernels":
      return t("benchAtKernels");
    case "bound":
      return t("benchAtBound");
    case "warm":
      return t("benchAtWarm");
    case "load":
      return t("benchAtLoad", { name: step.name });
    case "context":
      return t("benchAtContext", { n: numbers.count(step.context) });
    case "paint":
      return t("benchAtPaint", {
        n: numbers.count(Math.min(step.done + 1, step.steps)),
        all: numbers.count(step.steps),
      });
  }
}
