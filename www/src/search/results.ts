/** What was found, as cards that one reads from top to bottom, and the way to the chat page. */
import { announce } from "../shared-ui/announce.js";
import { append, fill, h } from "../shared-ui/dom.js";
import { handOver } from "../shared-ui/handover.js";
import { t } from "../shared-ui/i18n.js";
import * as numbers from "../shared-ui/numbers.js";
import { troubleCard } from "../shared-ui/trouble.js";
import type { Place } from "./blocks.js";
import { markTerms, termsOf } from "./mark.js";
import type { Finding, Found, Seeker } from "./seek.js";

/** So many are ticked to be taken along: small models read no more at once. */
const TICKED = 4;

type Shown = Extract<Finding, { step: "found" }>;

export class Results {
  private ticked = new Set<number>();
  private shownFor: Finding | undefined;

  constructor(
    private readonly root: HTMLElement,
    private readonly seeker: Seeker,
  ) {}

  /** Everything anew, in another language. */
  redraw(): void {
    const { ticked } = this;
    this.shownFor = undefined;
    this.draw();
    for (const box of this.root.querySelectorAll<HTMLInputElement>("input[type=checkbox]")) {
      box.checked = ticked.has(Number(box.dataset.at));
    }
    this.ticked = ticked;
  }

  draw(): void {
    const now = this.seeker.state.value;
    if (now === this.shownFor) return;
    this.shownFor = now;
    this.root.hidden = now.step === "none";
    this.root.ariaBusy = String(this.seeker.busy);
    if (now.step === "none") return fill(this.root);
    if (now.step === "found") return this.drawFound(now);
    fill(this.root, head(now.question));
    if (now.step === "trouble") {
      const again = { label: t("tryAgain"), go: () => void this.seeker.ask(now.question) };
      this.root.append(troubleCard(now.trouble, [again]));
    } else {
      this.root.append(h("p", { class: "hint" }, t(now.step === "waiting" ? "searchWaits" : "searching")));
    }
  }

  private drawFound(now: Shown): void {
    const { question, found, reranked } = now;
    this.ticked = new Set(found.map((_, i) => i).slice(0, TICKED));
    const terms = termsOf(question);
    const files = new Set(found.map(({ note }) => note.id)).size;
    fill(this.root, head(question));
    append(this.root, [
      h(
        "p",
        { class: "hint", id: "found-count" },
        countWords(found.length, files),
        reranked && ` ${t("foundReranked")}`,
      ),
      found.length > 0 && h("ol", { class: "passages" }, ...found.map((one, i) => this.card(one, i, terms, reranked))),
      found.length > 0 &&
        h(
          "div",
          { class: "ways" },
          h(
            "button",
            { type: "button", class: "button", id: "ask-chat", onClick: () => this.askChat(now) },
            t("askChat"),
          ),
          h("span", { class: "hint" }, t("askChatHint")),
        ),
    ]);
  }

  private card({ note, passage, score }: Found, i: number, terms: string[], reranked: boolean): HTMLLIElement {
    const place = placeWords(passage.place);
    const tick = h("input", {
      type: "checkbox",
      checked: this.ticked.has(i),
      "data-at": i,
      "aria-label": t("takeAlong", { n: i + 1 }),
      title: t("takeAlong", { n: i + 1 }),
      onChange: () => (tick.checked ? this.ticked.add(i) : this.ticked.delete(i)),
    });
    const text = h("p", { class: "passage-text" });
    append(
      text,
      markTerms(passage.text, terms).map((run) => (run.marked ? h("mark", {}, run.text) : run.text)),
    );
    return h(
      "li",
      { class: "passage" },
      h(
        "div",
        { class: "passage-head" },
        h("div", { class: "passage-file" }, tick, h("h3", {}, note.name)),
        place && h("span", { class: "passage-place" }, place),
        h(
          "span",
          { class: "passage-score", title: t(reranked ? "scoreReranked" : "scoreCosine") },
          h("span", { class: "aside" }, `${t(reranked ? "scoreReranked" : "scoreCosine")} `),
          numbers.count(score, 2),
        ),
      ),
      text,
    );
  }

  private askChat({ question, found }: Shown): void {
    const taken = found.filter((_, i) => this.ticked.has(i));
    if (taken.length === 0) return announce(t("nothingTicked"));
    if (handOver(promptFor(question, taken))) location.assign("chat.html");
    else announce(t("handOverFailed"));
  }
}

/** The question with the passages it is to be answered from, quoted as Markdown does. */
export function promptFor(question: string, found: Found[]): string {
  const quoted = found.map(({ note, passage }, i) => {
    const place = placeWords(passage.place);
    const lines = passage.text.split("\n").map((line) => `> ${line}`.trimEnd());
    return [`[${i + 1}] ${note.name}${place ? `, ${place}` : ""}`, ...lines].join("\n");
  });
  return [t("handOverIntro"), ...quoted, t("handOverQuestion", { question })].join("\n\n");
}

function head(question: string): HTMLElement {
  return h("h2", { class: "asked", id: "asked" }, question);
}

function countWords(passages: number, files: number): string {
  if (passages === 0) return t("foundNothing");
  if (passages === 1) return t("foundOne");
  return t(files === 1 ? "foundInOne" : "foundIn", { n: numbers.count(passages), files: numbers.count(files) });
}

/** Where a passage stands, as far as its file tells. */
export function placeWords({ page, lastPage, heading, line }: Place): string {
  if (heading) return heading;
  if (lastPage !== undefined) return t("placePages", { n: page ?? "", last: lastPage });
  if (page !== undefined) return t("placePage", { n: page });
  return line === undefined ? "" : t("placeLine", { n: numbers.count(line) });
}
