/** The thread of messages. Views are kept by turn, so that drawing again disturbs neither focus nor a selection. */
import { announce, copyText } from "../shared-ui/announce.js";
import { append, fill, h, icon, iconButton } from "../shared-ui/dom.js";
import { t, type Key } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { troubleCard, type Way } from "../shared-ui/trouble.js";
import { siblings, thread, type Conversation, type Turn } from "./conversation.js";
import type { Desk } from "./desk.js";
import { MarkdownView } from "./markdown.js";
import { changeSettings, settings } from "./settings.js";

export interface Callbacks {
  showSetting: (name: "maxTokens") => void;
}

class TurnView {
  readonly root: HTMLElement;
  private readonly body = h("div", { class: "turn-body" });
  private readonly extra = h("div", { class: "turn-extra" });
  private readonly foot = h("div", { class: "turn-foot" });
  private readonly markdown: MarkdownView | undefined;
  private drawn = "";

  constructor(
    readonly turn: Turn,
    private readonly desk: Desk,
    private readonly callbacks: Callbacks,
  ) {
    const user = turn.role === "user";
    this.body.classList.add(user ? "words" : "answer");
    if (!user) this.markdown = new MarkdownView(this.body);
    this.root = h(
      "article",
      { class: `turn ${turn.role}`, "data-turn": turn.id },
      h("h2", { class: "aside" }, t(user ? "youSaid" : "modelSaid")),
      this.extra,
      this.body,
      this.foot,
    );
  }

  /** Only the text: called for every piece that arrives. */
  grow(): void {
    const { reasoning, text } = this.turn;
    if (reasoning) this.drawReasoning(reasoning, text === "");
    this.markdown?.update(text, true);
  }

  /** What the model thinks first: open while nothing else is there, folded once the answer begins. */
  private drawReasoning(reasoning: string, thinking: boolean): void {
    let fold = this.extra.querySelector<HTMLDetailsElement>(".reasoning");
    if (!fold) {
      fold = h("details", { class: "reasoning" }, h("summary", {}), h("p", {}));
      this.extra.prepend(fold);
    }
    const state = thinking ? "thinking" : "reasoning";
    if (fold.dataset.state !== state) {
      fold.dataset.state = state;
      fold.firstElementChild!.textContent = t(state);
      fold.open = thinking;
    }
    fold.lastElementChild!.textContent = reasoning;
  }

  update(conversation: Conversation, writing: boolean, busy: boolean, last: boolean): void {
    const { turn } = this;
    const all = siblings(conversation, turn);
    const place = all.indexOf(turn);
    this.root.toggleAttribute("aria-busy", writing);
    if (this.markdown) this.markdown.update(turn.text, writing);
    else if (!this.root.classList.contains("editing")) this.body.textContent = turn.text;
    // What is left depends on few things: the same ones, the same buttons.
    const now = JSON.stringify([
      place,
      all.length,
      writing,
      busy,
      last,
      this.desk.waitingTurn === turn,
      turn.finish,
      turn.trouble,
      turn.stats,
      turn.reasoning?.length,
    ]);
    if (now === this.drawn) return;
    this.drawn = now;
    this.drawExtra(conversation, writing, busy);
    this.drawFoot(conversation, place, all.length, writing, busy, last);
  }

  private drawExtra(conversation: Conversation, writing: boolean, busy: boolean): void {
    const { turn, desk } = this;
    this.extra.replaceChildren();
    if (turn.reasoning) this.drawReasoning(turn.reasoning, writing && turn.text === "");
    const question = conversation.turns.find(({ id }) => id === turn.parent);
    if (turn.trouble && question && !writing) {
      const again: Way = { label: t("tryAgain"), go: () => void desk.again(turn) };
      const shorten: Way = {
        label: t("dropOldest"),
        go: () => void desk.ask(conversation, question, "truncate-oldest"),
      };
      // Asking again opens the model first where it is closed.
      const reopen: Way = { ...again, label: t("openAgain") };
      const ways = turn.trouble.code === "TooLarge" ? [shorten] : turn.trouble.code === "Gpu" ? [reopen] : [again];
      // While answering no file is read: the template refuses what it was given, or the weights are no numbers.
      const sentences: Record<string, Key> = { TooLarge: "troubleContext", Format: "troubleAnswer" };
      const sentence = sentences[turn.trouble.code];
      this.extra.append(troubleCard(turn.trouble, busy ? [] : ways, sentence && t(sentence)));
    }
  }

  private drawFoot(
    conversation: Conversation,
    place: number,
    count: number,
    writing: boolean,
    busy: boolean,
    last: boolean,
  ): void {
    const { turn, desk } = this;
    const waits = desk.waitingTurn === turn;
    const user = turn.role === "user";
    fill(
      this.foot,
      count > 1 &&
        h(
          "span",
          { class: "branches", role: "group", "aria-label": t("branches") },
          iconButton("left", t("branchBefore"), () => this.step(-1), {
            disabled: place === 0 || busy,
            class: "icon-button small branch-before",
          }),
          h("span", { class: "branch-place" }, t("branchPlace", { n: place + 1, all: count })),
          iconButton("right", t("branchAfter"), () => this.step(1), {
            disabled: place === count - 1 || busy,
            class: "icon-button small branch-after",
          }),
        ),
      !writing && turn.text !== "" && this.copyButton(),
      user && iconButton("pen", t("edit"), () => this.edit(), { disabled: busy, class: "icon-button small edit" }),
      !user &&
        !writing &&
        iconButton("again", t("again"), () => void desk.again(turn), {
          disabled: busy,
          class: "icon-button small again",
        }),
      user && last && waits && h("span", { class: "waits" }, t("waits")),
      user &&
        last &&
        !busy &&
        !waits &&
        h(
          "button",
          { type: "button", class: "link answer-this", onClick: () => void desk.ask(conversation, turn) },
          t("answerThis"),
        ),
      !user && !writing && this.meta(),
    );
  }

