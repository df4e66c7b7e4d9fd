/**
 * A conversation is a tree: editing a message or asking again adds a sibling, nothing is overwritten.
 * `chosen` says which child is shown at every fork, so the visible thread is one walk from the root.
 * Plain records only, kept as they are in IndexedDB; no DOM here.
 */
import { newId } from "../shared-ui/ids.js";
import type { Trouble } from "../shared-ui/trouble.js";

export interface Stats {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  tokensPerSecond: number;
  firstTokenMs: number;
}

export interface Turn {
  id: string;
  /** The turn this one answers or follows; null at the root. */
  parent: string | null;
  role: "user" | "assistant";
  text: string;
  time: number;
  reasoning?: string;
  /** Which model wrote it. */
  model?: string;
  /** Why an answer ended; absent while it is being written, or when the page was closed in the middle. */
  finish?: "stop" | "length" | "abort" | "overflow" | "tool_calls";
  stats?: Stats;
  trouble?: Trouble;
}

export interface Conversation {
  id: string;
  title: string;
  /** False once a person has named it: then the first message no longer does. */
  untitled: boolean;
  created: number;
  updated: number;
  system: string;
  turns: Turn[];
  /** Shown child by parent id; the empty string stands for the root. */
  chosen: Record<string, string>;
}

export function newConversation(system: string): Conversation {
  const now = Date.now();
  return { id: newId(), title: "", untitled: true, created: now, updated: now, system, turns: [], chosen: {} };
}

const key = (parent: string | null) => parent ?? "";

export function siblings(conversation: Conversation, turn: Turn): Turn[] {
  return conversation.turns.filter((other) => other.parent === turn.parent);
}

/** The visible thread, first message first. */
export function thread(conversation: Conversation): Turn[] {
  const shown: Turn[] = [];
  let parent: string | null = null;
  for (;;) {
    const children = conversation.turns.filter((turn) => turn.parent === parent);
    if (children.length === 0) return shown;
    // Without a (valid) choice the newest branch is shown.
    const next: Turn =
      children.find((turn) => turn.id === conversation.chosen[key(parent)]) ?? children[children.length - 1]!;
    shown.push(next);
    parent = next.id;
  }
}

/** The turns from the root down to `turn`, whatever branch is shown. */
export function pathTo(conversation: Conversation, turn: Turn): Turn[] {
  const path: Turn[] = [];
  for (let at: Turn | undefined = turn; at;) {
    path.unshift(at);
    const parent: string | null = at.parent;
    at = parent === null ? undefined : conversation.turns.find((other) => other.id === parent);
  }
  return path;
}

/** Adds a turn below `parent` and shows it. */
export function addTurn(conversation: Conversation, parent: string | null, role: Turn["role"], text: string): Turn {
  const turn: Turn = { id: newId(), parent, role, text, time: Date.now() };
  conversation.turns.push(turn);
  conversation.chosen[key(parent)] = turn.id;
  conversation.updated = turn.time;
  if (conversation.untitled && conversation.turns.length === 1) conversation.title = titleFrom(text);
  return turn;
}

/** Shows the sibling `step` places away; stays where it is at either end. Returns the turn now shown. */
export function switchBranch(conversation: Conversation, turn: Turn, step: number): Turn {
  const all = siblings(conversation, turn);
  const next = all[all.indexOf(turn) + step] ?? turn;
  conversation.chosen[key(turn.parent)] = next.id;
  return next;
}

/** The first line of the first message, short enough for the rail. */
export function titleFrom(text: string): string {
  const line = text.trim().split(/\s*\n/)[0]!.replace(/\s+/g, " ");
  const letters = [...line];
  return letters.length <= 60 ? line : letters.slice(0, 57).join("").trimEnd() + "…";
}

/** What the model is asked: the system prompt, then the turns down to and including `last`. */
export function messagesFor(
  conversation: Conversation,
  last: Turn,
): { role: "system" | "user" | "assistant"; content: string }[] {
  const turns = pathTo(conversation, last).filter((turn) => turn.role === "user" || turn.text !== "");
  const system = conversation.system.trim();
  return [
    ...(system ? [{ role: "system" as const, content: system }] : []),
    ...turns.map((turn) => ({ role: turn.role, content: turn.text })),
  ];
}

/** The visible thread as Markdown, for reading elsewhere. */
export function toMarkdown(
  conversation: Conversation,
  names: { user: string; assistant: string; system: string },
): string {
  const parts = [`# ${conversation.title}`];
  if (conversation.system.trim()) parts.push(`**${names.system}**`, conversation.system.trim());
  for (const turn of thread(conversation)) {
    const who = turn.role === "user" ? names.user : turn.model ? `${names.assistant} (${turn.model})` : names.assistant;
    parts.push(`**${who}**`, turn.text.trim());
  }
  return parts.join("\n\n") + "\n";
}

/** Checks a record read from a file someone dropped: undefined where it is not one of our conversations. */
export function readExport(value: unknown): Conversation | undefined {
  const record = value as Partial<Conversation> | null;
  if (typeof record !== "object" || record === null || !Array.isArray(record.turns) || typeof record.title !== "string")
    return undefined;
  const ids = new Set<string>();
  for (const turn of record.turns as Partial<Turn>[]) {
    const rooted = turn?.parent === null || (typeof turn?.parent === "string" && ids.has(turn.parent));
    const whole =
      typeof turn?.id === "string" &&
      typeof turn.text === "string" &&
      (turn.role === "user" || turn.role === "assistant");
    // Parents come before children in every file we write, so a cycle can't pass either.
    if (!rooted || !whole || ids.has(turn.id!)) return undefined;
    ids.add(turn.id!);
  }
  const now = Date.now();
  return {
    id: newId(),
    title: record.title,
    untitled: false,
    created: typeof record.created === "number" ? record.created : now,
    updated: now,
    system: typeof record.system === "string" ? record.system : "",
    turns: structuredClone(record.turns) as Turn[],
    chosen: Object.fromEntries(
      Object.entries(record.chosen ?? {}).filter(([, id]) => typeof id === "string" && ids.has(id)),
    ),
  };
}
