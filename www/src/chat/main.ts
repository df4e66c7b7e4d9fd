/** The chat page: puts the parts together and lets them follow the signals. */
import type { LanguageModel } from "inkstone";
import { announce } from "../shared-ui/announce.js";
import { byId, fill, h } from "../shared-ui/dom.js";
import { acceptDrops } from "../shared-ui/drop.js";
import { firstModel } from "../shared-ui/first-model.js";
import { takeOver } from "../shared-ui/handover.js";
import { language, t, translatePage } from "../shared-ui/i18n.js";
import { wireKeys } from "../shared-ui/keys.js";
import { Panel } from "../shared-ui/panel.js";
import { Picker, STATUS, drawModelButton } from "../shared-ui/picker.js";
import { Sides } from "../shared-ui/sides.js";
import { writeSetting } from "../shared-ui/storage.js";
import { wireSwitches } from "../shared-ui/switches.js";
import type { Way } from "../shared-ui/trouble.js";
import { DEMO, OFFER, choiceFromText } from "./catalogue.js";
import { Composer } from "./composer.js";
import { thread } from "./conversation.js";
import { Desk } from "./desk.js";
import { Drawer } from "./drawer.js";
import { Follower } from "./follow.js";
import { Rail } from "./rail.js";
import { modelName, session } from "./session.js";
import { changeSettings, settings } from "./settings.js";
import { Speaker } from "./speaker.js";
import { drawStats } from "./stats.js";
import { Transcript, raiseMaxTokens } from "./transcript.js";

class ChatPage {
  private readonly sides = new Sides({ rail: true, drawer: false }, "", { rail: "new", drawer: "close-drawer" });
  private readonly picker = new Picker(session, OFFER);
  private readonly panel: Panel<LanguageModel>;
  private readonly drawer: Drawer;
  private readonly transcript: Transcript;
  private readonly rail: Rail;
  private readonly composer: Composer;
  private readonly speaker = new Speaker(byId("spoken"));
  private readonly follower: Follower;

  constructor(private readonly desk: Desk) {
    this.panel = new Panel(session, {
      showPicker: () => void this.picker.show(),
      cancelled: () => desk.waitNoMore(),
      smaller: shorterContext,
    });
    this.drawer = new Drawer(desk);
    this.transcript = new Transcript(byId("transcript"), desk, {
      showSetting: (name) => {
        raiseMaxTokens();
        this.sides.open("drawer", true);
        this.drawer.point(name);
      },
    });
    this.rail = new Rail(desk, () => this.sides.closeOver());
    this.composer = new Composer(desk, () => session.askable, () => this.transcript.editLast());
    this.follower = new Follower(() => this.composer.field.focus());
    this.followDesk();
    this.followModel();
    this.listen();
    this.rail.draw();
    this.drawPage();
    drawModelButton(byId("model-button"), session, modelName);
  }

  /** Puts what another page brings into a new conversation's field, to be changed or sent; what was typed there stays. */
  bring(text: string): void {
    this.desk.begin();
    this.composer.add(text, t("handOverIntro"));
    byId("scroll").scrollTop = 0;
  }

  // --- Drawing -------------------------------------------------------------------------------------------------------

  /** What depends on the open conversation and on the model. */
  private drawPage(): void {
    const { title } = this.desk.open.value;
    document.title = title ? `${title} · Inkstone` : "Inkstone";
    this.drawEmpty();
    this.panel.draw();
    this.transcript.draw();
    this.composer.draw();
    drawStats(this.desk);
  }

