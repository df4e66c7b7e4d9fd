/** The line above the words while something is painted: the step, the time left, a bar. */
import { byId, fill, h } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import type { Easel, Painting } from "./easel.js";

export class ProgressLine {
  private readonly root = byId("progress");
  private readonly text = h("span", { class: "phase" });
  private readonly show = h("button", { type: "button", class: "link", onClick: () => this.look() });
  private readonly fillBar = h("div", { class: "bar-fill" });
  private readonly bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 },
    this.fillBar,
  );

  constructor(private readonly easel: Easel) {
    fill(this.root, h("div", { class: "progress-line" }, this.text, this.show), this.bar);
  }

  private look(): void {
    const sheet = this.easel.painting.value?.sheet;
    if (sheet) this.easel.show({ kind: "sheet", sheet, chosen: sheet.frames.length === 1 ? 0 : undefined });
  }

  draw(): void {
    const painting = this.easel.painting.value;
    const { waits } = this.easel;
    this.root.hidden = !painting && !waits;
    this.show.textContent = t("showIt");
    this.bar.setAttribute("aria-label", t("paintingProgress"));
    if (!painting) {
      this.text.textContent = waits ? t("waitsForModel") : "";
      this.show.hidden = true;
      this.bar.hidden = true;
      return;
    }
    const view = this.easel.view.value;
    this.show.hidden = view.kind === "sheet" && view.sheet === painting.sheet;
    this.bar.hidden = false;
    const share = shareOf(painting);
    const text = words(painting);
    this.text.textContent = text;
    // A little is there from the start: that is what shows that something goes on.
    this.fillBar.style.transform = `scaleX(${Math.max(0.02, share)})`;
    this.fillBar.classList.toggle("busy", painting.phase !== "painting");
    this.bar.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
    this.bar.setAttribute("aria-valuetext", text);
  }
}

export function shareOf({ sheet, place, step, steps }: Painting): number {
  const all = sheet.frames.length;
  return all === 0 ? 0 : (place + (steps > 0 ? step / steps : 0)) / all;
}

function words({ sheet, place, phase, step, steps, secondsLeft }: Painting): string {
  const all = sheet.frames.length;
  const which = all > 1 ? [t("pictureOf", { n: place + 1, all })] : [];
  if (phase === "reading") return [...which, t("readingPrompt")].join(", ");
  if (phase === "finishing") return [...which, t("finishing")].join(", ");
  const left = secondsLeft === undefined ? [] : [about(secondsLeft)];
  return [...which, t("stepOf", { n: numbers.count(step), all: numbers.count(steps) }), ...left].join(", ");
}

/** A guess should not look exact. */
function about(seconds: number): string {
  if (seconds < 90) return t("aboutSeconds", { n: numbers.count(Math.max(1, Math.round(seconds))) });
  return t("aboutMinutes", { n: numbers.count(Math.round(seconds / 60)) });
}
