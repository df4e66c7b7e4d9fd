/**
 * The notes: reading files, making vectors of their passages, keeping both in this browser.
 * Views watch the signals and call the methods; nothing here touches the DOM.
 */
import { newId } from "../shared-ui/ids.js";
import { Signal } from "../shared-ui/signal.js";
import { RecordStore } from "../shared-ui/storage.js";
import { troubleOf, type Trouble } from "../shared-ui/trouble.js";
import type { Block } from "./blocks.js";
import { passagesOf, type Passage } from "./chunk.js";
import { flat, type Vectors } from "./rank.js";
import { readBlocks } from "./read.js";
import type { Reader } from "./sessions.js";

export interface Note {
  id: string;
  /** The file's, with the folders that it came in. */
  name: string;
  size: number;
  time: number;
  blocks: Block[];
  /** What a model has made of it; nothing yet, or what another model than the open one made. */
  read?: Vectors & { model: string; name: string; passages: Passage[] };
}

export interface Work {
  doing: "reading" | "embedding";
  name: string;
  done: number;
  total: number;
}

/** What became of files that were dropped. */
export interface Arrival {
  added: Note[];
  /** Names of those that are here already, word for word. */
  same: string[];
  failed: { name: string; why: "empty" | "locked" | "broken" }[];
}

/** So many passages go to the GPU at once: a question waits for no more than these. */
const SLICE = 16;

export class Shelf {
  readonly notes: Signal<Note[]>;
  /** What is done now; undefined when nothing is. */
  readonly work = new Signal<Work | undefined>(undefined);
  /** Why vectors could not be made. */
  readonly trouble = new Signal<Trouble | undefined>(undefined);
  /** Why the last attempt to keep a note failed. */
  readonly notKept = new Signal("");
  private turn: Promise<unknown> = Promise.resolve();
  /** How many jobs are under way or wait. */
  private jobs = 0;
  private controller: AbortController | undefined;
  private reader: Reader | undefined;
  private readonly tabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("inkstone-notes") : undefined;

  private constructor(
    private readonly store: RecordStore<Note>,
    all: Note[],
  ) {
    this.notes = new Signal(sorted(all));
    this.tabs?.addEventListener("message", () => void this.store.all().then((now) => this.notes.set(sorted(now))));
  }

  static async start(): Promise<Shelf> {
    const store = await RecordStore.open<Note>("notes");
    return new Shelf(store, await store.all());
  }

  /** False where the browser keeps nothing (some private windows): the page says so once. */
  get lasting(): boolean {
    return this.store.lasting;
  }

  get busy(): boolean {
    return this.jobs > 0;
  }

  /** Notes that no model has read yet. */
  get unread(): Note[] {
    return this.notes.value.filter(({ read }) => !read);
  }

  /** Notes that the open model can't search, since another one has read them. */
  get foreign(): Note[] {
    const { reader } = this;
    return reader ? this.notes.value.filter(({ read }) => read && read.model !== reader.key) : [];
  }

  /** Notes that can be searched now. */
  get searchable(): Note[] {
    const { reader } = this;
    return reader ? this.notes.value.filter(({ read }) => read?.model === reader.key) : [];
  }

  /** The model that reads from here on. What none has read before it reads at once. */
  use(reader: Reader | undefined): void {
    if (this.reader?.model === reader?.model) return;
    this.reader = reader;
    if (reader) void this.embed(() => this.unread);
  }

  /** Reads files, by their paths, and keeps their text; one of the same path takes the place of an earlier one. */
  async add(files: Map<string, File>): Promise<Arrival> {
    const arrival: Arrival = { added: [], same: [], failed: [] };
    await this.run(async (signal) => {
      for (const [name, file] of files) {
        this.work.set({ doing: "reading", name, done: 0, total: 0 });
        await this.addOne(name, file, arrival, signal);
      }
    });
    if (this.reader) void this.embed(() => this.unread);
    return arrival;
  }

