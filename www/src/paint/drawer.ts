/** The drawer at the right: how pictures are painted, and what the open model is made of. */
import type { ImageInfo, SamplerName } from "inkstone";
import { append, byId, fill, h } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import { numberField, type NumberField } from "../shared-ui/number-field.js";
import * as numbers from "../shared-ui/numbers.js";
import { withCard } from "./catalogue.js";
import { session } from "./session.js";
import {
  changeSettings,
  DEFAULTS,
  RANGES,
  resetSettings,
  resolved,
  settings,
  SAMPLERS,
  type NumberSetting,
} from "./settings.js";
import { side } from "./shapes.js";

export class Drawer {
  private readonly fields = byId("fields");
  private readonly more = byId("more-fields");
  private readonly facts = byId("model-facts");
  private shows: (() => void)[] = [];

  constructor() {
    byId("reset-settings").addEventListener("click", resetSettings);
    settings.watch(() => {
      for (const show of this.shows) show();
    });
    this.redraw();
  }

  /** Everything anew: another language, another model. */
  redraw(): void {
    const now = session.state.value;
    const info = now.step === "ready" ? withCard(now.model.info, now.choice) : undefined;
    const steps = ownNumber("steps", info && numbers.count(info.defaultSteps));
    const guidance = ownNumber("guidance", info && numbers.count(info.defaultGuidance, 1));
    const clipSkip = ownNumber("clipSkip");
    const eta = ownNumber("eta");
    const second = ownNumber("variationSeed", t("noVariation"));
    const variation = numberField({
      id: "set-variation",
      label: t("set_variation"),
      why: t("why_variation"),
      range: RANGES.variation,
      empty: DEFAULTS.variation,
      value: () => settings.value.variation,
      change: (value) => value !== null && changeSettings({ variation: value }),
    });
    const sampler = samplerField(info);
    const size = sizeField(info);
    const noise = select("noise", t("set_noise"), t("why_noise"), ["cpu", "gpu"], (value) => t(`noise_${value}`), {
      value: () => settings.value.noise,
      change: (value) => changeSettings({ noise: value }),
    });
    const preview = h("input", { type: "checkbox", id: "preview" });
    preview.addEventListener("change", () => changeSettings({ preview: preview.checked }));
    const showPreview = () => (preview.checked = settings.value.preview);
    fill(
      this.fields,
      steps.root,
      guidance.root,
      sampler.root,
      h("label", { class: "check" }, preview, h("span", {}, t("previewLabel"))),
    );
    fill(this.more, size.root, variation.root, second.root, noise.root, clipSkip.root, eta.root);
    const fields = [steps, guidance, clipSkip, eta, second, variation, sampler, size, noise];
    this.shows = [...fields.map(({ show }) => show), showPreview];
    for (const show of this.shows) show();
    this.drawFacts();
  }

  /** What is known of the open model; what it takes on the GPU changes with every picture. */
  drawFacts(): void {
    const now = session.state.value;
    this.facts.replaceChildren();
    if (now.step !== "ready") {
      this.facts.append(h("p", { class: "why" }, t("noModelOpen")));
      return;
    }
    const { info } = now.model;
    const total = info.bytes.weights + info.bytes.scratch;
    const [width, height] = info.defaultSize;
    const rows: [Key, string][] = [
      ["factName", now.choice.name],
      ["factArchitecture", info.architecture],
      ["factSize", `${numbers.count(width)} × ${numbers.count(height)}`],
      ["factComponents", info.components.join(", ")],
      ["factMemory", numbers.bytes(total)],
      ["factAdapter", info.adapter],
      ["factTier", info.tier],
    ];
    append(this.facts, [
      h("dl", {}, ...rows.flatMap(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)])),
      h(
        "div",
        { class: "ways" },
        h(
          "button",
          { type: "button", class: "button quiet", id: "close-model", onClick: () => void session.choose(now.choice) },
          t("closeModel"),
        ),
      ),
    ]);
  }
}

function nameOf(sampler: string): string {
  return SAMPLERS[sampler] ?? sampler;
}

/** A number that is the model's own until someone chooses one. */
function ownNumber(name: Exclude<NumberSetting, "strength" | "variation">, own?: string): NumberField {
  return numberField({
    id: `set-${name}`,
    label: t(`set_${name}`),
    why: t(`why_${name}`),
    range: RANGES[name],
    empty: null,
    placeholder: own ?? t("modelsOwn"),
    value: () => settings.value[name],
    change: (value) => changeSettings({ [name]: value }),
  });
}

function samplerField(info: ImageInfo | undefined): NumberField {
  const known = info?.samplers ?? (Object.keys(SAMPLERS) as SamplerName[]);
  const own = info ? t("samplerOwnNamed", { name: nameOf(info.defaultSampler) }) : t("samplerOwn");
  return select(
    "sampler",
    t("set_sampler"),
    t("why_sampler"),
    ["", ...known],
    (value) => (value ? nameOf(value) : own),
    {
      value: () => settings.value.sampler ?? "",
      change: (value) => changeSettings({ sampler: value || null }),
    },
  );
}

function select<T extends string>(
  name: string,
  label: string,
  why: string,
  values: T[],
  text: (value: T) => string,
  setting: { value: () => T; change: (value: T) => void },
): NumberField {
  const id = `set-${name}`;
  const field = h(
    "select",
    { id, "aria-describedby": `why-${id}` },
    ...values.map((value) => h("option", { value }, text(value))),
  );
  field.addEventListener("change", () => setting.change(field.value as T));
  const root = h(
    "div",
    { class: "setting" },
    h("label", { for: id }, label),
    field,
    h("p", { class: "why", id: `why-${id}` }, why),
  );
  const show = () => {
    field.value = setting.value();
    // What this model doesn't know counts as its own choice.
    if (field.selectedIndex < 0) field.selectedIndex = 0;
  };
  return { root, show };
}

/** Width and height to the pixel, for those who need them; the shapes beside the words are the usual way. */
function sizeField(info: ImageInfo | undefined): NumberField {
  const field = (name: "width" | "height") =>
    h("input", { type: "number", id: `set-${name}`, "aria-label": t(name), inputmode: "numeric", disabled: !info });
  const [width, height] = [field("width"), field("height")];
  const show = () => {
    const now = info && resolved(settings.value, info);
    if (document.activeElement !== width) width.value = now ? String(now.width) : "";
    if (document.activeElement !== height) height.value = now ? String(now.height) : "";
  };
  const take = () => {
    if (!info) return;
    const now = resolved(settings.value, info);
    const chosen = {
      width: side(width.valueAsNumber || now.width, info),
      height: side(height.valueAsNumber || now.height, info),
    };
    changeSettings(chosen);
    width.value = String(chosen.width);
    height.value = String(chosen.height);
  };
  for (const each of [width, height]) each.addEventListener("change", take);
  const root = h(
    "div",
    { class: "setting size", role: "group", "aria-label": t("exactSize") },
    h("span", { class: "label" }, t("exactSize")),
    h("span", { class: "sides" }, width, h("span", { "aria-hidden": "true" }, "×"), height),
    h("p", { class: "why" }, t("whySize", { n: info?.multipleOf ?? 8 })),
  );
  return { root, show };
}
