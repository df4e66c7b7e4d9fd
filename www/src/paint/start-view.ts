/** The picture that painting starts from, on the stage: strength, and a brush for what is to be repainted. */
import { fill, h, icon } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import type { Easel } from "./easel.js";
import { shapeMount } from "./frame.js";
import { measureRoom } from "./room.js";
import { changeSettings, RANGES, settings } from "./settings.js";
import { cover, drawPicture, drawStrokes, type Stroke } from "./start.js";

/** The brush in parts of the shorter side of what is painted. */
const BRUSH = { least: 0.01, most: 0.25, step: 0.01 };
/** What is marked shows through, in the one colour that means something here. */
const MARK = 0.55;

export class StartView {
  readonly root = h("div", { class: "starting" });
  private readonly picture = h("canvas", { class: "sheet", "aria-hidden": "true" });
  private readonly marks = h("canvas", { class: "sheet marks", tabindex: 0, role: "application" });
  private readonly ring = h("span", { class: "ring", "aria-hidden": "true" });
  private readonly frame = h("div", { class: "frame" }, this.picture, this.marks, this.ring);
  private readonly mount = h("div", { class: "mount" }, h("div", { class: "frames" }, this.frame));
  private readonly undo = h("button", { type: "button", class: "act", onClick: () => this.takeBack() });
  private readonly clear = h("button", { type: "button", class: "act", onClick: () => this.wipe() });
  private readonly brush = h("input", { type: "range", id: "brush", ...ends(BRUSH), value: 0.08 });
  private readonly strength = h("input", {
    type: "range",
    id: "strength",
    min: RANGES.strength.min,
    max: RANGES.strength.max,
    step: RANGES.strength.step,
  });
  private readonly strengthOut = h("output", { for: "strength", class: "amount" });
  /** The stroke under the pointer. */
  private stroke: Stroke | undefined;
  /** Where the brush is, in parts of the frame. */
  private at: [number, number] = [0.5, 0.5];
  private drawn = "";

  /** `shape` says what size will be painted. */
  constructor(
    private readonly easel: Easel,
    private readonly shape: () => { width: number; height: number },
  ) {
    this.strength.addEventListener("input", () => changeSettings({ strength: Number(this.strength.value) }));
    this.brush.addEventListener("input", () => this.placeRing());
    settings.watch(() => this.drawStrength());
    measureRoom(this.mount);
    this.follow();
    this.redraw();
  }

  redraw(): void {
    this.marks.setAttribute("aria-label", t("maskLabel"));
    fill(this.undo, icon("undo"), h("span", {}, t("undo")));
    fill(this.clear, icon("minus"), h("span", {}, t("clearStrokes")));
    const away = h("button", { type: "button", class: "act", onClick: () => this.easel.setStart(undefined) });
    away.append(icon("close"), h("span", {}, t("removeStart")));
    fill(
      this.root,
      this.mount,
      h(
        "div",
        { class: "stage-foot" },
        h("h1", { class: "caption" }, t("startLine")),
        h(
          "div",
          { class: "sliders" },
          slider(t("strength"), this.strength, t("strengthWhy"), this.strengthOut),
          slider(t("brush"), this.brush, t("brushWhy")),
        ),
        h("div", { class: "acts" }, this.undo, this.clear, away),
      ),
    );
    this.drawn = "";
    this.draw();
  }

  draw(): void {
    const start = this.easel.start.value;
    if (!start) return;
    const { width, height } = this.shape();
    // Drawn at about the size it is looked at: a model's 64 pixels would make a stroke of stairs.
    const scale = Math.max(1, Math.round(768 / Math.max(width, height)));
    const key = `${width}x${height}`;
    if (this.picture.width !== width * scale || this.picture.height !== height * scale) this.drawn = "";
    if (this.drawn !== key || this.shownBitmap !== start.bitmap) {
      this.picture.width = this.marks.width = width * scale;
      this.picture.height = this.marks.height = height * scale;
      shapeMount(this.mount, { width, height }, Math.max(512, Math.min(2048, width * 2)));
      drawPicture(this.picture.getContext("2d")!, start, width * scale, height * scale);
      this.shownBitmap = start.bitmap;
      this.drawn = key;
    }
    this.drawMarks();
    this.drawStrength();
  }

  private shownBitmap: ImageBitmap | undefined;

