/** The middle of the page: the sheet that is painted or looked at, and what can be done with its pictures. */
import { saveFile } from "../shared-ui/announce.js";
import { byId, fill, h, icon, iconButton, type IconName } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { troubleCard, type Trouble, type Way } from "../shared-ui/trouble.js";
import { addressOf } from "./addresses.js";
import type { Easel, Frame, Picture, Sheet } from "./easel.js";
import { FrameView, shapeMount, titleOf } from "./frame.js";
import { measureRoom } from "./room.js";
import { SAMPLERS } from "./settings.js";
import type { StartView } from "./start-view.js";

/** What the page does when a button under a picture is pressed. */
export interface Acts {
  vary(picture: Picture): void;
  startFrom(picture: Picture): void;
  useSettings(picture: Picture): void;
  remove(picture: Picture): void;
  paintOn(sheet: Sheet, frame: Frame): void;
  /** The ways out of trouble while painting. */
  ways(trouble: Trouble): Way[];
}

export class Stage {
  private readonly root = byId("stage");
  private readonly mount = h("div", { class: "mount" });
  private readonly foot = h("div", { class: "stage-foot" });
  private frames: FrameView[] = [];
  private shown = "";
  private foots = "";

  constructor(
    private readonly easel: Easel,
    private readonly starting: StartView,
    private readonly acts: Acts,
  ) {
    measureRoom(this.mount);
  }

  /** Everything anew, in another language. */
  redraw(): void {
    this.shown = "";
    this.foots = "";
    this.draw();
  }

  draw(): void {
    const view = this.easel.view.value;
    this.root.hidden = view.kind === "blank";
    if (view.kind === "blank") {
      this.shown = "";
      return;
    }
    if (view.kind === "start") {
      if (this.shown !== "start") fill(this.root, this.starting.root);
      this.shown = "start";
      this.starting.draw();
      return;
    }
    const { sheet, chosen } = view;
    const key = `${sheet.id}/${chosen}/${sheet.frames.length}/${sheet.frames[0]?.ask.seed}`;
    if (key !== this.shown) this.lay(sheet, chosen);
    this.shown = key;
    // Where nothing came of it there is nothing to see but what went wrong.
    const seen = ({ picture, preview }: Frame) => picture !== undefined || preview !== undefined;
    this.mount.hidden = sheet.trouble !== undefined && !sheet.frames.some(seen);
    this.update();
    this.drawFoot(sheet, chosen);
  }

  /** Puts the frames of a sheet up: one alone, or all in a grid. */
  private lay(sheet: Sheet, chosen: number | undefined): void {
    const all = sheet.frames.length;
    this.foots = "";
    this.frames =
      chosen === undefined
        ? sheet.frames.map((frame, place) => new FrameView(frame, place, all, () => this.choose(sheet, place)))
        : [new FrameView(sheet.frames[chosen]!, chosen, all)];
    const columns = Math.ceil(Math.sqrt(this.frames.length));
    // Small pictures are shown larger, but not so large that they are nothing but blur.
    const { ask } = sheet.frames[0]!;
    shapeMount(this.mount, ask, Math.min(2048, ask.width * 6));
    this.mount.style.setProperty("--columns", String(columns));
    this.mount.style.setProperty("--rows", String(Math.ceil(this.frames.length / columns)));
    fill(this.mount, h("div", { class: "frames" }, ...this.frames.map(({ root }) => root)));
    fill(this.root, this.mount, this.foot);
  }

  private choose(sheet: Sheet, chosen: number | undefined): void {
    this.easel.show({ kind: "sheet", sheet, chosen });
    this.foot.querySelector<HTMLElement>("[aria-current=true]")?.focus();
  }

  /** Called for every step: only what stands in the frames. */
  update(): void {
    const live = this.easel.painting.value;
    for (const view of this.frames) view.update(live?.sheet.frames[live.place] === view.frame);
  }

  // --- Below the picture ---------------------------------------------------------------------------------------------

  private drawFoot(sheet: Sheet, chosen: number | undefined): void {
    const frame = chosen === undefined ? undefined : sheet.frames[chosen];
    const busy = this.easel.painting.value !== undefined;
    const state = (each: Frame) => `${each.picture?.id ?? ""}${each.stopped ? "s" : ""}`;
    const key = JSON.stringify([this.shown, busy, sheet.frames.map(state), sheet.trouble]);
    if (key === this.foots) return;
    this.foots = key;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.act;
    const prompt = sheet.frames[chosen ?? 0]?.ask;
    fill(
      this.foot,
      sheet.trouble &&
        troubleCard(sheet.trouble, busy ? [] : this.acts.ways(sheet.trouble), sentenceFor(sheet.trouble)),
      chosen !== undefined && sheet.frames.length > 1 && this.strip(sheet, chosen),
      prompt && h("h1", { class: "caption" }, titleOf(prompt)),
      frame?.picture && this.facts(frame.picture),
      frame && !this.mount.hidden && this.buttons(sheet, frame, busy),
    );
    // Drawing again must not throw the keyboard back to the top of the page.
    if (focused) this.foot.querySelector<HTMLElement>(`[data-act="${focused}"]`)?.focus();
  }

