/** The rail at the left: the notes kept in this browser. */
import { announce } from "../shared-ui/announce.js";
import { byId, fill, h, iconButton } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import type { Note, Shelf } from "./shelf.js";

export class Rail {
  private readonly place = byId("notes");

  constructor(private readonly shelf: Shelf) {
    byId("clear-notes").addEventListener("click", () => void this.remove(shelf.notes.value));
  }

  draw(): void {
    const notes = this.shelf.notes.value;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.focus;
    byId("kept-row").hidden = notes.length === 0;
    byId("kept-notes").textContent = t(notes.length === 1 ? "keptNote" : "keptNotes", {
      n: numbers.count(notes.length),
    });
    if (notes.length === 0) return fill(this.place, h("p", { class: "rail-empty" }, t("noNotes")));
    fill(this.place, h("ul", { "aria-label": t("notes") }, ...notes.map((note) => this.item(note))));
    // Drawing again must not throw the keyboard back to the top of the page.
    if (focused) this.place.querySelector<HTMLElement>(`[data-focus="${focused}"]`)?.focus();
  }

  private item(note: Note): HTMLLIElement {
    const { id, name, read } = note;
    const foreign = this.shelf.foreign.includes(note);
    const state = !read
      ? t("noteUnread")
      : foreign
        ? t("noteForeign", { name: read.name })
        : t(read.passages.length === 1 ? "notePassage" : "notePassages", { n: numbers.count(read.passages.length) });
    return h(
      "li",
      { class: "note", title: `${name}\n${numbers.moment(note.time)}` },
      h(
        "div",
        { class: "note-words" },
        h("span", { class: "note-name" }, name),
        h("span", { class: `note-facts${foreign ? " foreign" : ""}` }, `${numbers.bytes(note.size)} · ${state}`),
      ),
      iconButton("trash", t("deleteNote", { name }), () => void this.remove([note]), {
        class: "icon-button small more",
        "data-focus": `delete-${id}`,
      }),
    );
  }

  private async remove(notes: Note[]): Promise<void> {
    const undo = await this.shelf.remove(notes);
    const [only] = notes;
    const said =
      notes.length === 1 && only
        ? t("deleted", { title: only.name })
        : t("deletedNotes", { n: numbers.count(notes.length) });
    announce(said, { label: t("undo"), go: () => void undo() });
    // The button that was pressed is gone.
    byId("add-notes").focus();
  }
}
