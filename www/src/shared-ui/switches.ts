/** The two selects at the foot of the rail: look and language. */
import { byId } from "./dom.js";
import { language, setLanguage, type Language } from "./i18n.js";
import { setTheme, theme, type Theme } from "./theme.js";

export function wireSwitches(): void {
  const themes = byId<HTMLSelectElement>("theme");
  themes.value = theme.value;
  themes.addEventListener("change", () => setTheme(themes.value as Theme));
  const languages = byId<HTMLSelectElement>("language");
  languages.value = language.value;
  languages.addEventListener("change", () => setLanguage(languages.value as Language));
}
