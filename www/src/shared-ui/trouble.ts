/** Trouble as people see it: what happened, what to do, a button that does it, and the code folded away. */
import { append, h } from "./dom.js";
import { t, type Key } from "./i18n.js";

export interface Trouble {
  code: string;
  message: string;
}

/** What is known about something that was thrown, whoever threw it. */
export function troubleOf(error: unknown): Trouble {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    code: typeof code === "string" ? code : error instanceof Error ? error.name : "Error",
    message: typeof message === "string" ? message : String(error),
  };
}

const SENTENCES: Record<string, Key> = {
  Format: "troubleFormat",
  Missing: "troubleMissing",
  Shape: "troubleShape",
  Unsupported: "troubleUnsupported",
  TooLarge: "troubleTooLarge",
  Gpu: "troubleGpu",
  Fetch: "troubleFetch",
};

export interface Way {
  label: string;
  go: () => void;
}

export function troubleCard(trouble: Trouble, ways: Way[], sentence?: string): HTMLElement {
  const known = SENTENCES[trouble.code];
  const buttons = ways.map(({ label, go }, index) =>
    h("button", { type: "button", class: index === 0 ? "button" : "button quiet", onClick: go }, label),
  );
  const card = h(
    "div",
    { class: "trouble", role: "alert" },
    h("p", { class: "trouble-what" }, sentence ?? t(known ?? "troubleOther")),
  );
  append(card, [
    buttons.length > 0 && h("div", { class: "ways" }, ...buttons),
    h("details", {}, h("summary", {}, t("details")), h("p", {}, h("code", {}, trouble.code), " ", trouble.message)),
  ]);
  return card;
}
