/** The quiet list at the left: conversations by day, with rename, export and delete behind one small button each. */
import { announce, saveFile } from "../shared-ui/announce.js";
import { byId, h, icon, iconButton } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { writeSetting } from "../shared-ui/storage.js";
import { draftOf } from "./composer.js";
import { readExport, toMarkdown, type Conversation } from "./conversation.js";
import type { Desk } from "./desk.js";

export class Rail {
  private readonly place = byId("conversations");
  private readonly search = byId<HTMLInputElement>("search");
  private renaming: string | undefined;
  private menu: string | undefined;

  constructor(
    private readonly desk: Desk,
    private readonly chosen: () => void,
  ) {
    this.search.addEventListener("input", () => this.draw());
    document.addEventListener("click", (event) => {
      if (this.menu && !(event.target as Element).closest(".rail-menu, .more")) this.closeMenu(false);
    });
  }

  draw(): void {
    // While a name is being typed its field must stay; the list catches up when it is done.
    if (this.renaming && this.place.querySelector(".name-field") === document.activeElement) return;
    const wanted = this.search.value.trim().toLocaleLowerCase();
    const all = this.desk.list.value;
    const shown = wanted
      ? all.filter(
          (one) =>
            one.title.toLocaleLowerCase().includes(wanted) ||
            one.turns.some(({ text }) => text.toLocaleLowerCase().includes(wanted)),
        )
      : all;
    this.search.hidden = all.length < 6 && !wanted;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.focus;
    this.place.replaceChildren();
    if (shown.length === 0) {
      this.place.append(h("p", { class: "rail-empty" }, t(wanted ? "nothingFound" : "noConversations")));
      return;
    }
    let heading = "";
    let list: HTMLUListElement | undefined;
    for (const conversation of shown) {
      const day = numbers.day(conversation.updated);
      if (day !== heading || !list) {
        heading = day;
        list = h("ul", { "aria-label": day });
        this.place.append(h("h3", {}, day), list);
      }
      list.append(this.item(conversation));
    }
    // Drawing again must not throw the keyboard back to the top of the page.
    if (focused) this.place.querySelector<HTMLElement>(`[data-focus="${focused}"]`)?.focus();
  }

  private item(conversation: Conversation): HTMLLIElement {
    const { id } = conversation;
    const current = this.desk.open.value.id === id;
    const writing = this.desk.writing.value?.conversation.id === id;
    const item = h("li", { class: current ? "current" : "" });
    if (this.renaming === id) {
      item.append(this.nameField(conversation));
      return item;
    }
    item.append(
      h(
        "button",
        {
          type: "button",
          class: "conversation",
          "aria-current": current ? "true" : null,
          "data-focus": `open-${id}`,
          title: numbers.moment(conversation.updated),
          onClick: () => {
            this.desk.show(this.desk.list.value.find((one) => one.id === id) ?? conversation);
            this.chosen();
          },
        },
        h("span", {}, conversation.title || t("untitled")),
        writing && h("span", { class: "wet", title: t("beingWritten") }),
      ),
      iconButton(
        "dots",
        t("more", { title: conversation.title }),
        () => {
          this.menu = this.menu === id ? undefined : id;
          this.draw();
          this.place.querySelector<HTMLElement>(".rail-menu button")?.focus();
        },
        { class: "icon-button small more", "aria-expanded": String(this.menu === id), "data-focus": `more-${id}` },
      ),
    );
    if (this.menu === id) item.append(this.menuFor(conversation));
    return item;
  }

  private closeMenu(focus: boolean): void {
    const id = this.menu;
    this.menu = undefined;
    this.draw();
    if (focus && id) this.place.querySelector<HTMLElement>(`[data-focus="more-${id}"]`)?.focus();
  }

  private menuFor(conversation: Conversation): HTMLElement {
    const entry = (name: Parameters<typeof icon>[0], text: string, go: () => void) =>
      h("button", { type: "button", onClick: () => (this.closeMenu(true), go()) }, icon(name), text);
    const menu = h(
      "div",
      { class: "rail-menu", role: "group", "aria-label": t("more", { title: conversation.title }) },
      entry("pen", t("rename"), () => this.rename(conversation)),
      entry("save", t("exportMarkdown"), () => {
        const names = { user: t("you"), assistant: t("model"), system: t("system") };
        saveFile(fileName(conversation, "md"), new Blob([toMarkdown(conversation, names)], { type: "text/markdown" }));
      }),
      entry("save", t("exportJson"), () => saveFile(fileName(conversation, "json"), json(conversation))),
      entry("trash", t("delete"), () => void this.remove(conversation)),
    );
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.closeMenu(true);
    });
    return menu;
  }

  private async remove(conversation: Conversation): Promise<void> {
    const undo = await this.desk.remove(conversation);
    writeSetting(draftOf(conversation.id), undefined);
    announce(t("deleted", { title: conversation.title }), { label: t("undo"), go: () => void undo() });
  }

  private rename(conversation: Conversation): void {
    this.renaming = conversation.id;
    this.draw();
    const field = this.place.querySelector<HTMLInputElement>("input");
    field?.focus();
    field?.select();
  }

  private nameField(conversation: Conversation): HTMLInputElement {
    const field = h("input", {
      class: "name-field",
      "aria-label": t("renameLabel"),
      value: conversation.title,
      maxlength: 120,
    });
    const finish = (keep: boolean) => {
      if (this.renaming !== conversation.id) return;
      this.renaming = undefined;
      if (keep && field.value.trim() && field.value.trim() !== conversation.title)
        void this.desk.rename(conversation, field.value);
      this.draw();
      this.place.querySelector<HTMLElement>(`[data-focus="open-${conversation.id}"]`)?.focus();
    };
    field.addEventListener("blur", () => finish(true));
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") {
        event.stopPropagation();
        finish(false);
      }
    });
    return field;
  }

  /** All conversations in one file. */
  exportAll(): void {
    saveFile("inkstone-conversations.json", json(this.desk.list.value));
  }

  /** Reads a file that `exportAll` or one conversation's export wrote. */
  async import(file: File): Promise<void> {
    let parsed: unknown;
    try {
      parsed = JSON.parse(await file.text());
    } catch {
      parsed = undefined;
    }
    const found = (Array.isArray(parsed) ? parsed : [parsed]).map(readExport).filter((one) => one !== undefined);
    for (const conversation of found) await this.desk.bring(conversation);
    announce(
      found.length > 0 ? t("imported", { n: numbers.count(found.length) }) : t("importFailed", { file: file.name }),
    );
  }
}

function json(value: unknown): Blob {
  return new Blob([JSON.stringify(value, null, 2)], { type: "application/json" });
}

function fileName(conversation: Conversation, ending: string): string {
  const safe =
    conversation.title
      .replace(/[\\/:*?"<>|\u0000-\u001f]+/g, " ")
      .trim()
      .slice(0, 60) || "conversation";
  return `${safe}.${ending}`;
}
