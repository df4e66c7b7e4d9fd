/** Files that people drop, as blocks of text. */
import { decodeText, plainBlocks, type Block } from "./blocks.js";
import { htmlBlocks } from "./html.js";
import { markdownBlocks } from "./markdown.js";
import { pdfBlocks } from "./pdf-text.js";
import { pdfPages } from "./pdf.js";

/** Hears how many pages of a long file are read. */
export type Pages = (done: number, total: number) => void;

const PDF = /\.pdf$/i;
const HTML = /\.(?:x?html?|xht)$/i;
const MARKDOWN = /\.(?:md|markdown|mdown|mkd|mdx|qmd|rmd)$/i;
const TEXT = /\.(?:txt|text|log|csv|tsv|json|jsonl|org|rst|tex|adoc|asciidoc|srt|vtt|ya?ml|toml|ini)$/i;

/** What the field for files accepts. */
export const ACCEPT = ".txt,.md,.markdown,.html,.htm,.pdf,.csv,.org,.rst,.tex,.log,text/*,application/pdf";

export function isNote({ name, type }: File): boolean {
  return [PDF, HTML, MARKDOWN, TEXT].some((kind) => kind.test(name)) || /^text\/|^application\/pdf$/.test(type);
}

export async function readBlocks(file: File, pages: Pages, signal: AbortSignal): Promise<Block[]> {
  const { name, type } = file;
  if (PDF.test(name) || type === "application/pdf") return pdfBlocks(await pdfPages(file, pages, signal));
  const text = decodeText(new Uint8Array(await file.arrayBuffer()));
  if (HTML.test(name) || type === "text/html") {
    // Parsed and never shown: no script of it runs, no picture of it is fetched.
    return htmlBlocks(new DOMParser().parseFromString(text, "text/html").documentElement);
  }
  return MARKDOWN.test(name) || type === "text/markdown" ? markdownBlocks(text) : plainBlocks(text);
}
