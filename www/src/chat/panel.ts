/** The card that leads from "no model" to "ready": what it is, whether it fits, how far it is, what went wrong. */
import { fill, h, icon } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import type { Choice } from "./catalogue.js";
import * as session from "./session.js";
import { changeSettings, settings } from "./settings.js";
import { troubleCard, type Way } from "./trouble.js";

const PHASES: Record<session.Progress["phase"], Key> = {
  download: "phaseDownload",
  upload: "phaseUpload",
  compile: "phaseCompile",
  ready: "phaseReady",
};

export class Panel {
  readonly root = h("section", { class: "panel", id: "panel" });
  private bar: LoadingBar | undefined;
  /** True while the focus was in here and what had it is gone. */
  private orphan = false;

  constructor(
    private readonly showPicker: () => void,
    private readonly cancelled: () => void,
  ) {
    session.progress.watch((now) => now && this.bar?.update(now));
  }

  draw(): void {
    const focused = this.root.contains(document.activeElement);
    this.orphan = focused || (this.orphan && document.activeElement === document.body);
    this.drawStep();
    // Whoever pressed a button here by the keyboard goes on from the one that takes its place, now or a step later.
    const next = this.root.querySelector<HTMLElement>("button");
    if (!this.orphan || !next) return;
    this.orphan = false;
    next.focus();
  }

  private drawStep(): void {
    const now = session.state.value;
    this.bar = undefined;
    this.root.dataset.step = now.step;
    if (now.step === "none" || now.step === "ready")
      fill(this.root, now.step === "none" && this.otherButton("chooseModel"));
    else if (now.step === "checking") fill(this.root, cardHead(now.choice), h("p", { class: "fit" }, t("checking")));
    else if (now.step === "chosen") this.drawChosen(now.choice, now.fit, now.kept);
    else if (now.step === "loading") {
      this.bar = new LoadingBar(now.choice, () => (this.cancelled(), now.cancel()));
      fill(this.root, ...this.bar.parts);
      if (session.progress.value) this.bar.update(session.progress.value);
    } else fill(this.root, cardHead(now.choice), this.trouble(now));
  }

  private drawChosen(choice: Choice, fit: session.Fit, kept: session.Kept): void {
    const open = h(
      "button",
      { type: "button", class: "button", id: "open-model", onClick: () => void session.open(choice) },
      kept === "whole"
        ? t("openModel")
        : t(kept === "part" ? "goOnDownloading" : "downloadModel", { size: numbers.bytes(fit.download) }),
    );
    const shorter = !fit.fits && (settings.value.contextLength ?? Infinity) > 1024;
    fill(
      this.root,
      cardHead(choice),
      fitLine(fit, kept === "whole" && typeof choice.source === "string"),
      !fit.fits && fit.advice && h("p", { class: "advice" }, fit.advice),
      h(
        "div",
        { class: "ways" },
        fit.fits && open,
        shorter &&
          h(
            "button",
            {
              type: "button",
              class: "button quiet",
              onClick: () => {
                changeSettings({ contextLength: 1024 });
                void session.choose(choice);
              },
            },
            t("tryShorter"),
          ),
        this.otherButton(fit.fits ? "otherModels" : "chooseModel"),
      ),
    );
  }

  private otherButton(label: Key): HTMLButtonElement {
    return h("button", { type: "button", class: "button quiet", onClick: this.showPicker }, t(label));
  }

  private trouble(now: Extract<session.State, { step: "trouble" }>): HTMLElement {
    const { choice, trouble } = now;
    const again: Way = {
      label: t("tryAgain"),
      go: () => void (now.loading ? session.open(choice) : session.choose(choice)),
    };
    const other: Way = { label: t("chooseModel"), go: this.showPicker };
    const shorter: Way = {
      label: t("tryShorter"),
      go: () => {
        changeSettings({ contextLength: 1024 });
        void session.open(choice);
      },
    };
    switch (trouble.code) {
      case "Fetch":
        return troubleCard(trouble, [again, other]);
      case "Gpu":
        return troubleCard(trouble, [{ ...again, label: t("openAgain") }, other]);
      case "TooLarge":
        return troubleCard(trouble, (settings.value.contextLength ?? Infinity) > 1024 ? [shorter, other] : [other]);
      default:
        return troubleCard(trouble, [other, again]);
    }
  }
}

