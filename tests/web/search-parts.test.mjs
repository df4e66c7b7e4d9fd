// The parts of the search page that need no browser: text out of files, passages, ranking, marking. Bundled as the page
// bundles them and run here.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const FOLDER = fileURLToPath(new URL("../../www/src/search/", import.meta.url));
const PARTS = ["blocks", "markdown", "html", "pdf-text", "chunk", "rank", "mark", "catalogue"];
let parts;

before(async () => {
  const contents = PARTS.map((name) => `export * from "./${name}.js";`).join("\n");
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: FOLDER, loader: "ts" },
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  parts = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
});

const texts = (blocks) => blocks.map(({ text }) => text);

// ---- text out of files ---------------------------------------------------------------------------------------------

test("plain text: paragraphs with their lines; what a program wrapped is one line again", () => {
  const wrapped = "This line was broken by an editor because it had become wider\nthan its window, nobody meant it.";
  const list = "Shopping\n- ink\n- paper";
  const chinese = "这一行太长了，所以被编辑器折成了两行，其实本来应该是一句完整的\n话，中间没有空格。";
  const blocks = parts.plainBlocks(`\n${wrapped}\r\n\r\n${list}\n \n\n${chinese}\n`);
  assert.deepEqual(texts(blocks), [wrapped.replace("\n", " "), list, chinese.replace("\n", "")]);
  assert.deepEqual(
    blocks.map(({ place }) => place.line),
    [2, 5, 10],
  );
  assert.deepEqual(parts.plainBlocks(" \n\n"), []);
});

test("bytes are read as what they are: UTF-8, UTF-16, GB 18030, Windows' Latin", () => {
  const { decodeText } = parts;
  assert.equal(decodeText(Buffer.from("\ufeffInk 墨 é")), "Ink 墨 é");
  assert.equal(decodeText(Buffer.from("\ufeff墨 ink", "utf16le")), "墨 ink");
  assert.equal(decodeText(Buffer.from("\ufeff墨 ink", "utf16le").swap16()), "墨 ink");
  // 砚台是文房四宝之一。
  const gb = "d1e2 cca8 cac7 cec4 b7bf cbc4 b1a6 d6ae d2bb a1a3".replaceAll(" ", "");
  assert.equal(decodeText(Buffer.from(gb, "hex")), "砚台是文房四宝之一。");
  assert.equal(decodeText(Buffer.from("Café à Zürich, señor", "latin1")), "Café à Zürich, señor");
});

test("Markdown: words without signs, each below its headings", () => {
  const source = [
    "---\ntitle: x\n---",
    "# The *desk*",
    "A **bold** [link](https://a.example) and `code` &amp; ![a stone](x.png).",
    "## Care",
    "- wash\n- dry\n  - slowly",
    "> quoted\n> twice",
    "```js\nlet a = 1;\n```",
    "| a | b |\n|---|---|\n| 1 | *2* |",
    "<div>raw <b>HTML</b></div>",
    "# Other",
    "last\nline",
  ].join("\n\n");
  const blocks = parts.markdownBlocks(source);
  assert.deepEqual(texts(blocks), [
    "The desk",
    "A bold link and code & a stone.",
    "Care",
    "- wash\n- dry\n- slowly",
    "quoted twice",
    "let a = 1;",
    "a | b\n1 | 2",
    "raw  HTML",
    "Other",
    "last line",
  ]);
  const headings = blocks.map(({ place }) => place.heading);
  assert.deepEqual([...new Set(headings)], ["The desk", "The desk › Care", "Other"]);
  assert.deepEqual(
    blocks.filter(({ heading }) => heading).map(({ text }) => text),
    ["The desk", "Care", "Other"],
  );
  const lines = source.split("\n");
  for (const { text, place } of blocks.filter(({ heading }) => heading)) {
    assert.match(lines[place.line - 1].replaceAll("*", ""), new RegExp(`^#+ ${text}$`), "places are lines of the file");
  }
});

/** A tree as browsers make it. */
function el(nodeName, ...children) {
  const own = (child) =>
    typeof child === "string" ? { nodeType: 3, nodeName: "#text", nodeValue: child, childNodes: [] } : child;
  const hidden = children[0] === HIDDEN;
  return {
    nodeType: 1,
    nodeName,
    nodeValue: null,
    childNodes: children.slice(hidden ? 1 : 0).map(own),
    hasAttribute: (name) => hidden && name === "hidden",
  };
}
const HIDDEN = Symbol("hidden");

