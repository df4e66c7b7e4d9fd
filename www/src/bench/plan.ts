/** What will be measured: a row for the graphics card and one for each model, with what it will download. */
import { fill, h } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { cardHead, fitLine } from "../shared-ui/panel.js";
import type { State } from "../shared-ui/session.js";
import { troubleCard } from "../shared-ui/trouble.js";
import { sessions, wanted, type Kind } from "./slots.js";

const TITLES: Record<Kind, Key> = { language: "benchLanguage", image: "benchImage" };

export class Plan {
  private readonly rows = { language: h("div", { class: "plan-row" }), image: h("div", { class: "plan-row" }) };
  private readonly card = h("div", { class: "plan-row plan-card" });

  constructor(
    place: HTMLElement,
    private readonly choose: (kind: Kind) => void,
  ) {
    place.append(this.card, this.rows.language, this.rows.image);
    for (const kind of ["language", "image"] as const) sessions[kind].state.watch(() => this.drawModel(kind));
    wanted.watch(() => this.draw());
  }

  draw(): void {
    fill(this.card, h("h2", { class: "plan-name" }, t("benchGpu")), h("p", { class: "hint" }, t("benchGpuWhat")));
    this.drawModel("language");
    this.drawModel("image");
  }

  private drawModel(kind: Kind): void {
    const row = this.rows[kind];
    // Drawn anew while one of its parts may have the focus: the same part of the new row gets it.
    const held = row.contains(document.activeElement) ? document.activeElement?.id : "";
    const tick = h("input", { type: "checkbox", id: `want-${kind}`, checked: wanted.value[kind] });
    tick.addEventListener("change", () => wanted.set({ ...wanted.value, [kind]: tick.checked }));
    const title = h("h2", { class: "plan-name" }, h("label", { class: "check" }, tick, h("span", {}, t(TITLES[kind]))));
    const other = h(
      "button",
      {
        type: "button",
        class: "link",
        id: `other-${kind}`,
        "aria-label": t("benchOtherOf", { kind: t(TITLES[kind]) }),
        onClick: () => this.choose(kind),
      },
      t("benchOther"),
    );
    row.dataset.step = sessions[kind].state.value.step;
    fill(row, h("div", { class: "plan-head" }, title, other), ...(wanted.value[kind] ? this.state(kind) : []));
    if (held) document.getElementById(held)?.focus();
  }

  private state(kind: Kind): (HTMLElement | false)[] {
    const session = sessions[kind];
    const now: State<unknown> = session.state.value;
    if (now.step === "none") return [];
    const head = cardHead(now.choice, "h3");
    if (now.step === "checking") return [head, h("p", { class: "fit" }, t("checking"))];
    if (now.step === "trouble") {
      const again = { label: t("tryAgain"), go: () => void session.choose(now.choice) };
      return [head, troubleCard(now.trouble, [again])];
    }
    if (now.step !== "chosen") return [head];
    const { fit, kept, choice } = now;
    const stored = kept === "whole" && typeof choice.source === "string";
    const download = fit.fits && kept !== "whole" && fit.download > 0;
    return [
      head,
      fitLine(fit, stored),
      download && h("p", { class: "hint" }, t("benchDownload", { size: numbers.bytes(fit.download) })),
      !fit.fits && fit.advice !== undefined && h("p", { class: "advice" }, fit.advice),
    ];
  }
}
