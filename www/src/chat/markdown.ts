/**
 * Answers are Markdown that arrives a few letters at a time. Finished blocks keep their DOM (selections and focus
 * survive), only the last ones are drawn again. What a model writes is never trusted: no HTML, no images, no address
 * but web and mail.
 */
import { Marked, type Token, type TokensList } from "marked";
import DOMPurify from "dompurify";
import { h, icon } from "../shared-ui/dom.js";
import { t } from "../shared-ui/i18n.js";

const escape = (text: string) =>
  text.replace(
    /[&<>"']/g,
    (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[letter]!,
  );

const marked = new Marked({
  gfm: true,
  breaks: false,
  renderer: {
    // HTML in an answer is shown as the text it is; only the line break that tables need passes.
    html: ({ text }) => (/^<br\s*\/?>$/i.test(text.trim()) ? "<br>" : escape(text)),
    // An image would be a request to somebody's server, carrying whatever the model put into the address.
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    code: ({ text, lang }) => {
      const name = (lang ?? "").trim().split(/\s/)[0]!;
      return `<pre><code class="language-${escape(name)}">${escape(text)}\n</code></pre>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const ALLOWED = {
  ALLOWED_TAGS: [
    "p",
    "br",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "strong",
    "em",
    "del",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
  ],
  ALLOWED_ATTR: ["href", "title", "class", "align", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true as const,
};

function draw(token: Token, links: TokensList["links"]): DocumentFragment {
  const tokens = Object.assign([token], { links }) as TokensList;
  const fragment = DOMPurify.sanitize(marked.parser(tokens), ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const heading of fragment.querySelectorAll("h1, h2")) {
    // The page's own headings are h1 and h2; inside an answer they start one below.
    const lower = document.createElement("h3");
    lower.append(...heading.childNodes);
    heading.replaceWith(lower);
  }
  for (const table of fragment.querySelectorAll("table")) {
    const frame = h("div", { class: "table", tabindex: 0, role: "region", "aria-label": t("table") });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const pre of fragment.querySelectorAll("pre")) frameCode(pre);
  return fragment;
}

function frameCode(pre: HTMLPreElement): void {
  const code = pre.querySelector("code");
  const name = /language-(\S+)/.exec(code?.className ?? "")?.[1] ?? "";
  code?.removeAttribute("class");
  const button = h(
    "button",
    { type: "button", class: "copy-code", "data-copy": "code" },
    icon("copy"),
    h("span", {}, t("copy")),
  );
  const figure = h(
    "figure",
    { class: "code" },
    h("figcaption", {}, h("span", { class: "code-name" }, name || t("code")), button),
  );
  pre.replaceWith(figure);
  pre.tabIndex = 0;
  figure.append(pre);
}

/** Draws Markdown into `root`, again and again as it grows. */
export class MarkdownView {
  private blocks: { key: string; element: HTMLElement }[] = [];
  private text = "";
  private live = false;
  private readonly caret = h("span", { class: "caret", "aria-hidden": "true" });

  constructor(readonly root: HTMLElement) {}

  update(text: string, live: boolean): void {
    if (text === this.text && live === this.live) return;
    this.text = text;
    this.live = live;
    const tokens = marked.lexer(text);
    const drawn = tokens.filter((token) => token.type !== "space" && token.type !== "def");
    const links = JSON.stringify(tokens.links);
    this.caret.remove();
    drawn.forEach((token, index) => {
      // Where a reference leads is often said only at the end.
      const key = token.raw.includes("]") ? token.raw + links : token.raw;
      const known = this.blocks[index];
      if (known?.key === key) return;
      const element = known?.element ?? this.root.appendChild(h("div", { class: "block" }));
      element.replaceChildren(draw(token, tokens.links));
      this.blocks[index] = { key, element };
    });
    for (const extra of this.blocks.splice(drawn.length)) extra.element.remove();
    this.root.classList.toggle("live", live);
    if (live) this.tip().append(this.caret);
  }

  /** The innermost element that the last letters were written in. */
  private tip(): Element {
    let at: Element = this.blocks[this.blocks.length - 1]?.element ?? this.root;
    for (;;) {
      const last: Element | null = at.lastElementChild;
      if (!last || ["BUTTON", "BR", "HR", "svg"].includes(last.tagName)) return at;
      // Text after the last element is where the pen is; the line breaks between blocks are not text.
      if (at.lastChild !== last && at.lastChild?.textContent?.trim()) return at;
      at = last;
    }
  }
}
