/** The search page: puts the parts together and lets them follow the signals. */
import type { EmbeddingModel } from "inkstone";
import { announce } from "../shared-ui/announce.js";
import { byId, h } from "../shared-ui/dom.js";
import { acceptDrops } from "../shared-ui/drop.js";
import { firstModel } from "../shared-ui/first-model.js";
import { language, t, translatePage, type Key } from "../shared-ui/i18n.js";
import { wireKeys } from "../shared-ui/keys.js";
import { choiceOf } from "../shared-ui/models.js";
import { Panel } from "../shared-ui/panel.js";
import { Picker, STATUS, drawModelButton } from "../shared-ui/picker.js";
import { Sides } from "../shared-ui/sides.js";
import { wireSwitches } from "../shared-ui/switches.js";
import { AskField } from "./ask.js";
import { FIRST, OFFERS, choiceFromText, isModel } from "./catalogue.js";
import { Drawer } from "./drawer.js";
import { drawNotice } from "./notice.js";
import { ProgressBar } from "./progress.js";
import { Rail } from "./rail.js";
import { ACCEPT, isNote } from "./read.js";
import { Results } from "./results.js";
import { Seeker } from "./seek.js";
import { embedder, modelName, reader, reranker } from "./sessions.js";
import { Shelf, type Arrival } from "./shelf.js";

const FAILED: Record<Arrival["failed"][number]["why"], Key> = {
  empty: "noteEmpty",
  locked: "noteLocked",
  broken: "noteBroken",
};

class SearchPage {
  private readonly sides = new Sides({ rail: true, drawer: false }, "search.", {
    rail: "add-notes",
    drawer: "close-drawer",
  });
  private readonly picker = new Picker(embedder, OFFERS.embedder);
  private readonly panel: Panel<EmbeddingModel>;
  private readonly drawer: Drawer;
  private readonly rail: Rail;
  private readonly results: Results;
  private readonly ask: AskField;
  private readonly seeker: Seeker;

  constructor(private readonly shelf: Shelf) {
    this.seeker = new Seeker(shelf);
    this.panel = new Panel(embedder, {
      showPicker: () => this.choose("embedder"),
      cancelled: () => this.seeker.stop(),
      first: () => choiceOf(FIRST),
    });
    this.drawer = new Drawer(this.seeker, () => this.choose("reranker"));
    this.rail = new Rail(shelf);
    this.results = new Results(byId("results"), this.seeker);
    new ProgressBar(shelf);
    this.ask = new AskField(
      this.seeker,
      () => shelf.notes.value.length > 0 && (embedder.askable || embedder.state.value.step === "none"),
      () => this.openForQuestion(),
    );
    this.follow();
    this.listen();
    this.draw();
  }

  // --- Drawing -------------------------------------------------------------------------------------------------------

  private draw(): void {
    document.title = `${t("searchPage")} · Inkstone`;
    drawModelButton(byId("model-button"), embedder, modelName);
    drawNotice(this.shelf, () => this.choose("embedder"));
    this.drawEmpty();
    this.panel.draw();
    this.drawer.draw();
    this.rail.draw();
    this.ask.draw();
  }

  private drawEmpty(): void {
    const blank = this.seeker.state.value.step === "none";
    const ready = reader() !== undefined;
    const notes = this.shelf.notes.value.length > 0;
    byId("desk").dataset.blank = String(blank);
    byId("empty").hidden = !blank;
    this.panel.root.hidden = ready;
    const place = byId(blank ? "empty-panel" : "dock");
    if (this.panel.root.parentElement !== place) place.append(this.panel.root);
    byId("line").textContent = t(notes ? (ready ? "lineSearchReady" : "lineSearchNotes") : "lineSearchFirst");
    byId("line-more").textContent = t(
      notes ? (ready ? "lineSearchReadyMore" : "lineSearchNotesMore") : "lineSearchFirstMore",
    );
    byId("begin-notes").hidden = notes;
    // One red button at a time: while a model is to be opened that one is.
    byId("begin-notes").classList.toggle("quiet", !ready);
  }

  private say(text: string): void {
    byId("spoken").replaceChildren(h("p", {}, text));
  }

  // --- Following -----------------------------------------------------------------------------------------------------

