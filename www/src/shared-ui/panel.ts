/** The card that leads from "no model" to "ready": what it is, whether it fits, how far it is, what went wrong. */
import { fill, h, icon } from "./dom.js";
import { t, type Key } from "./i18n.js";
import * as numbers from "./numbers.js";
import type { Choice } from "./models.js";
import type { Fit, Kept, Progress, Session, State } from "./session.js";
import { troubleCard, type Way } from "./trouble.js";

const PHASES: Record<Progress["phase"], Key> = {
  download: "phaseDownload",
  // The types name it; to whoever waits it is a part of the download.
  upload: "phaseDownload",
  compile: "phaseCompile",
  ready: "phaseReady",
};

/** What a page does around its model's card. */
export interface Around {
  showPicker: () => void;
  cancelled: () => void;
  /** The change that may make a model fit which does not; undefined where there is none (left). */
  smaller?: () => Way | undefined;
  /** The model that is offered while none is chosen. Nothing is asked about it before someone wants it. */
  first?: () => Choice;
  /** How the ids in this card begin, on a page that has several. */
  prefix?: string;
}

export class Panel<Model extends { dispose(): Promise<void> }> {
  readonly root: HTMLElement;
  private bar: LoadingBar | undefined;
  /** True while the focus was in here and what had it is gone. */
  private orphan = false;

  constructor(
    private readonly session: Session<Model>,
    private readonly around: Around,
  ) {
    this.root = h("section", { class: "panel", id: this.id("panel") });
    session.progress.watch((now) => now && this.bar?.update(now));
  }

  private id(name: string): string {
    return (this.around.prefix ?? "") + name;
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
    const now = this.session.state.value;
    this.bar = undefined;
    const offered = now.step === "none" ? this.around.first?.() : undefined;
    this.root.dataset.step = offered ? "offered" : now.step;
    if (offered) this.drawOffered(offered);
    else if (now.step === "none" || now.step === "ready")
      fill(this.root, now.step === "none" && this.otherButton("chooseModel"));
    else if (now.step === "checking") fill(this.root, cardHead(now.choice), h("p", { class: "fit" }, t("checking")));
    else if (now.step === "chosen") this.drawChosen(now.choice, now.fit, now.kept);
    else if (now.step === "loading") {
      const cancel = () => (this.around.cancelled(), now.cancel());
      this.bar = new LoadingBar(now.choice, this.id("cancel-load"), cancel);
      fill(this.root, ...this.bar.parts);
      if (this.session.progress.value) this.bar.update(this.session.progress.value);
    } else fill(this.root, cardHead(now.choice), this.trouble(now));
  }

  private drawOffered(choice: Choice): void {
    const size = numbers.bytes(choice.listed?.size ?? 0);
    const open = () => void this.session.open(choice);
    fill(
      this.root,
      cardHead(choice),
      h("p", { class: "hint" }, t("offeredHint")),
      h(
        "div",
        { class: "ways" },
        h(
          "button",
          { type: "button", class: "button", id: this.id("open-model"), onClick: open },
          t("downloadModel", { size }),
        ),
        this.otherButton("otherModels"),
      ),
    );
  }

  private drawChosen(choice: Choice, fit: Fit, kept: Kept): void {
    const open = h(
      "button",
      { type: "button", class: "button", id: this.id("open-model"), onClick: () => void this.session.open(choice) },
      kept === "whole"
        ? t("openModel")
        : t(kept === "part" ? "goOnDownloading" : "downloadModel", { size: numbers.bytes(fit.download) }),
    );
    const smaller = fit.fits ? undefined : this.around.smaller?.();
    fill(
      this.root,
      cardHead(choice),
      fitLine(fit, kept === "whole" && typeof choice.source === "string"),
      !fit.fits && fit.advice && h("p", { class: "advice" }, fit.advice),
      h(
        "div",
        { class: "ways" },
        fit.fits && open,
        smaller &&
          h(
            "button",
            {
              type: "button",
              class: "button quiet",
              onClick: () => {
                smaller.go();
                void this.session.choose(choice);
              },
            },
            smaller.label,
          ),
        this.otherButton(fit.fits ? "otherModels" : "chooseModel"),
      ),
    );
  }

  private otherButton(label: Key): HTMLButtonElement {
    return h("button", { type: "button", class: "button quiet", onClick: this.around.showPicker }, t(label));
  }

  private trouble(now: Extract<State<Model>, { step: "trouble" }>): HTMLElement {
    const { choice, trouble } = now;
    const again: Way = {
      label: t("tryAgain"),
      go: () => void (now.loading ? this.session.open(choice) : this.session.choose(choice)),
    };
    const other: Way = { label: t("chooseModel"), go: this.around.showPicker };
    const smaller = this.around.smaller?.();
    const anew: Way | undefined = smaller && {
      label: smaller.label,
      go: () => {
        smaller.go();
        void this.session.open(choice);
      },
    };
    switch (trouble.code) {
      case "Fetch":
        return troubleCard(trouble, [again, other]);
      case "Gpu":
        return troubleCard(trouble, [{ ...again, label: t("openAgain") }, other]);
      case "TooLarge":
        return troubleCard(trouble, anew ? [anew, other] : [other]);
      default:
        return troubleCard(trouble, [other, again]);
    }
  }
}

/** Name, size, licence: what one wants to know before a download. */
export function cardHead(choice: Choice, level: "h2" | "h3" = "h2"): HTMLElement {
  const { listed } = choice;
  const facts = listed
    ? [
        t("parameterCount", { n: numbers.parameters(listed.parameters) }),
        numbers.bytes(listed.size),
        ...(listed.quantization ? [listed.quantization] : []),
        listed.licence,
      ]
    : [typeof choice.source === "string" ? choice.source : t("fromThisDevice")];
  return h(
    "div",
    { class: "card-head" },
    h(level, {}, choice.name),
    h("p", { class: "facts" }, ...facts.map((fact) => h("span", {}, fact))),
  );
}

export function fitLine(fit: Fit, stored: boolean): HTMLElement {
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

  constructor(choice: Choice, id: string, cancel: () => void) {
    this.parts = [
      cardHead(choice),
      h("div", { class: "loading-top" }, this.phase, this.share),
      this.bar,
      h("div", { class: "loading-numbers" }, this.amount, this.pace),
      h("p", { class: "hint" }, t(typeof choice.source === "string" ? "loadingHint" : "loadingHintFile")),
      h(
        "div",
        { class: "ways" },
        h("button", { type: "button", class: "button quiet", id, onClick: cancel }, t("cancel")),
      ),
    ];
  }

  update(now: Progress): void {
    // Only bytes are worth counting: compiling is short, and nobody knows how short.
    const counted = now.phase === "download";
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
