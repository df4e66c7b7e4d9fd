/** Reads answers aloud to screen readers as whole sentences: letter by letter they would be unbearable. */
import { h } from "../shared-ui/dom.js";

export class Speaker {
  private said = 0;

  constructor(private readonly region: HTMLElement) {}

  /** Forgets the last answer. */
  begin(): void {
    this.said = 0;
    this.region.replaceChildren();
  }

  /** Adds the sentences that are complete by now, and everything left when the answer is `done`. */
  follow(text: string, done: boolean): void {
    const rest = text.slice(this.said);
    const end = done ? rest.length : lastSentenceEnd(rest);
    if (end === 0) return;
    this.said += end;
    this.say(
      rest
        .slice(0, end)
        .replace(/[*_`#>|]+/g, "")
        .trim(),
    );
  }

  say(text: string): void {
    if (text) this.region.append(h("p", {}, text));
  }
}

function lastSentenceEnd(text: string): number {
  let end = 0;
  for (const match of text.matchAll(/[.!?…]["')\]]?\s|[。！？]["”’）】]?|\n/g)) end = match.index + match[0].length;
  return end;
}
