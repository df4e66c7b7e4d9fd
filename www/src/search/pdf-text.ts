/** The text of PDF pages: pieces with places become lines, lines become paragraphs. */
import { glue, type Block } from "./blocks.js";

/** A run of letters as pdf.js tells it. `transform`: its last two numbers are where it stands. */
export interface PdfItem {
  str: string;
  height: number;
  transform: number[];
  /** Whether a line ends after it. */
  hasEOL: boolean;
}

interface Line {
  text: string;
  /** Of its baseline, upwards. */
  y: number;
  height: number;
}

/** Paragraphs are further apart than lines, by this factor. */
const APART = 1.35;

/** The blocks of all pages, the first page being 1. What every page repeats at its top or foot is left out. */
export function pdfBlocks(pages: PdfItem[][]): Block[] {
  const lines = withoutRunning(pages.map(linesOf));
  return lines.flatMap((page, i) => paragraphs(page).map((text) => ({ text, place: { page: i + 1 } })));
}

function linesOf(items: PdfItem[]): Line[] {
  const lines: Line[] = [];
  let line: Line | undefined;
  for (const { str, height, transform, hasEOL } of items) {
    const y = transform[5] ?? 0;
    line ??= { text: "", y, height: 0 };
    if (str.trim() !== "" && line.text.trim() === "") line.y = y;
    line.text += str;
    line.height = Math.max(line.height, height);
    if (!hasEOL) continue;
    lines.push(line);
    line = undefined;
  }
  if (line) lines.push(line);
  return lines
    .map((one) => ({
      ...one,
      text: one.text
        .replace(/[\u00ad\0]/g, "")
        .replace(/\s+/g, " ")
        .trim(),
    }))
    .filter(({ text }) => text !== "");
}

/** Leaves out the first and the last line of pages where most pages have the same one, but for numbers. */
function withoutRunning(pages: Line[][]): Line[][] {
  if (pages.length < 3) return pages;
  const plain = (line: Line | undefined) => line?.text.replace(/\d+/g, "#") ?? "";
  const repeated = (at: 0 | -1) => {
    const counts = new Map<string, number>();
    for (const page of pages) counts.set(plain(page.at(at)), (counts.get(plain(page.at(at))) ?? 0) + 1);
    return (page: Line[]) => page.length > 1 && (counts.get(plain(page.at(at))) ?? 0) > pages.length / 2;
  };
  const [top, foot] = [repeated(0), repeated(-1)];
  return pages.map((page) => page.slice(top(page) ? 1 : 0, foot(page) ? -1 : undefined));
}

function paragraphs(lines: Line[]): string[] {
  const gaps = lines
    .slice(1)
    .map((line, i) => lines[i]!.y - line.y)
    .filter((gap) => gap > 0);
  // Not the middle one: on a page of short paragraphs that is one between paragraphs.
  const usual = gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 4)] ?? Infinity;
  const found: string[] = [];
  lines.forEach((line, i) => {
    const before = lines[i - 1];
    const gap = before ? before.y - line.y : 0;
    const larger = before && Math.max(before.height, line.height) > 1.15 * Math.min(before.height, line.height);
    // A line that stands higher begins another column: a sentence may go on there.
    if (!before || gap > APART * usual || (larger && gap > 0)) found.push(line.text);
    else found.push(joined(found.pop() ?? "", line.text));
  });
  return found;
}

/** Joins two lines; a word that was parted becomes whole again. */
function joined(before: string, line: string): string {
  if (/\p{L}[-\u2010]$/u.test(before) && /^\p{Ll}/u.test(line)) return before.slice(0, -1) + line;
  return before + glue(before, line) + line;
}
