/** What one page gives the next one in this tab: a text for the chat page's field, taken once. */

const NAME = "inkstone.handover";

/** Leaves a text for the page that is opened next; false where the browser refuses. */
export function handOver(text: string): boolean {
  try {
    sessionStorage.setItem(NAME, text);
    return true;
  } catch {
    return false;
  }
}

/** Takes what the page before has left; empty if it left nothing. */
export function takeOver(): string {
  try {
    const text = sessionStorage.getItem(NAME) ?? "";
    sessionStorage.removeItem(NAME);
    return text;
  } catch {
    return "";
  }
}
