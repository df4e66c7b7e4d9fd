/** The rail and the drawer, where a page has one: beside it where there is room, over it where there is none. */
import { byId } from "./dom.js";
import { readSetting, writeSetting } from "./storage.js";

type Side = "rail" | "drawer";
/** Below these widths a side lies over the page; style.css says the same. */
const OVER: Record<Side, MediaQueryList> = {
  rail: matchMedia("(max-width: 860px)"),
  drawer: matchMedia("(max-width: 1180px)"),
};
const SIDES = (["rail", "drawer"] as const).filter((side) => document.getElementById(side));

export class Sides {
  private readonly page = byId("desk");

  /** `atFirst`: which are open where there is room; `remember`: how the names of this page's settings begin. */
  constructor(
    private readonly atFirst: Partial<Record<Side, boolean>>,
    private readonly remember: string,
    /** What has the focus once a side is open. */
    private readonly firstIn: Record<Side, string> = { rail: "close-rail", drawer: "close-drawer" },
  ) {
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
    if (!over) writeSetting(this.remember + side, open);
    else if (open)
      for (const other of SIDES) if (other !== side && OVER[other].matches) this.page.dataset[other] = "closed";
    this.page.dataset[side] = open ? "open" : "closed";
    this.settle();
    byId(open ? this.firstIn[side] : `open-${side}`).focus();
  }

  /** Closes the side that lies over the page; false where there is none. */
  closeOver(): boolean {
    const side = SIDES.findLast((side) => this.isOver(side));
    if (side) this.open(side, false);
    return side !== undefined;
  }

  private place(side: Side): void {
    this.page.dataset[side] =
      !OVER[side].matches && readSetting(this.remember + side, this.atFirst[side] ?? false) ? "open" : "closed";
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
