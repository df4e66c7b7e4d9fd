import { dictionaries, type Key, type Language } from "./dictionary.js";
import { readSetting, writeSetting } from "./storage.js";
import { Signal } from "./signal.js";

export type { Key, Language };

function preferred(): Language {
  const kept = readSetting<string>("language", "");
  if (kept === "en" || kept === "zh") return kept;
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith("zh")) &&
    !navigator.languages[0]?.toLowerCase().startsWith("en")
    ? "zh"
    : "en";
}

/** The language the page speaks: what was chosen, or else what the browser asks for. */
export const language = new Signal<Language>(preferred());

export function setLanguage(value: Language): void {
  writeSetting("language", value);
  language.set(value);
}

/** The text for `key` with `{name}` replaced from `values`. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return dictionaries[language.value][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** The locale for `Intl`: the browser's own variant of the chosen language where it has one (en-GB, zh-TW). */
export function locale(): string {
  return (
    navigator.languages.find((tag) => tag.toLowerCase().startsWith(language.value)) ??
    (language.value === "zh" ? "zh-CN" : "en")
  );
}

/** Fills the hand-written skeleton: `data-t` sets text, `data-t-label`, `-title` and `-placeholder` set attributes. */
export function translatePage(root: ParentNode = document): void {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll<HTMLElement>("[data-t]"))
    element.textContent = t(element.dataset.t as Key);
  for (const [name, attribute] of [
    ["tLabel", "aria-label"],
    ["tTitle", "title"],
    ["tPlaceholder", "placeholder"],
  ] as const) {
    const selector = `[data-${name.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase())}]`;
    for (const element of root.querySelectorAll<HTMLElement>(selector)) {
      element.setAttribute(attribute, t(element.dataset[name] as Key));
    }
  }
}
