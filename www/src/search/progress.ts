/** What is being read now: one bar above the field, with a button that stops it. */
import { byId, fill, h } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import type { Shelf, Work } from "./shelf.js";

export class ProgressBar {
  private readonly place = byId("work");
  private readonly filled = h("div", { class: "bar-fill" });
  private readonly bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 },
    this.filled,
  );
  private readonly words = h("span", { class: "phase" });
  private readonly amount = h("span", { class: "amount" });
  private readonly stop: HTMLButtonElement;
  private readonly root: HTMLElement;

  constructor(shelf: Shelf) {
    this.stop = h("button", { type: "button", class: "link", id: "stop-work", onClick: () => shelf.stop() });
    this.root = h(
      "div",
      { class: "progress" },
      h("div", { class: "progress-line" }, this.words, h("span", { class: "progress-acts" }, this.amount, this.stop)),
      this.bar,
    );
    shelf.work.watch((work) => this.draw(work));
  }

  /** Drawn once, then only its numbers change, so that the button keeps the focus. */
  private draw(work: Work | undefined): void {
    if (!work) return fill(this.place);
    if (!this.root.isConnected) fill(this.place, this.root);
    const { doing, name, done, total } = work;
    const share = total > 0 ? done / total : 0;
    const text = t(doing === "reading" ? "readingNote" : "embeddingNote", { name });
    if (this.words.textContent !== text) this.words.textContent = text;
    this.stop.textContent = t("stop");
    this.amount.textContent = total > 0 ? t("partOf", { n: numbers.count(done), all: numbers.count(total) }) : "";
    this.filled.style.transform = `scaleX(${total > 0 ? share : 1})`;
    this.filled.classList.toggle("busy", total === 0);
    this.bar.setAttribute("aria-label", t(doing === "reading" ? "readingNotes" : "embeddingNotes"));
    this.bar.setAttribute("aria-valuenow", String(Math.floor(100 * share)));
    this.bar.setAttribute("aria-valuetext", `${text} ${numbers.percent(share)}`);
  }
}