test("HTML: what a reader reads, not what a program does", () => {
  const page = el(
    "HTML",
    el("HEAD", el("TITLE", "Not this")),
    el(
      "BODY",
      el("NAV", el("A", "Home")),
      el(
        "MAIN",
        el("H1", "The ", el("EM", "desk")),
        el("P", "One\n  ", el("B", "two"), " three", el("BR"), "four"),
        "loose",
      ),
      el("SCRIPT", "alert(1)"),
      el("DIV", HIDDEN, "unseen"),
      el("H3", "Care"),
      el("UL", "\n", el("LI", el("P", "wash")), "\n", el("LI", "dry ", el("UL", el("LI", "slowly")))),
      el("TABLE", el("TBODY", el("TR", el("TH", "a"), el("TH", "b")), "\n", el("TR", el("TD", "1"), el("TD", "2")))),
      el("PRE", "let a;\n  let b;\n"),
    ),
  );
  const blocks = parts.htmlBlocks(page);
  assert.deepEqual(texts(blocks), [
    "The desk",
    "One two three\nfour",
    "loose",
    "Care",
    "- wash\n- dry\n- slowly",
    "a | b\n1 | 2",
    "let a;\n  let b;",
  ]);
  assert.deepEqual(
    blocks.map(({ place }) => place.heading),
    [...Array(3).fill("The desk"), ...Array(4).fill("The desk › Care")],
  );
});

test("PDF: lines become paragraphs, parted words become whole, running heads are left out", () => {
  const line = (str, y, height = 10) => [
    { str, height, transform: [height, 0, 0, height, 50, y], hasEOL: false },
    { str: "", height: 0, transform: [height, 0, 0, height, 50, y], hasEOL: true },
  ];
  const page = (n, ...body) => [...line("Annual report", 800), ...body.flat(), ...line(`Page ${n}`, 20)];
  const pages = [
    page(
      1,
      line("A title", 760, 18),
      line("The ink-", 730),
      line("stone is wet and the", 718),
      line("brush is dry.", 706),
      line("Next.", 670),
    ),
    page(2, line("墨要慢慢", 700), line("磨。", 688), line("Well-", 676), line("Known", 664)),
    page(3, line("Last", 700)),
  ];
  const blocks = parts.pdfBlocks(pages);
  assert.deepEqual(
    blocks.map(({ text, place }) => `${place.page}: ${text}`),
    [
      "1: A title",
      "1: The inkstone is wet and the brush is dry.",
      "1: Next.",
      "2: 墨要慢慢磨。 Well- Known",
      "3: Last",
    ],
  );
  assert.deepEqual(parts.pdfBlocks([[], []]), []);
  assert.equal(parts.pdfBlocks(pages.slice(0, 2)).length, 6 + 2, "two pages are too few to know what they repeat");
});

// ---- passages ------------------------------------------------------------------------------------------------------

/** Tokens as a model with one for each word, and one before and after each text. */
const byWord = async (text) => 2 + (text.match(/\S+/g) ?? []).length;
const block = (text, place = {}) => ({ text, place });

test("passages are whole sentences within the limit, and each begins with the end of the one before", async () => {
  const sentences = Array.from({ length: 40 }, (_, i) => `Sentence number ${i} has exactly seven words.`);
  const passages = await parts.passagesOf([block(sentences.join(" "))], 50, byWord);
  assert.ok(passages.length > 5);
  for (const { text } of passages) {
    assert.ok((await byWord(text)) <= 50, text);
    assert.match(text, /^Sentence [^]*words\.$/, "no sentence is cut");
  }
  for (const sentence of sentences)
    assert.ok(
      passages.some(({ text }) => text.includes(sentence)),
      sentence,
    );
  for (let i = 1; i < passages.length; i++) {
    const [first] = passages[i].text.match(/^[^.]*\./);
    assert.ok(passages[i - 1].text.endsWith(first), "they overlap by a sentence");
    assert.ok(!passages[i - 1].text.startsWith(first), "and no passage is repeated whole");
  }
});

test("a heading begins a passage and stays with what follows it", async () => {
  const blocks = parts.markdownBlocks("# Book\n\n## Ink\n\nBlack and wet.\n\nSlow.\n\n## Paper\n\nWhite.");
  const passages = await parts.passagesOf(blocks, 100, byWord);
  assert.deepEqual(texts(passages), ["Book\nInk\nBlack and wet.\nSlow.", "Paper\nWhite."]);
  assert.deepEqual(
    passages.map(({ place }) => place.heading),
    ["Book › Ink", "Book › Paper"],
  );
});

