/** Where people say what to paint: the words, the shape, the seed, how many. What was typed is kept. */
import { byId, fill, h, icon } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { readSetting, writeSetting } from "../shared-ui/storage.js";
import type { Words } from "./asks.js";
import type { Easel } from "./easel.js";
import { changeSettings, newSeed, RANGES, settings } from "./settings.js";
import type { Shape } from "./shapes.js";

const COUNTS = [1, 2, 4, 9];

const SVG = "http://www.w3.org/2000/svg";

export class Composer {
  readonly field = byId<HTMLTextAreaElement>("prompt");
  private readonly negative = byId<HTMLTextAreaElement>("negative");
  private readonly button = byId<HTMLButtonElement>("send");
  private readonly seed = byId<HTMLInputElement>("seed");
  private readonly startButton = byId<HTMLButtonElement>("start-button");
  private timer: ReturnType<typeof setTimeout> | undefined;
  private drawnShapes = "";

  /** `shapes`: those that the open model, or the chosen one, can paint. */
  constructor(
    private readonly easel: Easel,
    private readonly page: {
      ready: () => boolean;
      paint: () => void;
      shapes: () => { all: Shape[]; width: number; height: number };
      chooseStart: () => void;
    },
  ) {
    byId<HTMLFormElement>("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.working) this.easel.stop();
      else this.send();
    });
    for (const field of [this.field, this.negative]) {
      field.addEventListener("input", () => {
        grow(field);
        this.draw();
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.keep(), 300);
      });
      field.addEventListener("keydown", (event) => {
        // Enter that ends an input method's composition belongs to the input method.
        if (event.isComposing || event.keyCode === 229 || event.key !== "Enter" || event.shiftKey || event.altKey)
          return;
        event.preventDefault();
        if (!this.working) this.send();
      });
    }
    addEventListener("pagehide", () => this.keep());
    byId("negative-button").addEventListener("click", () => this.openNegative(!this.negativeOpen, true));
    this.startButton.addEventListener("click", () => {
      if (this.easel.start.value) this.easel.show({ kind: "start" });
      else this.page.chooseStart();
    });
    this.wireSeed();
    this.setWords({ prompt: readSetting("paint.prompt", ""), negativePrompt: readSetting("paint.negative", "") });
    this.field.disabled = false;
    settings.watch(() => this.draw());
    this.redraw();
  }

  private get working(): boolean {
    return this.easel.painting.value !== undefined || this.easel.waits;
  }

  get words(): Words {
    return { prompt: this.field.value.trim(), negativePrompt: this.negative.value.trim() };
  }

  setWords({ prompt, negativePrompt }: Words): void {
    this.field.value = prompt;
    this.negative.value = negativePrompt;
    this.openNegative(negativePrompt !== "", false);
    for (const field of [this.field, this.negative]) grow(field);
    this.keep();
    this.draw();
  }

  private keep(): void {
    clearTimeout(this.timer);
    writeSetting("paint.prompt", this.field.value || undefined);
    writeSetting("paint.negative", this.negative.value || undefined);
  }

  private send(): void {
    if (!this.page.ready()) return;
    // A seed that isn't kept is rolled for every picture, and shown before it is used.
    if (!settings.value.locked) changeSettings({ seed: newSeed() });
    this.keep();
    this.page.paint();
    this.draw();
  }

  // --- The small things ----------------------------------------------------------------------------------------------

  private get negativeOpen(): boolean {
    return !byId("negative-fold").hidden;
  }

  private openNegative(open: boolean, focus: boolean): void {
    byId("negative-fold").hidden = !open;
    byId("negative-button").setAttribute("aria-expanded", String(open));
    if (open) grow(this.negative);
    // What is folded away is not asked for: a forgotten word would puzzle people.
    else this.negative.value = "";
    if (focus) (open ? this.negative : this.field).focus();
  }

  private wireSeed(): void {
    this.seed.addEventListener("input", () => {
      const digits = this.seed.value.replace(/\D/g, "");
      if (digits !== this.seed.value) this.seed.value = digits;
      // Whoever writes a seed means that one.
      if (digits !== "") changeSettings({ seed: Math.min(RANGES.seed.max, Number(digits)), locked: true });
    });
    this.seed.addEventListener("change", () => (this.seed.value = String(settings.value.seed)));
    byId("roll").addEventListener("click", () => changeSettings({ seed: newSeed() }));
    byId("lock").addEventListener("click", () => changeSettings({ locked: !settings.value.locked }));
  }

  /** Everything anew, in another language. */
  redraw(): void {
    this.drawnShapes = "";
    fill(
      byId("counts"),
      h("legend", { class: "aside" }, t("count")),
      ...COUNTS.map((n) =>
        choice("count", String(n), t("countOf", { n }), () => changeSettings({ pictures: n }), h("span", {}, `${n}×`)),
      ),
    );
    this.button.textContent = "";
    this.draw();
  }

  draw(): void {
    const { seed, locked, pictures } = settings.value;
    const { working } = this;
    if (this.button.classList.contains("stop") !== working || this.button.textContent === "") {
      this.button.classList.toggle("stop", working);
      this.button.title = t(working ? "stopTitle" : "paint");
      if (working) fill(this.button, h("span", { class: "stop-square" }), h("span", {}, t("stop")));
      else fill(this.button, icon("brush"), h("span", {}, t("paint")));
    }
    this.button.disabled = !working && !this.page.ready();
    if (document.activeElement !== this.seed) this.seed.value = String(seed);
    byId("seed-group").dataset.locked = String(locked);
    const lock = byId("lock");
    lock.setAttribute("aria-pressed", String(locked));
    lock.title = t(locked ? "seedKept" : "keepSeed");
    fill(lock, icon(locked ? "lock" : "unlock"));
    for (const input of byId("counts").querySelectorAll("input")) input.checked = Number(input.value) === pictures;
    this.drawShapes();
    this.drawStart();
  }

  private drawShapes(): void {
    const { all, width, height } = this.page.shapes();
    const key = JSON.stringify(all);
    if (key !== this.drawnShapes) {
      this.drawnShapes = key;
      fill(
        byId("shapes"),
        h("legend", { class: "aside" }, t("shape")),
        ...all.map((shape) =>
          choice(
            "shape",
            `${shape.width}x${shape.height}`,
            t("shapeOf", { shape: t(`shape_${shape.name}`), width: shape.width, height: shape.height }),
            () => changeSettings({ width: shape.width, height: shape.height }),
            outline(shape),
          ),
        ),
      );
    }
    for (const input of byId("shapes").querySelectorAll("input")) input.checked = input.value === `${width}x${height}`;
    byId("size-now").textContent = `${numbers.count(width)} × ${numbers.count(height)}`;
  }

  private drawStart(): void {
    const start = this.easel.start.value;
    const { startButton } = this;
    const state = start ? "set" : "none";
    const shown = this.easel.view.value.kind === "start";
    startButton.setAttribute("aria-pressed", String(start !== undefined));
    startButton.classList.toggle("here", shown);
    startButton.title = t(start ? "startShow" : "startChooseTitle");
    if (startButton.dataset.state === state && this.thumbOf === start) return;
    startButton.dataset.state = state;
    this.thumbOf = start;
    if (!start) return fill(startButton, icon("picture"), h("span", {}, t("startChoose")));
    const thumb = h("canvas", { class: "start-thumb", width: 40, height: 40, "aria-hidden": "true" });
    const side = Math.min(start.bitmap.width, start.bitmap.height);
    const [x, y] = [(start.bitmap.width - side) / 2, (start.bitmap.height - side) / 2];
    thumb.getContext("2d")!.drawImage(start.bitmap, x, y, side, side, 0, 0, 40, 40);
    fill(startButton, thumb, h("span", {}, t("startChoose")));
  }

  private thumbOf: unknown;
}

function grow(field: HTMLTextAreaElement): void {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, innerHeight * 0.3)}px`;
}

/** A choice of a group: a radio button that looks like what it chooses. */
function choice(name: string, value: string, label: string, chosen: () => void, look: Node): HTMLLabelElement {
  const input = h("input", { type: "radio", name, value, class: "aside", "aria-label": label, onChange: chosen });
  return h("label", { class: "choice", title: label }, input, look);
}

/** A shape as an outline. */
function outline({ width, height }: Shape): SVGSVGElement {
  const long = 15 / Math.max(width, height);
  const [w, high] = [Math.max(5, width * long), Math.max(5, height * long)];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(SVG, "rect");
  const at = { x: 10 - w / 2, y: 10 - high / 2, width: w, height: high, rx: 1.2 };
  for (const [attribute, value] of Object.entries(at)) rect.setAttribute(attribute, value.toFixed(1));
  svg.appendChild(rect);
  return svg;
}
