/** A question and what was found: the state of the page's middle. */
import { Signal } from "../shared-ui/signal.js";
import { readSetting, writeSetting } from "../shared-ui/storage.js";
import { troubleOf, type Trouble } from "../shared-ui/trouble.js";
import type { Passage } from "./chunk.js";
import { best, cosines } from "./rank.js";
import { embedder, reader, reranker, type Reader } from "./sessions.js";
import { promptFor, type Note, type Shelf } from "./shelf.js";

export interface Found {
  note: Note;
  passage: Passage;
  /** Its place among the note's passages. */
  at: number;
  score: number;
}

export type Finding =
  | { step: "none" }
  | { step: "waiting" | "seeking"; question: string }
  | { step: "found"; question: string; found: Found[]; reranked: boolean }
  | { step: "trouble"; question: string; trouble: Trouble };

/** How many passages a reranker is shown for each that is asked for. */
const CANDIDATES = 4;
export const SHOWN = { min: 1, max: 50, step: 1, slider: true };

export class Seeker {
  readonly state = new Signal<Finding>({ step: "none" });
  private controller: AbortController | undefined;
  /** The question of the last visit, until it was asked again. */
  private last = readSetting("search.question", "");

  constructor(private readonly shelf: Shelf) {}

  /** How many passages are shown. */
  get shown(): number {
    return readSetting("search.shown", 6);
  }

  set shown(count: number) {
    writeSetting("search.shown", count);
  }

  get busy(): boolean {
    const { step } = this.state.value;
    return step === "seeking" || step === "waiting";
  }

  /** Looks for passages that answer a question, now or as soon as a model is open. */
  async ask(question: string): Promise<void> {
    this.controller?.abort();
    const { signal } = (this.controller = new AbortController());
    writeSetting("search.question", question);
    const open = reader();
    this.state.set({ step: open ? "seeking" : "waiting", question });
    if (!open) return;
    try {
      const { found, reranked } = await this.seek(question, open, signal);
      if (!signal.aborted) this.state.set({ step: "found", question, found, reranked });
    } catch (error) {
      if (signal.aborted) return;
      const trouble = troubleOf(error);
      if (trouble.code === "Cancelled") this.state.set({ step: "none" });
      else this.state.set({ step: "trouble", question, trouble });
      if (trouble.code === "Gpu") await embedder.broken(trouble);
    }
  }

  /** Asks the question that waited for its model; at first also that of the last visit, if the field still has it. */
  resume(field: string): void {
    const now = this.state.value;
    const { last } = this;
    this.last = "";
    if (now.step === "waiting") void this.ask(now.question);
    else if (now.step === "none" && last !== "" && last === field && this.shelf.searchable.length > 0)
      void this.ask(last);
  }

  stop(): void {
    if (!this.busy) return;
    this.controller?.abort();
    this.state.set({ step: "none" });
  }

  /** Forgets the question and what was found. */
  clear(): void {
    this.controller?.abort();
    writeSetting("search.question", undefined);
    this.state.set({ step: "none" });
  }

  /** Takes what is no longer there out of what was found. */
  tidy(): void {
    const now = this.state.value;
    if (now.step !== "found") return;
    const here = new Set(this.shelf.notes.value.map(({ id }) => id));
    const found = now.found.filter(({ note }) => here.has(note.id));
    if (found.length < now.found.length) this.state.set({ ...now, found });
  }

  private async seek(question: string, { model }: Reader, signal: AbortSignal) {
    const prompt = promptFor(model.info.prompts, ["query", "question"]);
    const [query] = await model.embed(question, { signal, ...prompt });
    const now = reranker.state.value;
    const judge = now.step === "ready" && now.model.info.reranks ? now.model : undefined;
    const nearest = best(scored(query!, this.shelf.searchable), this.shown * (judge ? CANDIDATES : 1));
    if (!judge || nearest.length === 0) return { found: nearest, reranked: false };
    const texts = nearest.map(({ passage }) => passage.text);
    const scores = await judge.rerank(question, texts, { signal });
    const judged = scores.map(({ index, score }) => ({ ...nearest[index]!, score }));
    return { found: best(judged, this.shown), reranked: true };
  }
}

function scored(query: Float32Array, notes: Note[]): Found[] {
  return notes.flatMap((note) => {
    const { read } = note;
    if (!read || read.dimensions !== query.length) return [];
    const scores = cosines(query, read);
    return read.passages.map((passage, at) => ({ note, passage, at, score: scores[at] ?? 0 }));
  });
}
