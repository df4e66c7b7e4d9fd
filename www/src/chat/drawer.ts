/** The drawer at the right: system prompt, sampling, and what the open model is made of. */
import { append, byId, fill, h } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { numberField, type NumberField } from "../shared-ui/number-field.js";
import type { Desk } from "./desk.js";
import { session } from "./session.js";
import {
  DEFAULTS,
  RANGES,
  changeSettings,
  defaultSystem,
  setDefaultSystem,
  settings,
  type NumberSetting,
} from "./settings.js";

const ORDER: NumberSetting[] = [
  "temperature",
  "topP",
  "topK",
  "minP",
  "repetitionPenalty",
  "maxTokens",
  "seed",
  "contextLength",
];

/** What the memory is made of, shown as parts of it. */
const PARTS = new Set<Key>(["factWeights", "factCache", "factScratch"]);

export class Drawer {
  private readonly system = byId<HTMLTextAreaElement>("system");
  private readonly always = byId<HTMLInputElement>("system-always");
  private readonly fields = byId("sampling");
  private readonly reasoning = byId<HTMLInputElement>("reasoning");
  private readonly facts = byId("model-facts");
  private shownFor = "";
  /** Brings each field up to date unless someone is typing in it. */
  private shows: (() => void)[] = [];

  constructor(private readonly desk: Desk) {
    this.system.addEventListener("input", () => {
      desk.setSystem(this.system.value);
      if (this.always.checked) setDefaultSystem(this.system.value);
    });
    this.always.addEventListener("change", () => setDefaultSystem(this.always.checked ? this.system.value : ""));
    this.reasoning.addEventListener("change", () => changeSettings({ reasoning: this.reasoning.checked }));
    byId("reset-settings").addEventListener("click", () => changeSettings(DEFAULTS));
    // Other parts of the page change settings too (a shorter context, a longer answer).
    settings.watch((now) => {
      for (const show of this.shows) show();
      this.reasoning.checked = now.reasoning;
      this.drawFacts();
    });
    this.redraw();
  }

  /** Everything anew: another language, or the defaults. */
  redraw(): void {
    const fields = ORDER.map(fieldFor);
    this.shows = fields.map(({ show }) => show);
    fill(this.fields, ...fields.map(({ root }) => root));
    this.reasoning.checked = settings.value.reasoning;
    this.shownFor = "";
    this.draw();
  }

  /** What depends on the open conversation and the open model. */
  draw(): void {
    const { id, system } = this.desk.open.value;
    if (this.shownFor !== id) {
      this.shownFor = id;
      this.system.value = system;
      this.always.checked = system !== "" && system === defaultSystem();
    }
    this.drawFacts();
  }

  /** Brings one setting into view, marked. */
  point(name: NumberSetting): void {
    const field = byId<HTMLInputElement>(`set-${name}`);
    field.scrollIntoView({ block: "center" });
    field.focus();
    field.select();
  }

  private drawFacts(): void {
    const now = session.state.value;
    this.facts.replaceChildren();
    if (now.step !== "ready") {
      this.facts.append(h("p", { class: "why" }, t("noModelOpen")));
      return;
    }
    const { info } = now.model;
    const total = info.bytes.weights + info.bytes.cache + info.bytes.scratch;
    const rows: [Key, string][] = [
      ["factName", info.name],
      ["factArchitecture", info.architecture],
      ["factParameters", numbers.parameters(info.parameters)],
      ["factQuantization", info.quantization],
      ["factContext", t("tokens", { n: numbers.count(info.contextLength) })],
      ["factVocabulary", numbers.count(info.vocabulary)],
      ["factMemory", numbers.bytes(total)],
      ["factWeights", numbers.bytes(info.bytes.weights)],
      ["factCache", numbers.bytes(info.bytes.cache)],
      ["factScratch", numbers.bytes(info.bytes.scratch)],
      ["factAdapter", info.adapter],
      ["factTier", info.tier],
    ];
    const wanted = settings.value.contextLength;
    append(this.facts, [
      h(
        "dl",
        {},
        ...rows.flatMap(([key, value]) => [
          h("dt", { class: PARTS.has(key) ? "part" : "" }, t(key)),
          h("dd", {}, value),
        ]),
      ),
      h(
        "div",
        { class: "ways" },
        wanted !== null &&
          wanted !== info.contextLength &&
          h(
            "button",
            { type: "button", class: "button quiet", onClick: () => void session.open(now.choice) },
            t("reopen"),
          ),
        h(
          "button",
          { type: "button", class: "button quiet", id: "close-model", onClick: () => void session.choose(now.choice) },
          t("closeModel"),
        ),
      ),
    ]);
  }
}

function fieldFor(name: NumberSetting): NumberField {
  return numberField({
    id: `set-${name}`,
    label: t(`set_${name}` as Key),
    why: t(`why_${name}` as Key),
    range: RANGES[name],
    empty: DEFAULTS[name],
    placeholder: DEFAULTS[name] === null ? t(`empty_${name as "seed" | "contextLength"}`) : undefined,
    value: () => settings.value[name],
    change: (value) => changeSettings({ [name]: value }),
  });
}