  private meta(): HTMLElement {
    const { turn } = this;
    const { stats } = turn;
    const meta = h("span", { class: "meta" });
    append(meta, [
      turn.model && h("span", {}, turn.model),
      stats &&
        stats.completionTokens > 1 &&
        h(
          "span",
          {
            title: t("statsTitle", {
              prompt: numbers.count(stats.promptTokens),
              cached: numbers.count(stats.cachedTokens),
              first: numbers.count(stats.firstTokenMs / 1000, 1),
            }),
          },
          numbers.tokensPerSecond(stats.tokensPerSecond),
        ),
      stats && h("span", {}, t("tokens", { n: numbers.count(stats.completionTokens) })),
      (turn.finish === "abort" || (!turn.finish && !turn.trouble)) && h("span", {}, t("finishAbort")),
      turn.finish === "overflow" && h("span", {}, t("finishOverflow")),
      turn.finish === "length" &&
        h(
          "button",
          { type: "button", class: "link", onClick: () => this.callbacks.showSetting("maxTokens") },
          t("finishLength"),
        ),
    ]);
    return meta;
  }

  private copyButton(): HTMLButtonElement {
    const button = iconButton(
      "copy",
      t("copy"),
      async () => {
        const done = await copyText(this.turn.text);
        button.replaceChildren(icon(done ? "check" : "copy"));
        announce(t(done ? "copied" : "copyFailed"));
        setTimeout(() => button.replaceChildren(icon("copy")), 1600);
      },
      { class: "icon-button small copy" },
    );
    return button;
  }

  private step(step: number): void {
    const shown = this.desk.move(this.turn, step);
    // The pressed button went away with its branch: its twin on the new one takes the focus.
    const foot = document.querySelector(`[data-turn="${shown.id}"] .turn-foot`);
    const twin = foot?.querySelector<HTMLButtonElement>(step < 0 ? ".branch-before" : ".branch-after");
    (twin?.disabled ? foot?.querySelector<HTMLButtonElement>(".branches button:enabled") : twin)?.focus();
  }

  edit(): void {
    if (this.root.classList.contains("editing")) return;
    this.root.classList.add("editing");
    const field = h("textarea", {
      "aria-label": t("editLabel"),
      rows: Math.min(12, this.turn.text.split("\n").length + 1),
    });
    field.value = this.turn.text;
    const leave = () => {
      this.root.classList.remove("editing");
      this.body.textContent = this.turn.text;
      this.foot.querySelector<HTMLButtonElement>(".edit")?.focus();
    };
    const keep = () => {
      const text = field.value.trim();
      if (!text || this.desk.writing.value) return;
      leave();
      void this.desk.edit(this.turn, text);
    };
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Escape") {
        event.stopPropagation();
        leave();
      } else if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        keep();
      }
    });
    fill(
      this.body,
      field,
      h(
        "div",
        { class: "ways" },
        h("button", { type: "button", class: "button", onClick: keep }, t("sendEdit")),
        h("button", { type: "button", class: "button quiet", onClick: leave }, t("cancel")),
      ),
    );
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }
}

export class Transcript {
  private views = new Map<string, TurnView>();

  constructor(
    private readonly place: HTMLElement,
    private readonly desk: Desk,
    private readonly callbacks: Callbacks,
  ) {
    place.addEventListener("click", (event) => {
      const button = (event.target as Element).closest<HTMLButtonElement>("[data-copy=code]");
      if (button) void this.copyCode(button);
    });
    let frame = 0;
    desk.grown.watch((turn) => {
      if (frame || !turn) return;
      // Many pieces may come between two frames: one drawing shows them all.
      frame = requestAnimationFrame(() => {
        frame = 0;
        if (this.desk.writing.value?.turn === turn) this.views.get(turn.id)?.grow();
      });
    });
  }

  private async copyCode(button: HTMLButtonElement): Promise<void> {
    const code = button.closest("figure")?.querySelector("pre")?.textContent ?? "";
    const label = button.querySelector("span");
    const done = await copyText(code.replace(/\n$/, ""));
    if (label) label.textContent = t(done ? "copied" : "copyFailed");
    setTimeout(() => label && (label.textContent = t("copy")), 1600);
  }

  draw(): void {
    const conversation = this.desk.open.value;
    const writing = this.desk.writing.value;
    const shown = thread(conversation);
    const views = new Map<string, TurnView>();
    let before: Element | null = this.place.firstElementChild;
    shown.forEach((turn, index) => {
      const known = this.views.get(turn.id);
      const view = known?.turn === turn ? known : new TurnView(turn, this.desk, this.callbacks);
      view.update(conversation, writing?.turn === turn, writing !== undefined, index === shown.length - 1);
      views.set(turn.id, view);
      if (view.root === before) before = before.nextElementSibling;
      else this.place.insertBefore(view.root, before);
    });
    for (const [id, view] of this.views) if (views.get(id) !== view) view.root.remove();
    this.views = views;
  }

  /** Draws everything anew, in another language. */
  redraw(): void {
    this.views.clear();
    this.place.replaceChildren();
    this.draw();
  }

  /** Opens the last message of the person for editing. */
  editLast(): boolean {
    const last = [...this.views.values()].reverse().find(({ turn }) => turn.role === "user");
    if (!last || this.desk.writing.value) return false;
    last.edit();
    return true;
  }
}

/** Raises the limit someone ran into; the drawer shows it. */
export function raiseMaxTokens(): void {
  changeSettings({ maxTokens: Math.min(32768, settings.value.maxTokens * 2) });
}
