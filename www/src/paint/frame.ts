/** One picture in its true shape, from the empty sheet over the previews to the finished picture. */
import { h } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { addressOf } from "./addresses.js";
import type { Ask } from "./asks.js";
import type { Frame } from "./easel.js";

export function titleOf({ prompt }: Ask): string {
  return prompt.trim().replace(/\s+/g, " ") || t("emptyPrompt");
}

/** Tells the style sheet about the shape that the pictures on a mount have. */
export function shapeMount(mount: HTMLElement, size: { width: number; height: number }, most: number): void {
  mount.style.setProperty("--ratio", String(size.width / size.height));
  mount.style.setProperty("--most", `${most}px`);
}

export class FrameView {
  readonly root: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly note = h("span", { class: "frame-note" });
  private drawn: ImageBitmap | undefined;
  private image: HTMLImageElement | undefined;

  /** `choose`: makes the frame a button that shows its picture alone. */
  constructor(
    readonly frame: Frame,
    private readonly place: number,
    private readonly all: number,
    choose?: () => void,
  ) {
    const { width, height } = frame.ask;
    this.canvas = h("canvas", { width, height, class: "sheet", "aria-hidden": "true" });
    this.root = choose
      ? h("button", { type: "button", class: "frame", onClick: choose }, this.canvas, this.note)
      : h("figure", { class: "frame" }, this.canvas, this.note);
    this.update(false);
  }

  /** `live`: this one is being painted. */
  update(live: boolean): void {
    const { ask, picture, preview, stopped } = this.frame;
    const title = t("pictureTitle", { title: titleOf(ask), width: ask.width, height: ask.height });
    this.root.classList.toggle("wet-sheet", live && !preview);
    this.root.toggleAttribute("aria-busy", live);
    if (picture && !this.image) {
      const image = h("img", { class: "sheet", alt: title, width: ask.width, height: ask.height, draggable: "true" });
      image.src = addressOf(picture);
      this.image = image;
      // The preview stays until the picture itself can be seen.
      const show = () => this.canvas.replaceWith(image);
      image.decode().then(show, show);
    }
    if (preview && preview !== this.drawn && !picture) {
      this.drawn = preview;
      const context = this.canvas.getContext("2d")!;
      context.imageSmoothingQuality = "high";
      context.drawImage(preview, 0, 0, this.canvas.width, this.canvas.height);
    }
    if (this.image) this.image.alt = title;
    this.note.textContent = !stopped
      ? ""
      : stopped.step === 0
        ? t("notBegun")
        : t("stoppedAt", { n: numbers.count(stopped.step), all: numbers.count(stopped.steps) });
    this.note.hidden = !stopped;
    if (this.root instanceof HTMLButtonElement) {
      const label = t("openPicture", { title, n: this.place + 1, all: this.all });
      this.root.setAttribute("aria-label", [label, this.note.textContent].filter(Boolean).join(". "));
    }
  }

  /** What stands on the canvas, for saving a picture that was stopped. */
  async canvasBlob(): Promise<Blob | null> {
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }
}
