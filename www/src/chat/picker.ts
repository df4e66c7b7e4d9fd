/** The dialog for choosing a model: a named one, one from the hub or any address, or files from this device. */
import { append, byId, fill, h, icon, iconButton } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { announce } from "./announce.js";
import { CATALOGUE, choiceFromFiles, choiceFromText, choiceOf, type Choice, type Listed } from "./catalogue.js";
import * as session from "./session.js";

export class Picker {
  private readonly dialog = byId<HTMLDialogElement>("picker");
  private readonly field = byId<HTMLInputElement>("model-name");
  private readonly list = byId("models");
  private readonly kept = byId("kept");
  private stored: Awaited<ReturnType<typeof session.storedModels>> = [];

  constructor() {
    byId<HTMLFormElement>("name-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const choice = choiceFromText(this.field.value);
      const problem = byId("name-problem");
      problem.textContent = choice ? "" : t("nameProblem");
      this.field.setAttribute("aria-invalid", String(!choice));
      if (choice) this.take(choice);
    });
    for (const [button, input] of [
      ["pick-file", "file-input"],
      ["pick-folder", "folder-input"],
    ] as const) {
      const chooser = byId<HTMLInputElement>(input);
      byId(button).addEventListener("click", () => chooser.click());
      chooser.addEventListener("change", () => {
        const files = new Map([...(chooser.files ?? [])].map((file) => [file.webkitRelativePath || file.name, file]));
        chooser.value = "";
        this.takeFiles(files);
      });
    }
    byId("close-picker").addEventListener("click", () => this.dialog.close());
    // A click beside the sheet closes it, as people expect.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  async show(): Promise<void> {
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
    this.stored = await session.storedModels();
    this.draw();
  }

  takeFiles(files: Map<string, File>): void {
    const choice = choiceFromFiles(files);
    if (choice) this.take(choice);
    else announce(t("noModelInFiles"));
  }

  private take(choice: Choice): void {
    this.dialog.close();
    void session.choose(choice);
  }

  draw(): void {
    fill(this.list, ...CATALOGUE.map((listed) => this.row(listed)));
    this.drawKept();
  }

  private isStored(source: string): boolean {
    return this.stored.some((entry) => entry.complete && session.isSame(entry.source, source));
  }

  private row(listed: Listed): HTMLLIElement {
    const now = session.state.value;
    const current = now.step !== "none" && now.choice.key === listed.source;
    const budget = session.device.value?.budgetBytes ?? 0;
    // A first guess from the size alone; choosing it asks the library for the exact answer.
    const likely: Key | undefined = this.isStored(listed.source)
      ? "onThisDevice"
      : budget === 0
        ? undefined
        : listed.size * 1.15 + 64e6 <= budget
          ? "likelyFits"
          : "likelyNot";
    const tone = likely === "likelyNot" ? "no" : likely ? "yes" : "";
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "model-row",
          "aria-current": current ? "true" : null,
          onClick: () => this.take(choiceOf(listed)),
        },
        h("span", { class: "model-name" }, listed.name),
        h("span", { class: "model-note" }, t(`note_${listed.note}`)),
        h(
          "span",
          { class: "model-facts" },
          h("span", {}, numbers.bytes(listed.size)),
          h("span", {}, listed.quantization),
          h("span", {}, listed.licence),
        ),
        likely && h("span", { class: `chip ${tone}` }, t(likely)),
      ),
    );
  }

  private drawKept(): void {
    const total = this.stored.reduce((sum, { bytes }) => sum + bytes, 0);
    this.kept.replaceChildren();
    if (this.stored.length === 0) return;
    append(this.kept, [
      h("h3", {}, t("keptHere", { size: numbers.bytes(total) })),
      h(
        "ul",
        {},
        ...this.stored.map(({ source, bytes, complete }) => {
          const name = source.slice(source.lastIndexOf("/") + 1);
          const choice = choiceFromText(source);
          return h(
            "li",
            {},
            h("button", { type: "button", class: "link", onClick: () => choice && this.take(choice) }, name),
            h(
              "span",
              { class: "amount" },
              complete ? numbers.bytes(bytes) : t("partly", { size: numbers.bytes(bytes) }),
            ),
            iconButton("trash", t("forgetModel", { name }), () => void this.forget(source), {
              class: "icon-button small",
            }),
          );
        }),
      ),
    ]);
  }

  private async forget(source: string): Promise<void> {
    try {
      await session.forget(source);
      announce(t("forgotten"));
    } catch (error) {
      announce(session.troubleOf(error).message);
    }
    this.stored = await session.storedModels();
    this.draw();
    this.field.focus();
  }
}

export const STATUS: Record<session.State["step"], Key> = {
  none: "statusNone",
  checking: "statusChecking",
  chosen: "statusChosen",
  loading: "statusLoading",
  ready: "statusReady",
  trouble: "statusTrouble",
};

/** The button in the bar: which model, and in one dot how it is doing. */
export function drawModelButton(button: HTMLElement): void {
  const now = session.state.value;
  const name =
    now.step === "none"
      ? t("chooseModel")
      : now.step === "ready"
        ? session.modelName(now.choice, now.model)
        : now.choice.name;
  button.dataset.step = now.step;
  button.title = t(STATUS[now.step]);
  fill(
    button,
    h("span", { class: "dot" }),
    h("span", { class: "model-button-name" }, name),
    h("span", { class: "aside" }, `, ${t(STATUS[now.step])}`),
    icon("down"),
  );
}
