/** The paint page: puts the parts together and lets them follow the signals. */
import type { ImageModel } from "inkstone";
import { announce } from "../shared-ui/announce.js";
import { byId, fill, h } from "../shared-ui/dom.js";
import { acceptDrops } from "../shared-ui/drop.js";
import { firstModel } from "../shared-ui/first-model.js";
import { language, t, translatePage } from "../shared-ui/i18n.js";
import { wireKeys } from "../shared-ui/keys.js";
import type { Choice } from "../shared-ui/models.js";
import * as numbers from "../shared-ui/numbers.js";
import { Panel } from "../shared-ui/panel.js";
import { Picker, STATUS, drawModelButton } from "../shared-ui/picker.js";
import { Sides } from "../shared-ui/sides.js";
import { writeSetting } from "../shared-ui/storage.js";
import { wireSwitches } from "../shared-ui/switches.js";
import type { Trouble, Way } from "../shared-ui/trouble.js";
import { arrivedPicture, arrivedStart, isPicture, type Arrived } from "./arrive.js";
import { asksFrom, settingsFrom, variationsOf } from "./asks.js";
import { EMOJI, OFFER, choiceFromFiles, choiceFromText } from "./catalogue.js";
import { Composer } from "./composer.js";
import { Drawer } from "./drawer.js";
import { Easel, type Picture } from "./easel.js";
import { titleOf } from "./frame.js";
import { Gallery } from "./gallery.js";
import { ProgressLine, shareOf } from "./progress.js";
import { session } from "./session.js";
import { changeSettings, resetSettings, resolved, settings, settingsOf } from "./settings.js";
import { nearest, shapesOf, side, type Canvas } from "./shapes.js";
import { StartView } from "./start-view.js";
import { forModel } from "./start.js";
import { Stage } from "./stage.js";

/** How many variations are painted at once. */
const VARIATIONS = 4;

class PaintPage {
  private readonly sides = new Sides({ rail: true, drawer: true }, "paint.");
  private readonly picker = new Picker(session, OFFER);
  private readonly panel: Panel<ImageModel>;
  private readonly drawer = new Drawer();
  private readonly composer: Composer;
  private readonly gallery: Gallery;
  private readonly progress: ProgressLine;
  private readonly starting: StartView;
  private readonly stage: Stage;

  constructor(private readonly easel: Easel) {
    this.panel = new Panel(session, {
      showPicker: () => void this.picker.show(),
      cancelled: () => easel.waitNoMore(),
    });
    this.composer = new Composer(easel, {
      ready: () => session.askable && (this.composer.words.prompt !== "" || easel.start.value !== undefined),
      paint: () => this.paint(),
      shapes: () => ({ all: shapesOf(canvas()), ...size() }),
      chooseStart: () => byId("start-input").click(),
    });
    this.gallery = new Gallery(easel, () => {
      this.sides.closeOver();
      byId("stage").scrollIntoView({ block: "nearest" });
    });
    this.progress = new ProgressLine(easel);
    this.starting = new StartView(easel, size);
    this.stage = new Stage(easel, this.starting, {
      vary: (picture) => this.vary(picture),
      startFrom: (picture) => void this.startFrom(picture),
      useSettings: (picture) => this.useSettings(picture),
      remove: (picture) => void this.gallery.remove(picture),
      paintOn: ({ images }, { ask }) => void easel.paint(() => ({ asks: [ask], images })),
      ways: (trouble) => this.ways(trouble),
    });
    this.followEasel();
    this.followModel();
    this.listen();
    this.drawPage();
    this.gallery.draw();
    drawModelButton(byId("model-button"), session, nameOf);
    easel.lookBack();
  }

  // --- Drawing -------------------------------------------------------------------------------------------------------

  private drawPage(): void {
    this.drawEmpty();
    this.panel.draw();
    this.stage.draw();
    this.composer.draw();
    this.progress.draw();
    this.drawTitle();
  }

  private drawTitle(): void {
    const painting = this.easel.painting.value;
    const view = this.easel.view.value;
    const shown = view.kind === "sheet" ? view.sheet.frames[view.chosen ?? 0] : undefined;
    const title = painting
      ? t("paintingTitle", { share: numbers.percent(shareOf(painting)) })
      : shown
        ? titleOf(shown.ask)
        : t("paintPage");
    document.title = `${title} · Inkstone`;
  }

