/** The rail at the left: the pictures kept in this browser, by day. */
import { announce } from "../shared-ui/announce.js";
import { byId, fill, h, icon } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { addressOf, release } from "./addresses.js";
import type { Easel, Picture } from "./easel.js";
import { titleOf } from "./frame.js";

export class Gallery {
  private readonly place = byId("gallery");
  private readonly sum = byId("kept-pictures");
  private items = new Map<string, HTMLLIElement>();
  private drawn = "";

  constructor(
    private readonly easel: Easel,
    private readonly chosen: () => void,
  ) {
    byId("clear-pictures").addEventListener("click", () => void this.clear());
  }

  /** Everything anew, in another language. */
  redraw(): void {
    this.items.clear();
    this.drawn = "";
    this.draw();
  }

  draw(): void {
    const pictures = this.easel.pictures.value;
    // Pictures keep their elements: drawn again, hundreds of them would flicker and lose the focus.
    const key = pictures.map(({ id }) => id).join();
    if (key !== this.drawn || pictures.length === 0) this.lay(pictures);
    this.drawn = key;
    const { value: view } = this.easel.view;
    const sheet = view.kind === "sheet" ? view.sheet.id : "";
    for (const picture of pictures) {
      const item = this.items.get(picture.id)!;
      const current = picture.sheet === sheet;
      item.classList.toggle("current", current);
      if (current) item.firstElementChild!.setAttribute("aria-current", "true");
      else item.firstElementChild!.removeAttribute("aria-current");
    }
  }

  private lay(pictures: Picture[]): void {
    const bytes = pictures.reduce((sum, { blob }) => sum + blob.size, 0);
    this.sum.textContent =
      pictures.length > 0 ? t("keptPictures", { n: numbers.count(pictures.length), size: numbers.bytes(bytes) }) : "";
    byId("kept-row").hidden = pictures.length === 0;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.focus;
    const items = new Map<string, HTMLLIElement>();
    const days: HTMLElement[] = [];
    let heading = "";
    let list: HTMLUListElement | undefined;
    for (const picture of pictures) {
      const day = numbers.day(picture.time);
      if (day !== heading || !list) {
        heading = day;
        list = h("ul", { class: "thumbs", "aria-label": day });
        days.push(h("h3", {}, day), list);
      }
      const item = this.items.get(picture.id) ?? this.item(picture);
      items.set(picture.id, item);
      list.append(item);
    }
    this.items = items;
    fill(this.place, ...(days.length > 0 ? days : [h("p", { class: "rail-empty" }, t("noPictures"))]));
    if (focused) this.place.querySelector<HTMLElement>(`[data-focus="${focused}"]`)?.focus();
  }

  private item(picture: Picture): HTMLLIElement {
    const title = titleOf(picture.ask);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "thumb",
          title,
          "data-focus": picture.id,
          onClick: () => {
            this.easel.look(picture);
            this.chosen();
          },
        },
        h("img", { src: addressOf(picture), alt: title, loading: "lazy", decoding: "async" }),
      ),
      h(
        "button",
        {
          type: "button",
          class: "icon-button small remove",
          "aria-label": t("deletePicture", { title }),
          title: t("delete"),
          onClick: () => void this.remove(picture),
        },
        icon("trash"),
      ),
    );
  }

  async remove(picture: Picture): Promise<void> {
    const undo = await this.easel.remove([picture]);
    announce(t("deletedPicture", { title: titleOf(picture.ask) }), { label: t("undo"), go: () => void undo() });
  }

  private async clear(): Promise<void> {
    const all = this.easel.pictures.value;
    const undo = await this.easel.remove(all);
    announce(t("clearedPictures", { n: numbers.count(all.length) }), { label: t("undo"), go: () => void undo() });
  }

  /** Addresses of pictures that are gone are let go of once nothing shows them. */
  tidy(): void {
    const { value: view } = this.easel.view;
    const shown = view.kind === "sheet" ? view.sheet.frames.flatMap(({ picture }) => picture ?? []) : [];
    release([...this.easel.pictures.value, ...shown]);
  }
}