  private async addOne(name: string, file: File, arrival: Arrival, signal: AbortSignal): Promise<void> {
    const heard = (done: number, total: number) => this.work.set({ doing: "reading", name, done, total });
    let blocks: Block[];
    try {
      blocks = await readBlocks(file, heard, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const locked = (error as { name?: unknown }).name === "PasswordException";
      arrival.failed.push({ name, why: locked ? "locked" : "broken" });
      return;
    }
    if (blocks.length === 0) return void arrival.failed.push({ name, why: "empty" });
    const before = this.notes.value.find((note) => note.name === name);
    if (before && JSON.stringify(before.blocks) === JSON.stringify(blocks)) return void arrival.same.push(name);
    const note: Note = { id: before?.id ?? newId(), name, size: file.size, time: Date.now(), blocks };
    await this.put(note);
    arrival.added.push(note);
  }

  /** Has the open model read these notes, as they are when their turn comes. Resolves when it has, or was stopped. */
  async embed(which: () => Note[]): Promise<void> {
    await this.run(async (signal) => {
      const { reader } = this;
      // The list shows the latest first; they are read in the order in which they came.
      const notes = reader ? [...which()].reverse() : [];
      if (!reader || notes.length === 0) return;
      this.trouble.set(undefined);
      const all: [Note, Passage[]][] = [];
      for (const [done, note] of notes.entries()) {
        this.work.set({ doing: "reading", name: note.name, done, total: notes.length });
        all.push([note, await cut(note, reader, signal)]);
      }
      const total = all.reduce((sum, [, passages]) => sum + passages.length, 0);
      let before = 0;
      for (const [note, passages] of all) {
        const heard = (done: number) =>
          this.work.set({ doing: "embedding", name: note.name, done: before + done, total });
        heard(0);
        const vectors = await vectorsOf(passages, reader, heard, signal);
        before += passages.length;
        // Deleted in the meantime: it must not come back.
        if (!this.notes.value.some(({ id }) => id === note.id)) continue;
        await this.put({ ...note, read: { ...vectors, model: reader.key, name: reader.name, passages } });
      }
    });
  }

  /** Ends what is being done. What is finished stays. */
  stop(): boolean {
    this.controller?.abort();
    return this.controller !== undefined;
  }

  /** Removes notes; the returned function puts them back. */
  async remove(notes: Note[]): Promise<() => Promise<void>> {
    const gone = new Set(notes.map(({ id }) => id));
    await this.store.delete(...gone);
    this.notes.set(this.notes.value.filter(({ id }) => !gone.has(id)));
    this.tabs?.postMessage("removed");
    return async () => {
      for (const note of notes) await this.put(note);
    };
  }

  /** One after the other; an error is told by `trouble`, being stopped by nothing. */
  private run(job: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.jobs += 1;
    const turn = this.turn.then(async () => {
      const { signal } = (this.controller = new AbortController());
      try {
        await job(signal);
      } catch (error) {
        const trouble = troubleOf(error);
        if (!signal.aborted && trouble.code !== "Cancelled") this.trouble.set(trouble);
      } finally {
        this.controller = undefined;
        this.jobs -= 1;
        this.work.set(undefined);
      }
    });
    this.turn = turn;
    return turn;
  }

  /** A full disk must not take the note on the screen with it. */
  private async put(note: Note): Promise<void> {
    this.notes.set(sorted([...this.notes.value.filter(({ id }) => id !== note.id), note]));
    try {
      await this.store.put(note);
      this.tabs?.postMessage(note.id);
    } catch (error) {
      this.notKept.set(troubleOf(error).message);
    }
  }
}

function sorted(all: Note[]): Note[] {
  return all.sort((a, b) => b.time - a.time || (a.name < b.name ? -1 : 1));
}

function cut(note: Note, { model }: Reader, signal: AbortSignal): Promise<Passage[]> {
  const count = async (text: string) => (await model.tokenize(text)).length;
  return passagesOf(note.blocks, model.info.maxTokens, count, signal);
}

async function vectorsOf(
  passages: Passage[],
  { model }: Reader,
  heard: (done: number) => void,
  signal: AbortSignal,
): Promise<Vectors> {
  const vectors: Float32Array[] = [];
  const prompt = promptFor(model.info.prompts, ["document", "passage"]);
  for (let at = 0; at < passages.length; at += SLICE) {
    const texts = passages.slice(at, at + SLICE).map(({ text }) => text);
    const onProgress = (done: number) => heard(at + done);
    vectors.push(...(await model.embed(texts, { signal, onProgress, ...prompt })));
  }
  return flat(vectors);
}

/** The model's own words before a text of this kind, where it has some. */
export function promptFor(prompts: string[], names: string[]): { prompt?: string } {
  const prompt = names.find((name) => prompts.includes(name));
  return prompt === undefined ? {} : { prompt };
}
