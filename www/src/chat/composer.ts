/** Where people write. Enter sends, Shift+Enter breaks the line, Esc stops; what was typed is kept until it is sent. */
import { byId, fill, icon } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";
import { readSetting, writeSetting } from "../shared-ui/storage.js";
import type { Desk } from "./desk.js";

export class Composer {
  private readonly form = byId<HTMLFormElement>("composer");
  readonly field = byId<HTMLTextAreaElement>("prompt");
  private readonly button = byId<HTMLButtonElement>("send");
  /** The conversation whose draft is in the field, and what that draft is kept as. */
  private shownId = "";
  private draftName = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly desk: Desk,
    private readonly ready: () => boolean,
    private readonly editLast: () => boolean,
  ) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.desk.writing.value || this.desk.waitingTurn) this.desk.stop();
      else this.send();
      this.draw();
    });
    this.field.addEventListener("input", () => {
      this.grow();
      this.draw();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.keepDraft(), 300);
    });
    this.field.addEventListener("keydown", (event) => {
      // Enter that ends an input method's composition belongs to the input method.
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
        event.preventDefault();
        if (!this.desk.writing.value && !this.desk.waitingTurn) this.send();
      } else if (event.key === "ArrowUp" && this.field.value === "" && this.editLast()) {
        event.preventDefault();
      }
    });
    addEventListener("pagehide", () => this.keepDraft());
    this.field.disabled = false;
  }

  private keepDraft(): void {
    clearTimeout(this.timer);
    writeSetting(this.draftName, this.field.value.trim() === "" ? undefined : this.field.value);
  }

  private send(): void {
    const text = this.field.value.trim();
    if (!text || !this.ready()) return;
    this.field.value = "";
    this.keepDraft();
    this.grow();
    void this.desk.send(text);
  }

  write(text: string): void {
    this.field.value = text;
    this.grow();
    this.draw();
    this.field.focus();
  }

  /** Writes a text below what is there; one that began alike, and was brought before, makes way for it. */
  add(text: string, beginning: string): void {
    const own = this.field.value.split(beginning)[0]!.trim();
    this.write([own, text].filter(Boolean).join("\n\n"));
    this.field.scrollTop = this.field.scrollHeight;
  }

  private grow(): void {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, innerHeight * 0.4)}px`;
  }

  /** Follows the open conversation: its draft comes back, the button says what it does now. */
  draw(): void {
    const { id, turns } = this.desk.open.value;
    const other = this.shownId !== id;
    if (other && this.shownId !== "") this.keepDraft();
    this.shownId = id;
    // Conversations that have no message yet share one draft.
    this.draftName = turns.length > 0 ? draftOf(id) : "draft.new";
    if (other) {
      this.field.value = readSetting(this.draftName, "");
      this.grow();
    }
    const stopping = (this.desk.writing.value ?? this.desk.waitingTurn) !== undefined;
    const label = t(stopping ? "stop" : "send");
    if (this.button.getAttribute("aria-label") !== label) {
      this.button.setAttribute("aria-label", label);
      this.button.title = stopping ? t("stopTitle") : label;
      fill(this.button, stopping ? stopSquare() : icon("send"));
      this.button.classList.toggle("stop", stopping);
    }
    this.button.disabled = !stopping && (this.field.value.trim() === "" || !this.ready());
  }
}

/** The setting that keeps what was typed but not sent in a conversation. */
export function draftOf(id: string): string {
  return `draft.${id}`;
}

function stopSquare(): HTMLElement {
  const square = document.createElement("span");
  square.className = "stop-square";
  return square;
}
