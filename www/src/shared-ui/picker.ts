/** The dialog for choosing a model: a named one, one from the hub or any address, or files from this device. */
import type { CacheEntry } from "inkstone";
import { append, byId, fill, h, icon, iconButton } from "./dom.js";
import { t, translatePage, type Key } from "./i18n.js";
import * as numbers from "./numbers.js";
import { announce } from "./announce.js";
import { choiceOf, isSame, type Choice, type Listed } from "./models.js";
import type { Device, Session, State } from "./session.js";
import { troubleOf } from "./trouble.js";

/** What a page offers to choose from. */
export interface Offer {
  catalogue: readonly Listed[];
  fromText(text: string): Choice | undefined;
  fromFiles(files: Map<string, File>): Choice | undefined;
  /** Said where a text names no model, and where files hold none. */
  noName: Key;
  noModel: Key;
  /** The files that it opens, as an input says them. */
  accept: string;
  /** What the dialog says: over and in the field for names, beside the buttons for files, over the list. */
  nameLabel: Key;
  namePlaceholder: Key;
  dropHint: Key;
  listTitle: Key;
}

/** What is chosen for: a page's session, whatever its model is. */
export interface Chooser {
  readonly state: { readonly value: State<unknown> };
  readonly device: { readonly value: Device | undefined };
  choose(choice: Choice): Promise<void>;
  storedModels(): Promise<CacheEntry[]>;
  forget(source: string): Promise<void>;
}

export class Picker {
  private readonly dialog = skeleton();
  private readonly field = byId<HTMLInputElement>("model-name");
  private readonly list = byId("models");
  private readonly kept = byId("kept");
  private stored: CacheEntry[] = [];

  constructor(
    private session: Chooser,
    private offer: Offer,
  ) {
    byId<HTMLFormElement>("name-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const choice = this.offer.fromText(this.field.value);
      const problem = byId("name-problem");
      problem.textContent = choice ? "" : t(this.offer.noName);
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
    this.label();
    // A click beside the sheet closes it, as people expect.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  /** From here on it chooses for another session of the page. */
  use(session: Chooser, offer: Offer): void {
    this.session = session;
    this.offer = offer;
    byId("name-problem").textContent = "";
    this.label();
  }

  /** Says what the offer says. */
  private label(): void {
    const { accept, nameLabel, namePlaceholder, dropHint, listTitle } = this.offer;
    byId<HTMLInputElement>("file-input").accept = accept;
    byId("name-label").dataset.t = nameLabel;
    this.field.dataset.tPlaceholder = namePlaceholder;
    byId("drop-hint").dataset.t = dropHint;
    byId("list-title").dataset.t = listTitle;
    translatePage(this.dialog);
  }

  async show(): Promise<void> {
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
    this.stored = await this.session.storedModels();
    this.draw();
  }

  takeFiles(files: Map<string, File>): void {
    const choice = this.offer.fromFiles(files);
    if (choice) this.take(choice);
    else announce(t(this.offer.noModel));
  }

  private take(choice: Choice): void {
    this.dialog.close();
    void this.session.choose(choice);
  }

  draw(): void {
    fill(this.list, ...this.offer.catalogue.map((listed) => this.row(listed)));
    this.drawKept();
  }

  private isStored(source: string): boolean {
    return this.stored.some((entry) => entry.complete && isSame(entry.source, source));
  }

  private row(listed: Listed): HTMLLIElement {
    const now = this.session.state.value;
    const current = now.step !== "none" && now.choice.key === listed.source;
    const budget = this.session.device.value?.budgetBytes ?? 0;
    // A first guess from the size alone; choosing it asks the library for the exact answer.
    const likely: Key | undefined = this.isStored(listed.source)
      ? "onThisDevice"
      : budget === 0
        ? undefined
        : (listed.gpu ?? listed.size * 1.15 + 64e6) <= budget
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
        h("span", { class: "model-note" }, this.note(listed)),
        h(
          "span",
          { class: "model-facts" },
          h("span", {}, numbers.bytes(listed.size)),
          listed.quantization && h("span", {}, listed.quantization),
          h("span", {}, listed.licence),
        ),
        likely && h("span", { class: `chip ${tone}` }, t(likely)),
      ),
    );
  }

  private note({ note, source }: Listed): string {
    const words = t(`note_${note}`);
    return source.startsWith("./") ? words : `${words} · ${t("fromHub")}`;
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
          const choice = this.offer.fromText(source);
          const name = choice?.name ?? source;
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
      await this.session.forget(source);
      announce(t("forgotten"));
    } catch (error) {
      announce(troubleOf(error).message);
    }
    this.stored = await this.session.storedModels();
    this.draw();
    this.field.focus();
  }
}

/** The dialog, put into the page. */
function skeleton(): HTMLDialogElement {
  const dialog = h(
    "dialog",
    { class: "picker", id: "picker", "aria-labelledby": "picker-title" },
    h(
      "div",
      { class: "picker-sheet" },
      h(
        "div",
        { class: "drawer-top" },
        h("h2", { id: "picker-title", "data-t": "pickerTitle" }),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            id: "close-picker",
            "data-t-label": "closePicker",
            "data-t-title": "closePicker",
          },
          icon("close"),
        ),
      ),
      h(
        "div",
        { class: "picker-body" },
        h(
          "form",
          { id: "name-form", class: "name-form", novalidate: true },
          h("label", { for: "model-name", id: "name-label" }),
          h(
            "div",
            { class: "name-row" },
            h("input", {
              id: "model-name",
              type: "text",
              inputmode: "url",
              autocomplete: "off",
              autocapitalize: "off",
              spellcheck: "false",
              "aria-describedby": "name-problem",
            }),
            h("button", { type: "submit", class: "button quiet", "data-t": "nameGo" }),
          ),
          h("p", { class: "problem", id: "name-problem", role: "alert" }),
        ),
        h(
          "div",
          { class: "from-here" },
          h("button", { type: "button", class: "button quiet", id: "pick-file", "data-t": "pickFile" }),
          h("button", { type: "button", class: "button quiet", id: "pick-folder", "data-t": "pickFolder" }),
          h("span", { class: "hint", id: "drop-hint" }),
          h("input", { type: "file", id: "file-input", hidden: true, multiple: true }),
          h("input", { type: "file", id: "folder-input", hidden: true, webkitdirectory: true }),
        ),
        h("h3", { id: "list-title" }),
        h("ul", { class: "models", id: "models" }),
        h("div", { class: "kept", id: "kept" }),
      ),
    ),
  );
  byId("drop").before(dialog);
  return dialog;
}

export const STATUS: Record<State<unknown>["step"], Key> = {
  none: "statusNone",
  checking: "statusChecking",
  chosen: "statusChosen",
  loading: "statusLoading",
  ready: "statusReady",
  trouble: "statusTrouble",
};

/** The button in the bar: which model, and in one dot how it is doing. */
export function drawModelButton<Model extends { dispose(): Promise<void> }>(
  button: HTMLElement,
  session: Session<Model>,
  nameOf: (choice: Choice, model: Model) => string,
): void {
  const now = session.state.value;
  const name =
    now.step === "none" ? t("chooseModel") : now.step === "ready" ? nameOf(now.choice, now.model) : now.choice.name;
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
