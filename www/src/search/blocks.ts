/** Files as blocks of text, each with its place; and plain text cut into them. */

/** Where in a file a piece of text stands, as far as the file tells. */
export interface Place {
  page?: number;
  /** The last page, of what goes on over several. */
  lastPage?: number;
  /** The headings above it, the outermost first. */
  heading?: string;
  line?: number;
}

export interface Block {
  text: string;
  place: Place;
  /** Whether it is a heading: what follows belongs to it. */
  heading?: boolean;
}

/** So long a line, in letters, was broken by a program and not by a person. */
const WRAPPED = 45;
const CJK = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\u3000-\u303f\uff00-\uffef]/u;

/** What separates two lines once they are one: nothing between characters that are written without spaces. */
export function glue(before: string, after: string): string {
  return CJK.test(before.slice(-1)) && CJK.test(after.slice(0, 1)) ? "" : " ";
}

/** Paragraphs are separated by empty lines. */
export function plainBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  let lines: string[] = [];
  let first = 1;
  const end = () => {
    if (lines.length > 0) blocks.push({ text: unwrapped(lines), place: { line: first } });
    lines = [];
  };
  text.split(/\r\n?|\n|\f/).forEach((line, i) => {
    if (line.trim() === "") return end();
    if (lines.length === 0) first = i + 1;
    lines.push(line.trim());
  });
  end();
  return blocks;
}

/** Joins the lines that only the width of a page has parted. */
function unwrapped(lines: string[]): string {
  let text = lines[0] ?? "";
  for (let i = 1; i < lines.length; i++) {
    const [before, line] = [lines[i - 1]!, lines[i]!];
    const wide = [...before].reduce((sum, letter) => sum + (CJK.test(letter) ? 2 : 1), 0);
    const own = wide < WRAPPED || /^(?:[-*•–—>|#]|\d+[.)])\s?/.test(line);
    text += (own ? "\n" : glue(before, line)) + line;
  }
  return text;
}

/** The text of a file's bytes: UTF-8 or UTF-16, else what old programs write: GB 18030 if it reads as Chinese. */
export function decodeText(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  const read = (encoding: string) => {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch {
      return undefined;
    }
  };
  const unicode = read("utf-8");
  if (unicode !== undefined) return unicode;
  const chinese = read("gb18030");
  const strange = chinese?.match(/[^\x00-\x7f]/g) ?? [];
  const common = strange.filter((letter) => /[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef“”‘’—…]/.test(letter));
  if (chinese !== undefined && common.length > 0.9 * strange.length) return chinese;
  return new TextDecoder("windows-1252").decode(bytes);
}
