/**
 * What is on the desk: the conversations, the one that is open, and the answer being written.
 * Views watch the signals and call the methods; nothing here touches the DOM.
 */
import type { GenerationResult } from "inkstone";
import { Signal } from "../shared-ui/signal.js";
import { RecordStore, readSetting, writeSetting } from "../shared-ui/storage.js";
import { troubleOf } from "../shared-ui/trouble.js";
import {
  addTurn,
  messagesFor,
  newConversation,
  switchBranch,
  thread,
  type Conversation,
  type Stats,
  type Turn,
} from "./conversation.js";
import { defaultSystem, settings, type Settings } from "./settings.js";
import { modelName, session, type State } from "./session.js";

type Ready = Extract<State, { step: "ready" }>;

/** An answer while it is being written. */
export interface Writing {
  conversation: Conversation;
  turn: Turn;
  /** Pieces so far: with this library about one per token. */
  pieces: number;
  started: number;
  /** When the first piece came; 0 before. */
  first: number;
  stop: () => void;
}

export class Desk {
  readonly open: Signal<Conversation>;
  readonly list = new Signal<Conversation[]>([]);
  readonly writing = new Signal<Writing | undefined>(undefined);
  /** Fires with the turn whenever text was added to it. */
  readonly grown = new Signal<Turn | undefined>(undefined);
  /** Why the last attempt to keep a conversation failed. */
  readonly notKept = new Signal("");
  /** A message that waits for its model to be opened. */
  private waiting: { conversation: Conversation; turn: Turn } | undefined;
  private readonly tabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("inkstone-conversations") : undefined;
  private saveTimer: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    private readonly store: RecordStore<Conversation>,
    first: Conversation,
  ) {
    this.open = new Signal(first);
    this.tabs?.addEventListener("message", () => void this.reload());
  }

  static async start(): Promise<Desk> {
    const store = await RecordStore.open<Conversation>("conversations");
    const all = await store.all();
    const last = all.find(({ id }) => id === readSetting("open", ""));
    const desk = new Desk(store, last ?? newConversation(defaultSystem()));
    desk.list.set(sorted(all));
    return desk;
  }

  /** False where the browser keeps nothing (some private windows): the page says so once. */
  get lasting(): boolean {
    return this.store.lasting;
  }

  private async reload(): Promise<void> {
    const all = await this.store.all();
    const busy = this.writing.value?.conversation;
    // Objects someone is looking at or writing into stay the same objects.
    this.list.set(
      sorted(
        all.map((other) => (other.id === busy?.id ? busy : other.id === this.open.value.id ? this.open.value : other)),
      ),
    );
  }

  /** Keeps a conversation; one without a message isn't worth keeping. */
  async save(conversation: Conversation): Promise<void> {
    if (conversation.turns.length === 0) return;
    await this.put(conversation);
    const others = this.list.value.filter(({ id }) => id !== conversation.id);
    this.list.set(sorted([...others, conversation]));
    this.tabs?.postMessage(conversation.id);
  }

  /** While an answer grows, what is there is kept about once a second: a crash loses no more than that. */
  private saveSoon(conversation: Conversation): void {
    this.saveTimer ??= setTimeout(() => {
      this.saveTimer = undefined;
      void this.put(conversation);
    }, 1000);
  }

  /** A full disk must not take the conversation on the screen with it. */
  private async put(conversation: Conversation): Promise<void> {
    try {
      await this.store.put(conversation);
    } catch (error) {
      this.notKept.set(troubleOf(error).message);
    }
  }

  show(conversation: Conversation): void {
    writeSetting("open", conversation.turns.length > 0 ? conversation.id : undefined);
    this.open.set(conversation);
  }

  begin(): void {
    this.show(newConversation(defaultSystem()));
  }

  async rename(conversation: Conversation, title: string): Promise<void> {
    if (!title.trim()) return;
    conversation.title = title.trim();
    conversation.untitled = false;
    await this.save(conversation);
    if (this.open.value.id === conversation.id) this.open.set(this.open.value);
  }

  /** Removes a conversation; the returned function puts it back. */
  async remove(conversation: Conversation): Promise<() => Promise<void>> {
    if (this.writing.value?.conversation.id === conversation.id) this.stop();
    await this.store.delete(conversation.id);
    this.list.set(this.list.value.filter(({ id }) => id !== conversation.id));
    this.tabs?.postMessage(conversation.id);
    const wasOpen = this.open.value.id === conversation.id;
    if (wasOpen) this.begin();
    return async () => {
      await this.save(conversation);
      if (wasOpen) this.show(conversation);
    };
  }

  async bring(conversation: Conversation): Promise<void> {
    await this.save(conversation);
    this.show(conversation);
  }

  setSystem(text: string): void {
    const conversation = this.open.value;
    conversation.system = text;
    void this.save(conversation);
  }

  /** Adds a message and has it answered, now or as soon as a model is open. */
  async send(text: string): Promise<void> {
    const conversation = this.open.value;
    const shown = thread(conversation);
    await this.ask(conversation, addTurn(conversation, shown[shown.length - 1]?.id ?? null, "user", text));
  }

  /** Puts another wording beside `turn` and has that answered; the first one stays on its own branch. */
  async edit(turn: Turn, text: string): Promise<void> {
    const conversation = this.open.value;
    await this.ask(conversation, addTurn(conversation, turn.parent, "user", text));
  }

  /** Writes another answer beside `answer`. */
  async again(answer: Turn): Promise<void> {
    const conversation = this.open.value;
    const question = conversation.turns.find(({ id }) => id === answer.parent);
    if (question) await this.ask(conversation, question);
  }

  move(turn: Turn, step: number): Turn {
    const shown = switchBranch(this.open.value, turn, step);
    void this.save(this.open.value);
    this.open.set(this.open.value);
    return shown;
  }

  stop(): void {
    this.waitNoMore();
    this.writing.value?.stop();
  }

  /** The message that waits for the model that is being opened. */
  get waitingTurn(): Turn | undefined {
    return this.waiting?.turn;
  }

  async ask(conversation: Conversation, question: Turn, overflow?: "truncate-oldest"): Promise<void> {
    if (this.writing.value) return;
    await this.save(conversation);
    // A second click may have come while the first was being kept.
    if (this.writing.value) return;
    this.show(conversation);
    const now = session.state.value;
    if (now.step === "ready") return this.write(conversation, question, now, overflow);
    this.waiting = { conversation, turn: question };
    this.open.set(this.open.value);
    if (now.step === "chosen" || (now.step === "trouble" && now.loading)) await session.open(now.choice);
  }

  /** The model a message waited for isn't coming: the message stays, unanswered. */
  waitNoMore(): void {
    if (!this.waiting) return;
    this.waiting = undefined;
    this.open.set(this.open.value);
  }

  /** Answers the message that waited, once a model is open. */
  async resume(): Promise<void> {
    const { waiting } = this;
    const now = session.state.value;
    if (!waiting || now.step !== "ready" || this.writing.value) return;
    this.waiting = undefined;
    await this.write(waiting.conversation, waiting.turn, now);
  }

  private async write(
    conversation: Conversation,
    question: Turn,
    { choice, model }: Ready,
    overflow?: "truncate-oldest",
  ): Promise<void> {
    const messages = messagesFor(conversation, question);
    const turn = addTurn(conversation, question.id, "assistant", "");
    turn.model = modelName(choice, model);
    const generation = model.generate(messages, {
      ...samplingOptions(settings.value),
      onOverflow: overflow ?? "error",
      onReasoning: (thought) => {
        turn.reasoning = (turn.reasoning ?? "") + thought;
        this.grown.set(turn);
      },
    });
    const writing: Writing = {
      conversation,
      turn,
      pieces: 0,
      started: performance.now(),
      first: 0,
      stop: () => generation.abort(),
    };
    this.writing.set(writing);
    this.open.set(this.open.value);
    try {
      for await (const piece of generation) {
        turn.text += piece;
        writing.pieces += 1;
        if (writing.first === 0) writing.first = performance.now();
        this.saveSoon(conversation);
        this.grown.set(turn);
      }
      const result: GenerationResult = await generation;
      // The whole text once more: stop strings and half characters are settled only at the end.
      turn.text = result.text;
      turn.reasoning = result.reasoning || undefined;
      turn.finish = result.finishReason;
      turn.stats = statsOf(result);
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble.code === "Cancelled") turn.finish = "abort";
      else turn.trouble = trouble;
      if (trouble.code === "Gpu") await session.broken(trouble);
    } finally {
      clearTimeout(this.saveTimer);
      this.saveTimer = undefined;
      conversation.updated = Date.now();
      this.writing.set(undefined);
      // Deleted in the meantime: it must not come back.
      if (this.list.value.some(({ id }) => id === conversation.id)) await this.save(conversation);
      this.open.set(this.open.value);
    }
  }
}

function sorted(all: Conversation[]): Conversation[] {
  return all.sort((a, b) => b.updated - a.updated);
}

function samplingOptions(from: Settings) {
  return {
    temperature: from.temperature,
    topP: from.topP,
    topK: from.topK,
    minP: from.minP,
    repetitionPenalty: from.repetitionPenalty,
    maxTokens: from.maxTokens,
    seed: from.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
    reasoning: from.reasoning,
  };
}

function statsOf({ usage, timings }: GenerationResult): Stats {
  return { ...usage, tokensPerSecond: timings.tokensPerSecond, firstTokenMs: timings.firstTokenMs };
}