test("what has no end is cut between words, or between letters where there are none, and nothing is lost", async () => {
  const endless = Array.from({ length: 3000 }, (_, i) => `w${i}`).join(" ");
  const cut = await parts.passagesOf([block(endless)], 34, byWord);
  assert.deepEqual([...new Set(cut.flatMap(({ text }) => text.split(/\s+/)))], endless.split(" "));
  for (const { text } of cut) assert.ok((await byWord(text)) <= 34);
  const letters = async (text) => text.length;
  const [wall, emoji] = ["墨".repeat(500), "😀".repeat(101)];
  assert.equal(
    (await parts.passagesOf([block(wall)], 64, letters))
      .map(({ text }) => text)
      .join("")
      .replaceAll("墨", ""),
    "",
  );
  for (const { text } of await parts.passagesOf([block(emoji)], 16, letters)) assert.match(text, /^(?:😀)+$/u);
  assert.deepEqual(await parts.passagesOf([], 64, letters), []);
});

test("Chinese is cut at its full stops", async () => {
  const text = "砚台用完要洗。墨锭要慢慢地磨！水不能太多吗？纸放在干燥的地方。".repeat(6);
  const passages = await parts.passagesOf([block(text)], 40, async (text) => text.length);
  assert.ok(passages.length > 4);
  for (const passage of passages) assert.match(passage.text, /[。！？]$/);
});

test("counting stops where nobody waits for it any more", async () => {
  const stop = new AbortController();
  let counted = 0;
  const count = async () => (++counted > 3 && stop.abort(), 5);
  const many = Array.from({ length: 100 }, (_, i) => block(`Number ${i}.`));
  await assert.rejects(parts.passagesOf(many, 64, count, stop.signal), { name: "AbortError" });
  assert.ok(counted < 10);
});

// ---- ranking and marking -------------------------------------------------------------------------------------------

test("the nearest vectors come first, whatever their length", () => {
  const { best, cosines, flat } = parts;
  const vectors = flat(
    [
      [0, 9],
      [3, 3],
      [-1, 0],
      [2, 0],
      [0, 0],
    ].map((v) => Float32Array.from(v)),
  );
  assert.equal(vectors.dimensions, 2);
  const scores = cosines(Float32Array.from([5, 0]), vectors);
  assert.deepEqual(
    Array.from(scores, (s) => Math.round(100 * s) / 100),
    [0, 0.71, -1, 1, 0],
  );
  const ranked = best(
    Array.from(scores, (score, i) => ({ score, i })),
    4,
  );
  assert.deepEqual(
    ranked.map(({ i }) => i),
    [3, 1, 0, 4],
    "equal ones in the order they have",
  );
  assert.equal(cosines(Float32Array.from([1]), flat([])).length, 0);
});

test("the words of a question are marked where they stand, in other forms too, and no others", () => {
  const marked = (question, text) => {
    const runs = parts.markTerms(text, parts.termsOf(question));
    assert.equal(runs.map((run) => run.text).join(""), text, "nothing is lost");
    return runs.filter((run) => run.marked).map((run) => run.text);
  };
  assert.deepEqual(marked("How do I wash the inkstones?", "Washing an Inkstone: the stone is washed."), [
    "Washing",
    "Inkstone",
    "washed",
  ]);
  assert.deepEqual(marked("CAFE naïve", "A café, naive; cafeteria"), ["café", "naive"]);
  assert.deepEqual(marked("what is it", "what it is"), [], "words that every text has say nothing");
  assert.deepEqual(marked("砚台怎么清洗？", "用过的砚台必须清洗，不然砚台会坏。"), ["砚台", "清洗", "砚台"]);
  assert.deepEqual(marked("墨怎么磨", "磨墨要慢"), ["磨墨"], "neighbours are one mark");
  assert.deepEqual(
    marked("墨 ink", "The ink (墨) is İ"),
    ["ink"],
    "where small letters are longer, letters keep their places",
  );
  assert.deepEqual(parts.termsOf(" … "), []);
});

test("files from this device are one model: a folder with its modules, or a file", () => {
  const { choiceFromFiles, choiceFromText } = parts;
  const files = (...paths) => new Map(paths.map((path) => [path, new File(["x"], path.split("/").pop())]));
  const folder = choiceFromFiles(
    files("mine/modules.json", "mine/1_Pooling/config.json", "mine/config.json", "mine/model.safetensors"),
  );
  assert.deepEqual(Object.keys(folder.source).sort(), [
    "1_Pooling/config.json",
    "config.json",
    "model.safetensors",
    "modules.json",
  ]);
  assert.equal(folder.name, "mine");
  const moved = choiceFromFiles(
    files("m/0_Transformer/config.json", "m/0_Transformer/model.safetensors", "m/modules.json"),
  );
  assert.deepEqual(Object.keys(moved.source).sort(), [
    "0_Transformer/config.json",
    "0_Transformer/model.safetensors",
    "modules.json",
  ]);
  assert.equal(choiceFromFiles(files("a.gguf")).name, "a");
  assert.equal(choiceFromFiles(files("a/config.json", "notes.md")), undefined, "no weights, no model");
  const listed = choiceFromText("https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2");
  assert.equal(listed.listed.parameters, 22.7e6);
});
