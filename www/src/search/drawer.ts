/** The drawer at the right: how many passages are shown, the model that puts them in order, facts of the open one. */
import { append, byId, fill, h } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import { choiceOf } from "../shared-ui/models.js";
import { numberField } from "../shared-ui/number-field.js";
import * as numbers from "../shared-ui/numbers.js";
import { Panel } from "../shared-ui/panel.js";
import { RERANKERS } from "./catalogue.js";
import { SHOWN, type Seeker } from "./seek.js";
import { embedder, modelName, reranker } from "./sessions.js";

export class Drawer {
  private readonly panel: Panel<(typeof reranker.state.value & { step: "ready" })["model"]>;

  constructor(
    private readonly seeker: Seeker,
    choose: () => void,
  ) {
    this.panel = new Panel(reranker, {
      prefix: "rerank-",
      showPicker: choose,
      cancelled: () => undefined,
      first: () => choiceOf(RERANKERS[0]!),
    });
    this.redraw();
  }

  /** Everything anew, in another language. */
  redraw(): void {
    const field = numberField({
      id: "set-shown",
      label: t("set_shown"),
      why: t("why_shown"),
      range: SHOWN,
      empty: 6,
      value: () => this.seeker.shown,
      change: (value) => (this.seeker.shown = value ?? 6),
    });
    fill(byId("found-settings"), field.root);
    this.draw();
  }

  draw(): void {
    this.drawReranker();
    this.drawFacts();
  }

  private drawReranker(): void {
    const place = byId("reranker");
    const now = reranker.state.value;
    this.panel.draw();
    if (now.step !== "ready") {
      if (this.panel.root.parentElement !== place) fill(place, this.panel.root);
      return;
    }
    const close = h(
      "button",
      { type: "button", class: "button quiet", id: "close-reranker", onClick: () => void reranker.leave() },
      t("closeModel"),
    );
    fill(
      place,
      h("p", { class: "model-name" }, modelName(now.choice, now.model)),
      !now.model.info.reranks && h("p", { class: "why" }, t("ranksNothing")),
      h("div", { class: "ways" }, close),
    );
  }

  private drawFacts(): void {
    const place = byId("model-facts");
    const now = embedder.state.value;
    if (now.step !== "ready") return fill(place, h("p", { class: "why" }, t("noModelOpen")));
    const { info } = now.model;
    const rows: [Key, string][] = [
      ["factName", info.name || now.choice.name],
      ["factArchitecture", info.architecture],
      ["factParameters", numbers.parameters(info.parameters)],
      ["factQuantization", info.quantization],
      ["factDimensions", numbers.count(info.dimensions)],
      ["factMaxTokens", t("tokens", { n: numbers.count(info.maxTokens) })],
      ["factPooling", info.pooling],
      ["factMemory", numbers.bytes(info.bytes.weights + info.bytes.scratch)],
      ["factAdapter", info.adapter],
      ["factTier", info.tier],
    ];
    fill(place);
    append(place, [
      h("dl", {}, ...rows.flatMap(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)])),
      h(
        "div",
        { class: "ways" },
        h(
          "button",
          { type: "button", class: "button quiet", id: "close-model", onClick: () => void embedder.choose(now.choice) },
          t("closeModel"),
        ),
      ),
    ]);
  }
}