  private drawStrength(): void {
    const { strength } = settings.value;
    if (document.activeElement !== this.strength) this.strength.value = String(strength);
    this.strengthOut.textContent = numbers.percent(strength);
  }

  private drawMarks(): void {
    const start = this.easel.start.value;
    if (!start) return;
    const { width, height } = this.marks;
    const context = this.marks.getContext("2d")!;
    context.clearRect(0, 0, width, height);
    const colour = getComputedStyle(this.marks).getPropertyValue("--seal").trim() || "#b3261e";
    // Painted opaque and shown through as a whole, so that strokes that cross don't add up.
    drawStrokes(context, start, width, height, colour);
    this.marks.style.opacity = String(MARK);
    this.undo.disabled = this.clear.disabled = start.strokes.length === 0;
  }

  // --- The brush -----------------------------------------------------------------------------------------------------

  private follow(): void {
    const { marks } = this;
    const place = (event: PointerEvent) => {
      const box = marks.getBoundingClientRect();
      this.at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      this.placeRing();
    };
    marks.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      marks.setPointerCapture(event.pointerId);
      place(event);
      this.begin();
    });
    marks.addEventListener("pointermove", (event) => {
      // Several moves may come as one event; a quick hand draws no corners.
      for (const each of event.getCoalescedEvents?.() ?? [event]) {
        place(each);
        if (this.stroke) this.stroke.points.push(this.point());
      }
      if (this.stroke) this.drawMarks();
    });
    for (const kind of ["pointerup", "pointercancel"] as const) {
      marks.addEventListener(kind, () => (this.stroke = undefined));
    }
    marks.addEventListener("pointerleave", () => this.ring.classList.remove("seen"));
    marks.addEventListener("focus", () => this.placeRing());
    marks.addEventListener("blur", () => this.ring.classList.remove("seen"));
    marks.addEventListener("keydown", (event) => this.key(event));
  }

  private key(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const move = moves[event.key];
    if (move) {
      const step = event.shiftKey ? 0.1 : 0.02;
      this.at = [inside(this.at[0] + move[0] * step), inside(this.at[1] + move[1] * step)];
    } else if (event.key === " ") {
      this.begin();
      this.stroke = undefined;
    } else if (event.key === "[" || event.key === "]") {
      this.brush.valueAsNumber += event.key === "[" ? -BRUSH.step : BRUSH.step;
    } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) this.takeBack();
    else return;
    event.preventDefault();
    this.placeRing();
  }

  private begin(): void {
    const start = this.easel.start.value;
    if (!start) return;
    const { width, height } = this.shape();
    const { scale } = cover(start.bitmap, width, height);
    this.stroke = { radius: (this.brush.valueAsNumber * Math.min(width, height)) / scale, points: [this.point()] };
    start.strokes.push(this.stroke);
    this.drawMarks();
  }

  /** Where the brush is, in pixels of the start picture. */
  private point(): [number, number] {
    const start = this.easel.start.value!;
    const { width, height } = this.shape();
    const { scale, x, y } = cover(start.bitmap, width, height);
    return [(this.at[0] * width - x) / scale, (this.at[1] * height - y) / scale];
  }

  private placeRing(): void {
    const { width, height } = this.shape();
    const size = 2 * this.brush.valueAsNumber * Math.min(width, height);
    this.ring.classList.add("seen");
    this.ring.style.width = `${(100 * size) / width}%`;
    this.ring.style.left = `${100 * this.at[0]}%`;
    this.ring.style.top = `${100 * this.at[1]}%`;
  }

  private takeBack(): void {
    this.easel.start.value?.strokes.pop();
    this.drawMarks();
    if (this.undo.disabled) this.marks.focus();
  }

  private wipe(): void {
    this.easel.start.value?.strokes.splice(0);
    this.drawMarks();
    this.marks.focus();
  }
}

function inside(value: number): number {
  return Math.min(1, Math.max(0, value));
}

function ends({ least, most, step }: typeof BRUSH): { min: number; max: number; step: number } {
  return { min: least, max: most, step };
}

function slider(label: string, input: HTMLInputElement, why: string, out?: HTMLElement): HTMLElement {
  input.setAttribute("aria-describedby", `why-${input.id}`);
  return h(
    "div",
    { class: "slider" },
    h("label", { for: input.id }, label),
    out,
    input,
    h("p", { class: "why", id: `why-${input.id}` }, why),
  );
}
