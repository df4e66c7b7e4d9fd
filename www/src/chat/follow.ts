/** Keeps the end of the thread in view while it grows, unless the person scrolled away to read. */
import { byId } from "../shared-ui/dom.js";

/** This close to the end counts as at the end. */
const NEAR = 48;

export class Follower {
  private readonly scroll = byId("scroll");
  private readonly button = byId<HTMLButtonElement>("to-end");
  private following = true;

  constructor(afterwards: () => void) {
    this.scroll.addEventListener(
      "scroll",
      () => {
        this.following = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR;
        this.button.hidden = this.following;
      },
      { passive: true },
    );
    this.button.addEventListener("click", () => {
      this.toEnd();
      afterwards();
    });
    const thread = byId("transcript");
    // Before the first message there is no end to keep in view.
    new ResizeObserver(() => this.following && thread.hasChildNodes() && this.toEnd()).observe(thread);
  }

  toEnd(): void {
    this.following = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }
}
