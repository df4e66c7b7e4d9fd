/** The rail and the drawer: beside the page where there is room, over it where there is none. */
import { byId } from "../shared-ui/dom.js";
import { readSetting, writeSetting } from "../shared-ui/storage.js";

type Side = "rail" | "drawer";
/** Below these widths a side lies over the page; style.css says the same. */
const OVER: Record<Side, MediaQueryList> = {
  rail: matchMedia("(max-width: 860px)"),
  drawer: matchMedia("(max-width: 1180px)"),
};
/** Open at first where there is room. */
const AT_FIRST: Record<Side, boolean> = { rail: true, drawer: false };
const FIRST_IN: Record<Side, string> = { rail: "new", drawer: "close-drawer" };
const SIDES = ["rail", "drawer"] as const;

export class Sides {
  private readonly page = byId("desk");

  constructor() {
    for (const side of SIDES) {
      this.place(side);
      OVER[side].addEventListener("change", () => this.place(side));
      byId(`open-${side}`).addEventListener("click", () => this.open(side, !this.isOpen(side)));
      byId(`close-${side}`).addEventListener("click", () => this.open(side, false));
    }
    byId("cover").addEventListener("click", () => this.closeOver());
  }

  /** Opens or closes a side because someone asked for it; the focus goes along. */
  open(side: Side, open: boolean): void {
    const over = OVER[side].matches;
    if (!over) writeSetting(side, open);
    else if (open)
      for (const other of SIDES) if (other !== side && OVER[other].matches) this.page.dataset[other] = "closed";
    this.page.dataset[side] = open ? "open" : "closed";
    this.settle();
    byId(open ? FIRST_IN[side] : `open-${side}`).focus();
  }

  /** Closes the side that lies over the page; false where there is none. */
  closeOver(): boolean {
    const side = SIDES.findLast((side) => this.isOver(side));
    if (side) this.open(side, false);
    return side !== undefined;
  }

  private place(side: Side): void {
    this.page.dataset[side] = !OVER[side].matches && readSetting(side, AT_FIRST[side]) ? "open" : "closed";
    this.settle();
  }

  private isOpen(side: Side): boolean {
    return this.page.dataset[side] === "open";
  }

  private isOver(side: Side): boolean {
    return this.isOpen(side) && OVER[side].matches;
  }

  /** What is hidden, or lies below something, must not be reached by Tab. */
  private settle(): void {
    const over = SIDES.some((side) => this.isOver(side));
    byId("cover").hidden = !over;
    byId("main").inert = over;
    for (const side of SIDES) {
      byId(side).inert = !this.isOpen(side) || (over && !this.isOver(side));
      byId(`open-${side}`).setAttribute("aria-expanded", String(this.isOpen(side)));
    }
  }
}
