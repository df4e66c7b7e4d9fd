import type { Place } from "./blocks.js";

/** The headings above the place where one reads. */
export class Headings {
  private above: { depth: number; text: string }[] = [];

  enter(depth: number, text: string): void {
    this.above = [...this.above.filter((other) => other.depth < depth), { depth, text }];
  }

  get place(): Place {
    const heading = this.above
      .map(({ text }) => text)
      .filter(Boolean)
      .join(" › ");
    return heading ? { heading } : {};
  }
}
