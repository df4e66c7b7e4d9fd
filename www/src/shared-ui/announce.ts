/** A short note at the bottom of the page, with an optional way back. */
import { fill, h } from "./dom.js";

let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(text: string, way?: { label: string; go: () => void }): void {
  const place = document.getElementById("toast");
  if (!place) return;
  clearTimeout(timer);
  const hide = () => place.replaceChildren();
  fill(
    place,
    h("span", {}, text),
    way && h("button", { type: "button", class: "link", onClick: () => (hide(), way.go()) }, way.label),
  );
  timer = setTimeout(hide, way ? 10_000 : 4_000);
}

/** Copies text and says so on the button it was asked from. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Hands a file to the person: made here, saved by the browser, sent nowhere. */
export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = h("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
