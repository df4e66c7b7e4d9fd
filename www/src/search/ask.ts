/** Where one asks. Enter searches, Esc stops; the last question is there again after a reload. */
import { byId } from "../shared-ui/dom.js";
import { readSetting } from "../shared-ui/storage.js";
import type { Seeker } from "./seek.js";

export class AskField {
  readonly field = byId<HTMLInputElement>("question");
  private readonly button = byId<HTMLButtonElement>("send");

  /** `ready`: whether there is something to search, with a model that is open or that asking may open. */
  constructor(
    private readonly seeker: Seeker,
    private readonly ready: () => boolean,
    asked: () => void,
  ) {
    this.field.value = readSetting("search.question", "");
    byId<HTMLFormElement>("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      const question = this.field.value.trim();
      if (!question || !this.ready()) return;
      void this.seeker.ask(question);
      asked();
    });
    this.field.addEventListener("input", () => {
      // An emptied field is the way back to the beginning.
      if (this.field.value === "") this.seeker.clear();
      this.draw();
    });
    this.field.disabled = false;
  }

  draw(): void {
    this.button.disabled = this.field.value.trim() === "" || !this.ready();
  }
}
