/** Markdown as blocks: its words without its signs, each below its headings. */
import { Marked, type Token, type Tokens } from "marked";
import type { Block } from "./blocks.js";
import { Headings } from "./headings.js";

const marked = new Marked({ gfm: true });
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", apos: "'", "#39": "'" };

export function markdownBlocks(text: string): Block[] {
  // What programs that publish pages note for themselves, above the text.
  const [front = ""] = /^---\r?\n[^]*?\r?\n---[ \t]*(?:\r?\n|$)/.exec(text) ?? [];
  const blocks: Block[] = [];
  const headings = new Headings();
  let line = 1 + newlines(front);
  for (const token of marked.lexer(text.slice(front.length))) {
    if (token.type === "heading") {
      const { depth } = token as Tokens.Heading;
      const words = inline(token);
      headings.enter(depth, words);
      if (words) blocks.push({ text: words, place: { ...headings.place, line }, heading: true });
    } else {
      for (const words of wordsOf(token)) blocks.push({ text: words, place: { ...headings.place, line } });
    }
    line += newlines(token.raw);
  }
  return blocks;
}

const newlines = (text: string) => text.split("\n").length - 1;

/** The words of a token that stands by itself, in one piece or several. */
function wordsOf(token: Token): string[] {
  switch (token.type) {
    case "space":
    case "hr":
    case "def":
      return [];
    case "code":
      return kept((token as Tokens.Code).text);
    case "html":
      return kept(plain((token as Tokens.HTML).text.replace(/<!--[^]*?-->|<[^>]*>/g, " ")));
    case "blockquote":
      return (token as Tokens.Blockquote).tokens.flatMap(wordsOf);
    case "list":
      return kept((token as Tokens.List).items.map((item) => `- ${itemWords(item)}`).join("\n"));
    case "table": {
      const { header, rows } = token as Tokens.Table;
      return kept([header, ...rows].map((row) => row.map((cell) => inline(cell)).join(" | ")).join("\n"));
    }
    default:
      return kept(inline(token));
  }
}

function itemWords({ tokens }: Tokens.ListItem): string {
  return tokens.flatMap((token) => (token.type === "text" ? kept(inline(token)) : wordsOf(token))).join("\n");
}

const kept = (text: string) => (text.trim() === "" ? [] : [text.trim()]);

/** The words inside a paragraph or a part of one. */
function inline(token: Token | Tokens.TableCell): string {
  if ("type" in token) {
    if (token.type === "br") return "\n";
    if (token.type === "html") return "";
    if (token.type === "image") return (token as Tokens.Image).text;
    if (token.type === "codespan") return (token as Tokens.Codespan).text;
  }
  const inner = "tokens" in token ? token.tokens : undefined;
  if (inner) return inner.map(inline).join("");
  return plain("text" in token ? String(token.text) : "").replace(/[ \t]*\n[ \t]*/g, " ");
}

function plain(text: string): string {
  return text.replace(/&(#?\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}
