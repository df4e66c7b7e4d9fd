/** Blocks become passages: as many whole sentences as a model reads, each beginning with the last one's end. */
import type { Block, Place } from "./blocks.js";

/** A sentence, or as much of one as fits. */
export interface Piece {
  text: string;
  tokens: number;
  place: Place;
  heading: boolean;
  /** Whether a block begins here. */
  first: boolean;
}

export interface Passage {
  text: string;
  place: Place;
}

/** Longer passages say too many things at once to be found by one of them. */
export const MOST_TOKENS = 256;
/** The part of a passage that the next one repeats at most. */
const OVERLAP = 1 / 6;

const segmenter = new Intl.Segmenter(undefined, { granularity: "sentence" });
const words = new Intl.Segmenter(undefined, { granularity: "word" });

/** Cuts blocks into passages of at most `most` tokens, which `count` counts as the model would. */
export async function passagesOf(
  blocks: Block[],
  most: number,
  count: (text: string) => Promise<number>,
  signal?: AbortSignal,
): Promise<Passage[]> {
  // What stands around every text, such as [CLS], is there once in a passage, not with each sentence.
  const around = await count("");
  const limit = Math.max(8, Math.min(most, MOST_TOKENS) - around);
  const pieces: Piece[] = [];
  for (const block of blocks) {
    signal?.throwIfAborted();
    pieces.push(...(await piecesOf(block, limit, async (text) => (await count(text)) - around)));
  }
  return pack(pieces, limit, Math.floor(limit * OVERLAP));
}

async function piecesOf(block: Block, limit: number, count: (text: string) => Promise<number>): Promise<Piece[]> {
  const sentences = Array.from(segmenter.segment(block.text), ({ segment }) => segment);
  const parts = (await Promise.all(sentences.map((text) => fitting(text, limit, count)))).flat();
  const heading = block.heading ?? false;
  return parts.map(({ text, tokens }, i) => ({ text, tokens, place: block.place, heading, first: i === 0 }));
}

/** A text in parts that fit, cut between words as near the middle as can be. */
async function fitting(
  text: string,
  limit: number,
  count: (text: string) => Promise<number>,
): Promise<{ text: string; tokens: number }[]> {
  const tokens = await count(text);
  const cut = tokens > limit ? middle(text) : 0;
  if (cut === 0) return [{ text, tokens: Math.min(tokens, limit) }];
  const halves = [text.slice(0, cut), text.slice(cut)];
  return (await Promise.all(halves.map((half) => fitting(half, limit, count)))).flat();
}

/** Where a word begins, near the middle; 0 for what can't be cut. */
function middle(text: string): number {
  const half = text.length / 2;
  const near = Math.floor(half);
  // The words around the middle are enough: segmenting a book of one sentence again and again would take for ever.
  const from = Math.max(0, near - 200);
  const starts = Array.from(words.segment(text.slice(from, near + 200)), ({ index }) => from + index);
  const inside = starts.filter((at) => at > from || (from === 0 && at > 0));
  const best = inside.reduce((best, at) => (Math.abs(at - half) < Math.abs(best - half) ? at : best), inside[0] ?? 0);
  if (best > 0) return best;
  // One word without end: between two characters, not inside one.
  return text.length < 2 ? 0 : near + (/[\udc00-\udfff]/.test(text[near]!) ? 1 : 0);
}

/** Puts pieces together; none of another section, which a heading begins, go into one passage. */
export function pack(pieces: Piece[], limit: number, overlap: number): Passage[] {
  const passages: Passage[] = [];
  let open: Piece[] = [];
  /** How many of them the passage before has as well. */
  let repeated = 0;
  const size = () => open.reduce((sum, { tokens }) => sum + tokens, 0);
  for (const piece of pieces) {
    const section = piece.heading && open.some(({ heading }) => !heading);
    if (section || (open.length > repeated && size() + piece.tokens > limit)) {
      passages.push(passage(open));
      open = section ? [] : tail(open, Math.min(overlap, limit - piece.tokens));
      repeated = open.length;
    }
    open.push(piece);
  }
  if (open.length > repeated) passages.push(passage(open));
  return passages.filter(({ text }) => text !== "");
}

/** The last sentences, not all of them, that have no more than `most` tokens. */
function tail(pieces: Piece[], most: number): Piece[] {
  let from = pieces.length;
  for (let left = most; from > 1 && pieces[from - 1]!.tokens <= left; from--) left -= pieces[from - 1]!.tokens;
  return pieces.slice(from);
}

function passage(pieces: Piece[]): Passage {
  const text = pieces.map(({ text, first }, i) => (first && i > 0 ? `\n${text}` : text)).join("");
  const at = pieces.find(({ heading }) => !heading) ?? pieces[0]!;
  const { page: lastPage } = pieces[pieces.length - 1]!.place;
  const place = lastPage === undefined || lastPage === at.place.page ? at.place : { ...at.place, lastPage };
  return { text: text.replace(/[ \t]+\n/g, "\n").trim(), place };
}
