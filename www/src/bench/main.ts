/** The bench page: says what will be measured, measures it, shows what came out. It sends nothing anywhere. */
import { DEMO } from "../chat/catalogue.js";
import { EMOJI } from "../paint/catalogue.js";
import { announce, copyText, saveFile } from "../shared-ui/announce.js";
import { byId, fill, h } from "../shared-ui/dom.js";
import { acceptDrops } from "../shared-ui/drop.js";
import { firstModel } from "../shared-ui/first-model.js";
import { language, t, translatePage } from "../shared-ui/i18n.js";
import { wireKeys } from "../shared-ui/keys.js";
import { choiceOf, type Choice } from "../shared-ui/models.js";
import { Picker } from "../shared-ui/picker.js";
import { Sides } from "../shared-ui/sides.js";
import { wireSwitches } from "../shared-ui/switches.js";
import { troubleOf, type Trouble } from "../shared-ui/trouble.js";
import { browserName } from "./browser.js";
import { measureGpu, measureImage, measureLanguage, type Hear } from "./measure.js";
import { Plan } from "./plan.js";
import { ProgressBar, type Part } from "./progress.js";
import { withShares, type Report } from "./report.js";
import { OFFERS, fitting, guidanceOf, kindOf, sessions, startable, wanted, type Kind } from "./slots.js";
import { markdown } from "./tables.js";
import { drawResults } from "./view.js";

const KINDS = ["language", "image"] as const;

class BenchPage {
  private readonly sides = new Sides({ rail: true }, "bench.");
  private readonly picker = new Picker(sessions.language, OFFERS.language);
  private readonly plan = new Plan(byId("plan"), (kind) => void this.choose(kind));
  private readonly start = byId<HTMLButtonElement>("start");
  private running: AbortController | undefined;
  private report: Report | undefined;
  private picture: ImageBitmap | undefined;

  constructor() {
    this.start.addEventListener("click", () => (this.running ? this.running.abort() : void this.run()));
    byId("copy").addEventListener("click", () => void this.copy());
    byId("save").addEventListener("click", () => this.save());
    for (const kind of KINDS) sessions[kind].state.watch(() => this.drawButtons());
    wanted.watch(() => this.drawButtons());
    wireSwitches();
    language.watch(() => {
      translatePage();
      this.picker.draw();
      this.draw();
    });
    wireKeys(
      () => {
        this.running?.abort();
        return this.running !== undefined;
      },
      () => this.sides.closeOver(),
      this.start,
    );
    acceptDrops((files) => {
      if (files.size === 0 || this.running) return;
      this.pickFor(kindOf(files));
      this.picker.takeFiles(files);
    });
    this.draw();
  }

  // --- Drawing -------------------------------------------------------------------------------------------------------

  private draw(): void {
    document.title = `${t("benchPage")} · Inkstone`;
    this.plan.draw();
    this.drawButtons();
    this.drawReport();
  }

  private drawButtons(): void {
    const running = this.running !== undefined;
    this.start.disabled = !running && !startable();
    this.start.classList.toggle("quiet", running || this.report !== undefined);
    this.start.textContent = t(running ? "cancel" : this.report ? "benchAgain" : "benchStart");
    byId<HTMLFieldSetElement>("plan").disabled = running;
    byId("hint").hidden = !running && this.report !== undefined;
    for (const id of ["copy", "save"]) byId(id).hidden = running || !this.report;
    byId("copy-words").textContent = t("benchCopy");
    byId("desk").dataset.running = String(running);
    byId("desk").dataset.results = String(this.report !== undefined);
  }

  private drawReport(): void {
    byId("results").hidden = !this.report;
    byId("how").hidden = !this.report;
    if (this.report) drawResults(byId("results"), this.report, this.picture);
  }

  private say(text: string): void {
    byId("spoken").replaceChildren(h("p", {}, text));
  }

  // --- Choosing ------------------------------------------------------------------------------------------------------

  private pickFor(kind: Kind): void {
    this.picker.use(sessions[kind], OFFERS[kind]);
    // Who chooses a model wants it measured.
    if (!wanted.value[kind]) wanted.set({ ...wanted.value, [kind]: true });
  }

  private async choose(kind: Kind): Promise<void> {
    this.pickFor(kind);
    await this.picker.show();
  }

  // --- Measuring -----------------------------------------------------------------------------------------------------

  private async run(): Promise<void> {
    const chosen = { language: this.chosen("language"), image: this.chosen("image") };
    const parts: Part[] = ["gpu", ...KINDS.filter((kind) => chosen[kind])];
    const bar = new ProgressBar(parts);
    const running = (this.running = new AbortController());
    const report: Report = (this.report = { date: new Date().toISOString(), browser: browserName() });
    this.picture?.close();
    this.picture = undefined;
    fill(byId("progress"), bar.root);
    this.draw();
    const hear: Hear = { signal: running.signal, step: (step) => bar.update(step), grown: () => this.drawReport() };
    for (const part of parts) {
      bar.begin(part);
      try {
        if (part === "gpu") await measureGpu(report, hear);
        else if (part === "language") await measureLanguage(report, chosen.language!, hear);
        else this.picture = await measureImage(report, { ...chosen.image!, guidance: guidanceOf(chosen.image!) }, hear);
      } catch (error) {
        if (this.ends(report, part, troubleOf(error))) break;
      }
      this.drawReport();
    }
    this.running = undefined;
    fill(byId("progress"));
    this.draw();
    this.say(t(report.cancelled ? "benchCancelled" : "benchDone"));
    // What was downloaded is here now.
    for (const kind of KINDS) if (chosen[kind]) void sessions[kind].choose(chosen[kind]);
  }

  private chosen(kind: Kind): Choice | undefined {
    return wanted.value[kind] ? fitting(kind) : undefined;
  }

  /** Writes down what went wrong; true where nothing more can be measured. */
  private ends(report: Report, part: Part, trouble: Trouble): boolean {
    if (this.running?.signal.aborted) {
      report.cancelled = true;
      return true;
    }
    const place = part === "gpu" ? report : report[part];
    if (place) place.trouble = trouble;
    return part === "gpu";
  }

  // --- The report ----------------------------------------------------------------------------------------------------

  private async copy(): Promise<void> {
    if (!this.report) return;
    const copied = await copyText(markdown(this.report));
    announce(t(copied ? "copied" : "copyFailed"));
    if (copied) byId("copy-words").textContent = t("copied");
  }

  private save(): void {
    if (!this.report) return;
    const json = new Blob([JSON.stringify(withShares(this.report), null, 2)], { type: "application/json" });
    saveFile(`inkstone-bench-${this.report.date.slice(0, 10)}.json`, json);
  }
}

translatePage();
new BenchPage();
document.documentElement.dataset.ready = "true";
void lookAtModels();

async function lookAtModels(): Promise<void> {
  const { language, image } = sessions;
  await firstModel(language, OFFERS.language.fromText, DEMO, () => t("noGpuWhatBench"));
  if (!language.device.value?.supported) return;
  image.device.set(language.device.value);
  const asked = OFFERS.image.fromText(new URLSearchParams(location.search).get("image") ?? "");
  await image.choose(asked ?? choiceOf(EMOJI));
}
