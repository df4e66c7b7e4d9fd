/** The keys that a page listens to wherever the focus is. */
import { byId } from "./dom.js";

/**
 * Escape stops what is under way (`stop` says whether anything was), else closes what lies over the page; a slash goes to
 * the field where one writes.
 */
export function wireKeys(stop: () => boolean, closeOver: () => boolean, field: HTMLElement): void {
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented || byId<HTMLDialogElement>("picker").open) return;
    if (event.key === "Escape") {
      if (stop() || closeOver()) event.preventDefault();
    } else if (
      event.key === "/" &&
      !event.ctrlKey &&
      !event.metaKey &&
      !(event.target as Element).closest?.("input, textarea, select")
    ) {
      event.preventDefault();
      field.focus();
    }
  });
}
