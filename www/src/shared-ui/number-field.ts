/** A setting that is a number: label, field, slider where one helps, and a line that says what it does. */
import { append, h } from "./dom.js";

export interface Range {
  min: number;
  max: number;
  step: number;
  /** Shown with a slider beside the number. */
  slider: boolean;
}

/** The value inside its range and on its grid, or null where it is no number. */
export function within({ min, max, step }: Range, value: unknown): number | null {
  if (typeof value !== "number" || !Number.isFinite(value)) return null;
  const inside = Math.min(max, Math.max(min, value));
  return step === 1 ? Math.round(inside) : Number(inside.toFixed(4));
}

export interface NumberField {
  root: HTMLElement;
  /** Brings the field up to date unless someone is typing in it. */
  show: () => void;
}

/** `empty`: what an empty field stands for; null is a value of its own, shown as `placeholder`. */
export function numberField(setting: {
  id: string;
  label: string;
  why?: string;
  range: Range;
  empty: number | null;
  placeholder?: string;
  value: () => number | null;
  change: (value: number | null) => void;
}): NumberField {
  const { id, label, why, empty } = setting;
  const { min, max, step, slider } = setting.range;
  const value = setting.value();
  const field = h("input", {
    type: "number",
    id,
    min,
    max,
    step: step === 1 ? 1 : "any",
    inputmode: step === 1 ? "numeric" : "decimal",
    value: value ?? "",
    placeholder: setting.placeholder,
    "aria-describedby": why ? `why-${id}` : null,
  });
  const range =
    slider && h("input", { type: "range", min, max, step, value: value ?? min, "aria-label": label, tabindex: -1 });
  const take = (text: string, final: boolean) => {
    const next = text.trim() === "" ? empty : within(setting.range, Number(text));
    if (next === null && empty !== null) return final ? show() : undefined;
    setting.change(next);
    if (range && next !== null) range.value = String(next);
    if (final) show();
  };
  const show = () => {
    const now = setting.value();
    field.value = now === null ? "" : String(now);
    if (range) range.value = String(now);
  };
  field.addEventListener("input", () => take(field.value, false));
  field.addEventListener("change", () => take(field.value, true));
  if (range)
    range.addEventListener("input", () => {
      field.value = range.value;
      take(range.value, false);
    });
  const root = h("div", { class: "setting" }, h("label", { for: id }, label), field);
  append(root, [range, why && h("p", { class: "why", id: `why-${id}` }, why)]);
  return { root, show: () => document.activeElement !== field && document.activeElement !== range && show() };
}
