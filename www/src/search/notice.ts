/** What stands between the notes and a search: a line or two above everything else, with the button that mends it. */
import { append, byId, fill, h } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { troubleCard } from "../shared-ui/trouble.js";
import { choiceFromText } from "./catalogue.js";
import { embedder, reader } from "./sessions.js";
import type { Note, Shelf } from "./shelf.js";

export function drawNotice(shelf: Shelf, choose: () => void): void {
  const place = byId("notice");
  const now = embedder.state.value;
  const open = reader();
  const trouble = shelf.trouble.value;
  fill(place);
  if (now.step === "ready" && !open) {
    return append(place, [line(t("makesNoVectors", { name: now.choice.name }), [button(t("chooseModel"), choose)])]);
  }
  if (!open || shelf.busy) return;
  const readAgain = (notes: Note[]) => void shelf.embed(() => notes);
  if (trouble) {
    append(place, [troubleCard(trouble, [{ label: t("tryAgain"), go: () => readAgain(shelf.unread) }])]);
  } else if (shelf.unread.length > 0) {
    const words = t(shelf.unread.length === 1 ? "unreadNote" : "unreadNotes", {
      n: numbers.count(shelf.unread.length),
    });
    append(place, [line(words, [button(t("readNow"), () => readAgain(shelf.unread), "read-now")])]);
  }
  const { foreign } = shelf;
  if (foreign.length > 0) append(place, [foreignLine(foreign, open.name, () => readAgain(foreign))]);
}

function foreignLine(foreign: Note[], name: string, again: () => void): HTMLElement {
  const { read } = foreign[0]!;
  const before = choiceFromText(read!.model);
  const key = foreign.length === 1 ? "foreignNote" : "foreignNotes";
  const words = t(key, { n: numbers.count(foreign.length), other: read!.name, name });
  return line(words, [
    button(t("readAgain", { name }), again, "read-again"),
    before && button(t("openOther", { name: read!.name }), () => void embedder.choose(before)),
  ]);
}

function line(words: string, ways: (HTMLElement | undefined)[]): HTMLElement {
  return h("div", { class: "notice-line" }, h("p", {}, words), h("div", { class: "ways" }, ...ways));
}

function button(label: string, onClick: () => void, id?: string): HTMLButtonElement {
  return h("button", { type: "button", class: "button quiet", id, onClick }, label);
}