  private strip(sheet: Sheet, chosen: number): HTMLElement {
    const all = sheet.frames.length;
    const strip = h(
      "div",
      { class: "strip", role: "group", "aria-label": t("allOfThem", { n: all }) },
      iconButton("grid", t("allOfThem", { n: all }), () => this.choose(sheet, undefined), {
        class: "icon-button strip-all",
        "data-act": "all",
      }),
      ...sheet.frames.map((frame, place) => {
        const title = t("openPicture", { title: titleOf(frame.ask), n: place + 1, all });
        const button = h("button", {
          type: "button",
          class: "thumb",
          "aria-label": title,
          title,
          "aria-current": place === chosen ? "true" : null,
          "data-act": `place-${place}`,
          onClick: () => this.choose(sheet, place),
        });
        if (frame.picture) button.append(h("img", { src: addressOf(frame.picture), alt: "" }));
        return button;
      }),
    );
    strip.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step === 0) return;
      event.preventDefault();
      this.choose(sheet, (chosen + step + all) % all);
    });
    return strip;
  }

  private facts({ ask, model, ms }: Picture): HTMLElement {
    const facts = [
      `${ask.width} × ${ask.height}`,
      t("factSeed", { n: ask.seed }),
      t("factSteps", { n: numbers.count(ask.steps) }),
      t("factGuidance", { n: decimal(ask.guidance) }),
      SAMPLERS[ask.sampler] ?? ask.sampler,
      ask.strength !== undefined && t("factStrength", { n: decimal(ask.strength) }),
      ask.variationStrength !== undefined && t("factVariation", { n: decimal(ask.variationStrength) }),
      ms > 0 && t("factTime", { n: numbers.count(ms / 1000, ms < 10_000 ? 1 : 0) }),
      model,
    ].filter((fact) => fact !== false);
    return h("p", { class: "facts" }, ...facts.map((fact) => h("span", {}, fact)));
  }

  private buttons(sheet: Sheet, frame: Frame, busy: boolean): HTMLElement {
    const { picture } = frame;
    const act = (
      name: string,
      drawing: IconName,
      label: Key,
      go: () => void,
      title?: Key,
      disabled = false,
      bare = false,
    ) =>
      h(
        "button",
        {
          type: "button",
          class: "act",
          "data-act": name,
          title: title ? t(title) : null,
          "aria-label": t(label),
          disabled,
          onClick: go,
        },
        icon(drawing),
        bare ? null : h("span", {}, t(label)),
      );
    const row = h("div", { class: "acts" });
    if (picture) {
      row.append(
        act("save", "save", "savePicture", () => saveFile(fileName(picture.ask), picture.blob), "savePictureTitle"),
        act("vary", "copies", "vary", () => this.acts.vary(picture), "varyTitle", busy),
        act("start", "picture", "startFromThis", () => this.acts.startFrom(picture)),
        act("settings", "sliders", "useSettings", () => this.acts.useSettings(picture)),
        act("delete", "trash", "delete", () => this.acts.remove(picture), "delete", false, true),
      );
    } else if (frame.stopped) {
      row.append(act("on", "brush", "paintOn", () => this.acts.paintOn(sheet, frame), undefined, busy));
      if (frame.stopped.step > 0) {
        const save = async () => {
          const blob = await this.frames[0]?.canvasBlob();
          if (blob) saveFile(fileName(frame.ask), blob);
        };
        row.append(act("save", "save", "savePicture", () => void save()));
      }
    }
    return row;
  }
}

function decimal(value: number): string {
  return numbers.count(value, Number.isInteger(value) ? 0 : Number.isInteger(value * 10) ? 1 : 2);
}

/** Painting fails for other reasons than opening a model does. */
function sentenceFor({ code }: Trouble): string | undefined {
  if (code === "Gpu") return undefined;
  return t(code === "TooLarge" ? "troublePaintLarge" : "troublePaint");
}

function fileName(ask: Frame["ask"]): string {
  const safe = ask.prompt
    .replace(/[\\/:*?"<>|\u0000-\u001f]+/g, " ")
    .trim()
    .slice(0, 60);
  return `${safe || "picture"} ${ask.seed}.png`;
}