  private follow(): void {
    const { shelf, seeker } = this;
    embedder.state.watch((now) => {
      shelf.use(reader());
      this.draw();
      if (now.step !== "none" && now.step !== "trouble")
        this.say(
          `${now.choice.name}: ${t(now.step === "chosen" ? (now.fit.fits ? "fits" : "fitsNot") : STATUS[now.step])}`,
        );
      if (now.step === "ready" && document.activeElement === document.body) this.ask.field.focus();
      // What this model can't search is said above everything else.
      if (shelf.foreign.length > 0) byId("scroll").scrollTop = 0;
      this.resume();
    });
    reranker.state.watch(() => this.drawer.draw());
    shelf.notes.watch(() => {
      seeker.tidy();
      this.draw();
    });
    let working = false;
    shelf.work.watch((work) => {
      // Only its beginning and its end change what else is on the page.
      if (work && working) return;
      working = work !== undefined;
      this.draw();
      this.resume();
    });
    shelf.trouble.watch(() => this.draw());
    shelf.notKept.watch((why) => announce(t("noteNotKept", { why })));
    seeker.state.watch((now) => {
      this.results.draw();
      this.draw();
      if (now.step !== "found") return;
      byId("scroll").scrollTop = 0;
      this.say(byId("found-count").textContent ?? "");
    });
  }

  /** A question that waits, or the one of the last visit, is asked once a model is open and has read what there is. */
  private resume(): void {
    if (!reader() || this.shelf.busy) return;
    this.seeker.resume(this.ask.field.value);
  }

  /** Opens the model that a question was asked of. */
  private openForQuestion(): void {
    const now = embedder.state.value;
    if (now.step === "chosen" && now.fit.fits) void embedder.open(now.choice);
    else if (now.step === "trouble" && now.loading) void embedder.open(now.choice);
    else this.resume();
  }

  // --- Buttons, keys, files ------------------------------------------------------------------------------------------

  private choose(which: keyof typeof OFFERS): void {
    this.pickFor(which);
    void this.picker.show();
  }

  private pickFor(which: keyof typeof OFFERS): void {
    this.picker.use(which === "embedder" ? embedder : reranker, OFFERS[which]);
  }

  private listen(): void {
    const input = byId<HTMLInputElement>("note-input");
    input.accept = ACCEPT;
    for (const id of ["add-notes", "begin-notes"]) byId(id).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const files = new Map([...(input.files ?? [])].map((file) => [file.name, file]));
      input.value = "";
      void this.add(files);
      this.sides.closeOver();
    });
    byId("model-button").addEventListener("click", () => this.choose("embedder"));
    wireSwitches();
    language.watch(() => {
      translatePage();
      this.picker.draw();
      this.drawer.redraw();
      this.results.redraw();
      this.draw();
    });
    wireKeys(
      () => this.stop(),
      () => this.sides.closeOver(),
      this.ask.field,
    );
    acceptDrops((files) => this.take(files));
  }

  private stop(): boolean {
    if (this.seeker.busy) {
      this.seeker.stop();
      return true;
    }
    return this.shelf.stop();
  }

  /** What was dropped is a model or notes. */
  private take(files: Map<string, File>): void {
    if (!isModel(files)) return void this.add(files);
    if (!byId<HTMLDialogElement>("picker").open) this.pickFor("embedder");
    this.picker.takeFiles(files);
  }

  private async add(files: Map<string, File>): Promise<void> {
    const notes = new Map([...files].filter(([, file]) => isNote(file)));
    if (notes.size === 0) return announce(t("notNotes"));
    if (this.seeker.state.value.step !== "found") this.seeker.stop();
    this.tell(await this.shelf.add(notes));
  }

  private tell({ added, same, failed }: Arrival): void {
    const [bad] = failed;
    if (bad) announce(t(FAILED[bad.why], { name: bad.name }));
    else if (added.length === 0 && same[0]) announce(t("noteSame", { name: same[0] }));
    else if (added.length > 0 && !reader()) announce(t("notesWait", { n: added.length }));
  }
}

translatePage();
const shelf = await Shelf.start();
new SearchPage(shelf);
document.documentElement.dataset.ready = "true";
if (!shelf.lasting) announce(t("notesNotLasting"));
void openModels();

async function openModels(): Promise<void> {
  // Nothing is offered by itself: every model of this page lies on the hub, and looking at one would tell the hub.
  await firstModel(embedder, choiceFromText, undefined, () => t("noGpuWhatSearch"));
  if (!embedder.device.value?.supported) return;
  reranker.device.set(embedder.device.value);
  const last = reranker.lastChoice();
  if (last && !last.died && (await reranker.keptPart(last.choice)) === "whole") await reranker.open(last.choice);
}
