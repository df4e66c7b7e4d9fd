/** HTML as blocks: what a reader of the page would read. Walks a parsed document, of which it needs little. */
import type { Block } from "./blocks.js";
import { Headings } from "./headings.js";

/** What is asked of a node; those of the browser have it. */
export interface HtmlNode {
  nodeType: number;
  nodeName: string;
  nodeValue: string | null;
  childNodes: ArrayLike<HtmlNode>;
  hasAttribute?(name: string): boolean;
}

const TEXT = 3;
/** What is not read, or is the same on every page of a site. */
const SKIPPED = new Set(
  "HEAD SCRIPT STYLE NOSCRIPT TEMPLATE NAV FOOTER SVG CANVAS IFRAME OBJECT BUTTON SELECT TEXTAREA".split(" "),
);
const INLINE = new Set(
  (
    "A ABBR B BDI BDO CITE CODE DATA DEL DFN EM FONT I INS KBD LABEL MARK Q RUBY S SAMP SMALL SPAN STRONG SUB SUP " +
    "TIME U VAR WBR"
  ).split(" "),
);
/** Lines of one block. */
const LINES = new Set("LI TR DT DD".split(" "));
/** What holds such lines. */
const LISTS = new Set("UL OL TABLE DL".split(" "));

export function htmlBlocks(root: HtmlNode): Block[] {
  const walk = new Walk();
  walk.visit(root);
  walk.end();
  return walk.blocks;
}

class Walk {
  readonly blocks: Block[] = [];
  private readonly headings = new Headings();
  private text = "";
  /** How many lists and how many `pre` are around. */
  private lists = 0;
  private kept = 0;

  visit(node: HtmlNode): void {
    if (node.nodeType === TEXT) {
      const text = node.nodeValue ?? "";
      this.text += this.kept > 0 ? text : text.replace(/\s+/g, " ");
      return;
    }
    const name = node.nodeName.toUpperCase();
    if (SKIPPED.has(name) || node.hasAttribute?.("hidden")) return;
    const depth = /^H([1-6])$/.exec(name)?.[1];
    if (depth !== undefined) this.heading(Number(depth), node);
    else if (name === "BR") this.text += "\n";
    else if (LINES.has(name)) this.line(name, node);
    else if (name === "TD" || name === "TH") this.cell(node);
    else if (LISTS.has(name)) this.list(node);
    else if (INLINE.has(name) || this.lists > 0) this.children(node);
    else this.block(name, node);
  }

  /** What was read so far is a block. */
  end(): void {
    const text = this.text
      .split("\n")
      .map((line) => (this.kept > 0 ? line.trimEnd() : line.replace(/ +/g, " ").trim()))
      .filter((line) => line !== "" && line !== "-")
      .join("\n");
    this.text = "";
    if (text) this.blocks.push({ text, place: this.headings.place });
  }

  private children({ childNodes }: HtmlNode): void {
    for (let i = 0; i < childNodes.length; i++) this.visit(childNodes[i]!);
  }

  private block(name: string, node: HtmlNode): void {
    this.end();
    if (name === "PRE") this.kept += 1;
    this.children(node);
    this.end();
    if (name === "PRE") this.kept -= 1;
  }

  private heading(depth: number, node: HtmlNode): void {
    if (this.lists === 0) this.end();
    const before = this.text;
    this.text = "";
    this.children(node);
    const text = this.text.replace(/\s+/g, " ").trim();
    this.text = before;
    if (this.lists > 0) this.text += text;
    if (!text || this.lists > 0) return;
    this.headings.enter(depth, text);
    this.blocks.push({ text, place: this.headings.place, heading: true });
  }

  private list(node: HtmlNode): void {
    if (this.lists === 0) this.end();
    this.lists += 1;
    this.children(node);
    this.lists -= 1;
    if (this.lists === 0) this.end();
  }

  private line(name: string, node: HtmlNode): void {
    this.text = `${this.text.trimEnd()}\n${name === "LI" ? "- " : ""}`;
    this.children(node);
    this.text = `${this.text.trimEnd()}\n`;
  }

  private cell(node: HtmlNode): void {
    if (!/(?:^|\n)[ ]*$/.test(this.text)) this.text = `${this.text.trimEnd()} | `;
    this.children(node);
  }
}