/** Name, size, licence: what one wants to know before a download. */
export function cardHead(choice: Choice): HTMLElement {
  const { listed } = choice;
  const facts = listed
    ? [
        t("parameterCount", { n: numbers.parameters(listed.parameters) }),
        numbers.bytes(listed.size),
        listed.quantization,
        listed.licence,
      ]
    : [typeof choice.source === "string" ? choice.source : t("fromThisDevice")];
  return h(
    "div",
    { class: "card-head" },
    h("h2", {}, choice.name),
    h("p", { class: "facts" }, ...facts.map((fact) => h("span", {}, fact))),
  );
}

export function fitLine(fit: session.Fit, stored: boolean): HTMLElement {
  return h(
    "p",
    { class: fit.fits ? "fit yes" : "fit no" },
    h("span", { class: "fit-mark" }, icon(fit.fits ? "check" : "close")),
    h(
      "span",
      {},
      t(fit.fits ? "fits" : "fitsNot"),
      " ",
      h("span", { class: "fit-why" }, t("needs", { gpu: numbers.bytes(fit.gpu) })),
      stored && h("span", { class: "fit-why" }, " ", t("alreadyHere")),
    ),
  );
}

/** Bytes, speed and time left; drawn once, then only its numbers change, so that Cancel keeps the focus. */
class LoadingBar {
  private readonly fillBar = h("div", { class: "bar-fill" });
  private readonly bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": t("loadingModel") },
    this.fillBar,
  );
  private readonly phase = h("span", { class: "phase" }, t("phaseStart"));
  private readonly share = h("span", { class: "share" });
  private readonly amount = h("span", { class: "amount" });
  private readonly pace = h("span", { class: "pace" });
  readonly parts: HTMLElement[];

  constructor(choice: Choice, cancel: () => void) {
    this.parts = [
      cardHead(choice),
      h("div", { class: "loading-top" }, this.phase, this.share),
      this.bar,
      h("div", { class: "loading-numbers" }, this.amount, this.pace),
      h("p", { class: "hint" }, t(typeof choice.source === "string" ? "loadingHint" : "loadingHintFile")),
      h(
        "div",
        { class: "ways" },
        h("button", { type: "button", class: "button quiet", id: "cancel-load", onClick: cancel }, t("cancel")),
      ),
    ];
  }

  update(now: session.Progress): void {
    // Only bytes are worth counting: compiling is short, and nobody knows how short.
    const counted = now.phase === "download" || now.phase === "upload";
    const fraction = !counted ? 1 : now.total > 0 ? Math.min(1, now.loaded / now.total) : 0;
    const text = t(now.phase === "download" && now.local ? "phaseLocal" : PHASES[now.phase]);
    if (this.phase.textContent !== text) this.phase.textContent = text;
    this.fillBar.style.transform = `scaleX(${fraction})`;
    this.bar.setAttribute("aria-valuenow", String(Math.floor(fraction * 100)));
    this.bar.setAttribute("aria-valuetext", counted ? `${text} ${numbers.percent(fraction)}` : text);
    this.fillBar.classList.toggle("busy", !counted);
    this.share.textContent = counted ? numbers.percent(fraction) : "";
    this.amount.textContent = counted
      ? t("bytesOf", { loaded: numbers.count(now.loaded), total: numbers.count(now.total) })
      : "";
    this.pace.textContent = [
      counted && now.bytesPerSecond > 0 ? numbers.speed(now.bytesPerSecond) : "",
      counted && now.secondsLeft !== undefined && fraction < 1
        ? t("timeLeft", { time: numbers.duration(now.secondsLeft) })
        : "",
    ]
      .filter(Boolean)
      .join(" · ");
  }
}