  private drawEmpty(): void {
    const view = this.easel.view.value;
    const now = session.state.value;
    const blank = view.kind === "blank";
    byId("empty").hidden = !blank;
    byId("desk").dataset.blank = String(blank);
    // Where the sheet itself says that the GPU failed, saying so twice helps nobody.
    const said =
      now.step === "trouble" &&
      now.trouble.code === "Gpu" &&
      view.kind === "sheet" &&
      view.sheet.trouble?.code === "Gpu";
    this.panel.root.hidden = now.step === "ready" || said;
    const place = byId(blank ? "empty-panel" : "dock");
    if (this.panel.root.parentElement !== place) place.append(this.panel.root);
    const ready = now.step === "ready";
    byId("line").textContent = t(ready ? "lineReady" : "lineFirstPaint");
    byId("line-more").textContent = t(ready ? "lineReadyPaintMore" : "lineFirstPaintMore");
    const starters = byId("starters");
    starters.hidden = !ready;
    const emoji = ready && now.choice.listed === EMOJI;
    const texts = emoji
      ? [t("starterEmoji1"), t("starterEmoji2"), t("starterEmoji3")]
      : [t("starterScene1"), t("starterScene2"), t("starterScene3")];
    const begin = (text: string) =>
      h("button", { type: "button", class: "starter", lang: "en", onClick: () => this.begin(text) }, text);
    fill(starters, ...texts.map(begin));
    this.composer.field.placeholder = t(emoji ? "paintPlaceholderEmoji" : "paintPlaceholder");
  }

  /** A starter only writes: people look at the words before they press the button. */
  private begin(prompt: string): void {
    this.composer.setWords({ ...this.composer.words, prompt });
    this.composer.field.focus();
  }

  // --- Following -----------------------------------------------------------------------------------------------------

  private followEasel(): void {
    const { easel } = this;
    easel.view.watch(() => {
      this.drawPage();
      this.gallery.draw();
      this.gallery.tidy();
    });
    easel.pictures.watch(() => this.gallery.draw());
    easel.start.watch(() => {
      const start = easel.start.value;
      const shape = start && nearest(shapesOf(canvas()), start.bitmap.width, start.bitmap.height);
      if (shape) changeSettings({ width: shape.width, height: shape.height });
      this.composer.draw();
    });
    settings.watch(() => {
      if (easel.view.value.kind === "start") this.stage.draw();
    });
    let before = easel.painting.value;
    easel.painting.watch((painting) => {
      this.drawPage();
      if (before && !painting) {
        this.sayDone(before.sheet.frames);
        this.drawer.drawFacts();
      }
      before = painting;
    });
    easel.moved.watch(() => {
      this.stage.update();
      this.progress.draw();
      this.drawTitle();
    });
    easel.notKept.watch((why) => announce(t("notKeptPicture", { why })));
  }

  private sayDone(frames: { ask: { prompt: string }; picture?: Picture }[]): void {
    const done = frames.filter(({ picture }) => picture);
    this.say(done.length === 0 ? t("stoppedAloud") : t("paintedAloud", { title: done[0]!.ask.prompt }));
  }

  private say(text: string): void {
    byId("spoken").replaceChildren(h("p", {}, text));
  }

  private followModel(): void {
    session.state.watch((now) => {
      drawModelButton(byId("model-button"), session, nameOf);
      if (now.step !== "none") settingsOf(now.choice.key);
      this.drawer.redraw();
      this.drawPage();
      if (now.step !== "none" && now.step !== "trouble") {
        const status = now.step === "chosen" ? (now.fit.fits ? "fits" : "fitsNot") : STATUS[now.step];
        this.say(`${now.choice.name}: ${t(status)}`);
      }
      if (now.step === "chosen" && now.fit.fits && this.easel.waits) void session.open(now.choice);
      if (now.step !== "ready") return;
      if (document.activeElement === document.body) this.composer.field.focus();
      void this.easel.resume();
    });
  }

  // --- What people do ------------------------------------------------------------------------------------------------

  private paint(): void {
    // As it was when the button was pressed: what is changed while a model opens is for the next picture.
    const [words, now, start] = [this.composer.words, settings.value, this.easel.start.value];
    void this.easel.paint(async (info) => {
      const asked = resolved(now, info);
      const [width, height] = [side(asked.width, info), side(asked.height, info)];
      const images = start && (await forModel(start, width, height));
      return { asks: asksFrom(words, { ...now, width, height }, info, start !== undefined), images };
    });
  }

