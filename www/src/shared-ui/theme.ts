import { readSetting, writeSetting } from "./storage.js";
import { Signal } from "./signal.js";

export type Theme = "auto" | "light" | "dark";
const THEMES: readonly Theme[] = ["auto", "light", "dark"];

const kept = readSetting<Theme>("theme", "auto");
/** The look the person chose; "auto" follows the system. */
export const theme = new Signal<Theme>(THEMES.includes(kept) ? kept : "auto");

export function setTheme(value: Theme): void {
  writeSetting("theme", value === "auto" ? undefined : value);
  theme.set(value);
}

function apply(): void {
  const root = document.documentElement;
  if (theme.value === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
  // The browser's own bars take the colour of the paper that is really shown.
  const paper = getComputedStyle(root).getPropertyValue("--paper").trim();
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", paper);
}

theme.watch(apply);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
apply();