  private drawEmpty(): void {
    const { turns } = this.desk.open.value;
    const now = session.state.value;
    const blank = turns.length === 0;
    byId("empty").hidden = !blank;
    byId("title").hidden = blank;
    byId("title").textContent = this.desk.open.value.title;
    byId("desk").dataset.blank = String(blank);
    // Where the last answer itself says that the GPU failed, saying so twice helps nobody.
    const last = thread(this.desk.open.value).pop();
    const said = now.step === "trouble" && now.trouble.code === "Gpu" && last?.trouble?.code === "Gpu";
    this.panel.root.hidden = now.step === "ready" || said;
    // One panel: in the middle of an empty page, above the composer otherwise.
    const place = byId(blank ? "empty-panel" : "dock");
    if (this.panel.root.parentElement !== place) place.append(this.panel.root);
    const ready = now.step === "ready";
    byId("line").textContent = t(ready ? "lineReady" : "lineFirst");
    byId("line-more").textContent = t(ready ? "lineReadyMore" : "lineFirstMore");
    const starters = byId("starters");
    starters.hidden = !ready;
    const begin = (key: "starter1" | "starter2" | "starter3") =>
      h("button", { type: "button", class: "starter", onClick: () => this.composer.write(t(key)) }, t(key));
    fill(starters, begin("starter1"), begin("starter2"), begin("starter3"));
  }

  // --- Following -----------------------------------------------------------------------------------------------------

  private followDesk(): void {
    const { desk } = this;
    let shown = desk.open.value.id;
    desk.open.watch(({ id }) => {
      this.drawPage();
      this.rail.draw();
      this.drawer.draw();
      if (id !== shown) this.follower.toEnd();
      shown = id;
    });
    desk.list.watch(() => this.rail.draw());
    let before = desk.writing.value;
    desk.writing.watch((writing) => {
      if (writing) {
        this.speaker.begin();
        this.follower.toEnd();
      } else if (before) this.speaker.follow(before.turn.text, true);
      before = writing;
      this.composer.draw();
      this.rail.draw();
      drawStats(desk);
    });
    desk.grown.watch((turn) => {
      if (!turn || turn !== desk.writing.value?.turn) return;
      this.speaker.follow(turn.text, false);
      drawStats(desk);
    });
    desk.notKept.watch((why) => announce(t("notKept", { why })));
  }

  private followModel(): void {
    session.state.watch((now) => {
      drawModelButton(byId("model-button"), session, modelName);
      this.drawPage();
      this.drawer.draw();
      if (now.step !== "none" && now.step !== "trouble") {
        this.speaker.begin();
        this.speaker.say(
          `${now.choice.name}: ${t(now.step === "chosen" ? (now.fit.fits ? "fits" : "fitsNot") : STATUS[now.step])}`,
        );
      }
      if (now.step === "chosen" && now.fit.fits && this.desk.waitingTurn) void session.open(now.choice);
      if (now.step !== "ready") return;
      if (document.activeElement === document.body) this.composer.field.focus();
      void this.desk.resume();
    });
  }

  // --- Buttons, keys, files ------------------------------------------------------------------------------------------

  private listen(): void {
    byId("model-button").addEventListener("click", () => void this.picker.show());
    byId("new").addEventListener("click", () => {
      this.desk.begin();
      this.sides.closeOver();
      this.composer.field.focus();
    });
    byId("export-all").addEventListener("click", () => this.rail.exportAll());
    wireSwitches();
    language.watch(() => {
      translatePage();
      this.transcript.redraw();
      this.drawer.redraw();
      this.rail.draw();
      this.picker.draw();
      this.drawPage();
      drawModelButton(byId("model-button"), session, modelName);
    });
    wireKeys(
      () => {
        const busy = Boolean(this.desk.writing.value || this.desk.waitingTurn);
        if (busy) {
          this.desk.stop();
          this.composer.draw();
        }
        return busy;
      },
      () => this.sides.closeOver(),
      this.composer.field,
    );
    addEventListener("pagehide", () => writeSetting("opening", undefined));
    acceptDrops((files) => {
      const [file] = files.values();
      if (files.size === 1 && file && /\.json$/i.test(file.name)) void this.rail.import(file);
      else this.picker.takeFiles(files);
    });
  }
}

/** A model that does not fit may do so with less to remember. */
function shorterContext(): Way | undefined {
  if ((settings.value.contextLength ?? Infinity) <= 1024) return undefined;
  return { label: t("tryShorter"), go: () => changeSettings({ contextLength: 1024 }) };
}

translatePage();
const desk = await Desk.start();
const page = new ChatPage(desk);
const brought = takeOver();
if (brought) page.bring(brought);
document.documentElement.dataset.ready = "true";
if (!desk.lasting) announce(t("notLasting"));
void firstModel(session, choiceFromText, DEMO, () => t("noGpuWhat"));