  private vary(picture: Picture): void {
    const { variation } = settings.value;
    void this.easel.paint(() => ({ asks: variationsOf(picture.ask, VARIATIONS, variation), images: picture.images }));
  }

  private async startFrom(picture: Picture): Promise<void> {
    this.arrived(await arrivedStart(picture.blob));
    if (this.composer.words.prompt === "") this.composer.setWords(picture.ask);
  }

  private useSettings(picture: Picture): void {
    this.fillIn(picture.ask, settingsFrom(picture.ask));
  }

  private fillIn(
    words: { prompt: string; negativePrompt: string },
    change: Parameters<typeof changeSettings>[0],
  ): void {
    this.composer.setWords({ prompt: words.prompt, negativePrompt: words.negativePrompt });
    changeSettings(change);
    announce(t("filledIn", { title: words.prompt.trim().slice(0, 60) || t("emptyPrompt") }));
    this.composer.field.focus();
  }

  private arrived(what: Arrived): void {
    if (what.kind === "settings") this.fillIn(what.words, what.change);
    else if (what.kind === "start") this.easel.setStart(what.start);
  }

  private ways({ code }: Trouble): Way[] {
    const again: Way = { label: t("tryAgain"), go: () => this.paint() };
    const now = session.state.value;
    if (code === "Gpu" && now.step !== "none" && now.step !== "ready") {
      return [{ label: t("openAgain"), go: () => void session.open(now.choice) }];
    }
    if (code === "TooLarge") {
      const { width, height } = size();
      const smaller = () => {
        const less = (value: number) => side(value / 2, canvas());
        changeSettings({ width: less(width), height: less(height) });
        this.paint();
      };
      return [{ label: t("smallerPicture"), go: smaller }, again];
    }
    return [
      again,
      {
        label: t("tryAsModel"),
        go: () => {
          resetSettings();
          this.paint();
        },
      },
    ];
  }

  // --- Buttons, keys, files ------------------------------------------------------------------------------------------

  private listen(): void {
    byId("model-button").addEventListener("click", () => void this.picker.show());
    const input = byId<HTMLInputElement>("start-input");
    input.addEventListener("change", async () => {
      const file = input.files?.[0];
      input.value = "";
      if (file) this.arrived(await arrivedStart(file));
    });
    wireSwitches();
    language.watch(() => {
      translatePage();
      this.drawer.redraw();
      this.composer.redraw();
      this.gallery.redraw();
      this.picker.draw();
      this.starting.redraw();
      this.stage.redraw();
      this.drawPage();
      drawModelButton(byId("model-button"), session, nameOf);
    });
    wireKeys(
      () => {
        const { easel } = this;
        const busy = Boolean(easel.painting.value || easel.waits);
        if (busy) easel.stop();
        return busy;
      },
      () => this.sides.closeOver(),
      this.composer.field,
    );
    addEventListener("pagehide", () => writeSetting("paint.opening", undefined));
    acceptDrops((files) => void this.takeFiles(files));
    addEventListener("paste", (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find(isPicture);
      if (!file) return;
      event.preventDefault();
      void this.takeFiles(new Map([[file.name, file]]));
    });
  }

  private async takeFiles(files: Map<string, File>): Promise<void> {
    const picture = [...files.values()].find(isPicture);
    // A folder of a model may hold pictures beside its weights.
    if (picture && !choiceFromFiles(files)) this.arrived(await arrivedPicture(picture));
    else if (files.size > 0) this.picker.takeFiles(files);
  }
}

function nameOf(choice: Choice): string {
  return choice.name;
}

/** What the open model says of sizes; before one is open, what is usual. */
function canvas(): Canvas {
  const now = session.state.value;
  if (now.step === "ready") return now.model.info;
  const emoji = now.step !== "none" && now.choice.listed === EMOJI;
  return emoji ? { defaultSize: [64, 64], multipleOf: 8 } : { defaultSize: [512, 512], multipleOf: 8 };
}

/** The size that would be painted now. */
function size(): { width: number; height: number } {
  const limits = canvas();
  const [ownWidth, ownHeight] = limits.defaultSize;
  const { width, height } = settings.value;
  return { width: side(width ?? ownWidth, limits), height: side(height ?? ownHeight, limits) };
}

translatePage();
const easel = await Easel.open();
new PaintPage(easel);
document.documentElement.dataset.ready = "true";
if (!easel.lasting) announce(t("notLastingPictures"));
void firstModel(session, choiceFromText, EMOJI, () => t("noGpuWhatPaint"));
