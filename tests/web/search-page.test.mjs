// A visit to the search page, with search-double.js in the place of the package, whose vectors are counts of words: so
// what is found can be told beforehand. Text out of files, and passages, are in search-parts.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chinesePdf, lockedPdf, openStudy, pdf, seeker } from "./search-person.mjs";

const STONES = [
  "# Inkstones",
  "An inkstone is a stone on which ink is ground.",
  "## Care",
  "Wash the inkstone after use and let it dry slowly in the shade. Never use soap.",
  "## Grinding",
  "Grind the ink slowly with little water, in circles.",
].join("\n\n");
const REPORT = pdf(
  ["The annual report of the paper mill.", "Sales of rice paper grew by nine percent."],
  ["Goat hair is used for soft brushes (and for nothing else)."],
);
const PAGE = [
  "<!doctype html><title>t</title><nav>Menu</nav><h1>Brushes</h1><p>A weasel&#39;s hair is <b>stiff</b>.</p>",
  "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>",
].join("");
const CHINESE = "砚台用过之后要清洗，放在阴凉处晾干。\n\n墨要慢慢地磨，水不能太多。";
const FIRST = "sentence-transformers/all-MiniLM-L6-v2";

let browser, page, person;
const requests = [];

before(async () => {
  browser = await openStudy({ context: { viewport: { width: 1280, height: 820 }, locale: "en-GB" } });
  browser.context.setDefaultTimeout(15_000);
  browser.context.on("request", (request) => requests.push(new URL(request.url()).pathname));
  page = await browser.newPage("/search.html");
  person = seeker(page);
});

after(() => browser?.close());

const facts = async (name) => person.shown(`.note:has(.note-name:text-is("${name}")) .note-facts`);

test("the first visit says what the page does and offers a model, and asks nobody about it", async () => {
  await page.waitForSelector("#open-model");
  assert.equal(await person.shown("#line"), "Lay your notes on the desk.");
  const card = await person.shown("#panel");
  for (const words of ["all-MiniLM-L6-v2", "23M parameters", "91.0 MB", "Apache-2.0", "when you say so"]) {
    assert.ok(card.includes(words), `${words}: ${card}`);
  }
  await page.fill("#question", "anything");
  assert.equal(await page.isDisabled("#send"), true, "there is nothing to search");
  await page.fill("#question", "");
  assert.deepEqual(await person.asked(), [], "naming a model of the hub would tell the hub");
});

test("files of each kind are kept before there is a model; pdf.js comes with the first PDF", async () => {
  await person.drop(["stones.md", STONES], ["page.html", PAGE]);
  await page.waitForSelector("#toast >> text=Kept.");
  assert.ok(!requests.some((path) => path.includes("pdf")), "nobody needed it yet");
  await person.drop(["report.pdf", REPORT], ["砚.txt", CHINESE]);
  await page.waitForFunction(() => document.querySelectorAll(".note").length === 4);
  assert.ok(requests.includes("/pages/pdf/pdf.min.mjs") && requests.includes("/pages/pdf/pdf.worker.min.mjs"));
  assert.deepEqual((await person.notes()).sort(), ["page.html", "report.pdf", "stones.md", "砚.txt"]);
  assert.match(await facts("stones.md"), /^2\d\d bytes · not read yet$/);
  assert.equal(await person.shown("#line"), "Open a model to read your notes.");
  assert.equal(await person.shown("#kept-notes"), "4 notes");
  assert.equal(await page.evaluate(() => window.pwned), undefined, "what is in a file does not run");
});

test("a question that is asked too early waits until a model is open and has read everything", async () => {
  await person.wish({ loadMs: 1500, paceMs: 200 });
  await page.fill("#question", "soft brushes of goats");
  await page.press("#question", "Enter");
  await page.waitForSelector("text=Waits until a model is open");
  assert.deepEqual(await person.asked(), [], "that a question waits downloads nothing");
  await page.click("#dock #open-model");
  await page.waitForFunction(() =>
    /of 91,000,000 bytes/.test(document.querySelector("#dock .amount")?.textContent ?? ""),
  );
  const bar = page.locator("#work [role=progressbar]");
  await bar.waitFor();
  assert.match(await bar.getAttribute("aria-valuetext"), /^(Reading|Making) \S+( searchable)? \d+%$/);
  await page.waitForSelector("#found-count");
  const [best] = await person.passages();
  assert.deepEqual([best.file, best.place], ["report.pdf", "pages 1 to 2"]);
  const asked = await person.asked();
  assert.deepEqual(
    asked.filter(([what]) => what === "load"),
    [["load", FIRST]],
  );
  const texts = asked.filter(([what]) => what === "embed").map(([, texts]) => texts);
  assert.deepEqual(texts.at(-1), ["soft brushes of goats"], "the question came last");
  assert.equal(texts.flat().length, 6 + 1, "each passage and the question, once");
  await person.wish({});
});

test("what fits is found first, with its file, its place, its score, and the question's words marked", async () => {
  const [care, ...others] = await person.ask("washing the inkstone with soap?");
  assert.deepEqual([care.file, care.place], ["stones.md", "Inkstones › Care"]);
  assert.deepEqual(care.marks, ["Wash", "inkstone", "soap"]);
  assert.equal(care.text.startsWith("Care\nWash the inkstone"), true);
  const scores = [care, ...others].map(({ score }) => score);
  assert.deepEqual(
    scores,
    [...scores].sort((a, b) => b - a),
  );
  assert.ok(scores[0] > 0.2 && scores[0] <= 1, `${scores}`);
  assert.match(await person.shown("#found-count"), /^6 passages of 4 notes\.$/);
  const [html] = await person.ask("is a weasel stiff");
  assert.deepEqual([html.file, html.place, html.text], ["page.html", "Brushes", "Brushes\nA weasel's hair is stiff."]);
  const [chinese] = await person.ask("砚台怎么清洗？");
  assert.deepEqual([chinese.file, chinese.place, chinese.marks], ["砚.txt", "line 1", ["砚台", "清洗"]]);
  assert.match(await page.textContent("#spoken"), /passages/, "it is read out");
});

test("as many passages are shown as wanted, and an emptied field leads back to the beginning", async () => {
  await page.click("#open-drawer");
  await page.fill("#set-shown", "2");
  await page.locator("#set-shown").blur();
  assert.equal((await person.ask("ink")).length, 2);
  await page.fill("#set-shown", "6");
  await page.locator("#set-shown").blur();
  await page.click("#close-drawer");
  await page.fill("#question", "");
  assert.equal(await person.shown("#line"), "What are you looking for?");
  assert.equal(await page.isVisible("#results"), false);
});

test("reading is shown and can be stopped; what was read stays, the rest is read when asked for", async () => {
  await person.wish({ paceMs: 50, maxTokens: 20 });
  await page.reload();
  await person.ready();
  const long = Array.from({ length: 120 }, (_, i) => `This is sentence number ${i} of a long text.`).join(" ");
  await person.drop(["short.txt", "A short one."], ["long.txt", long]);
  await page.waitForFunction(() =>
    /^[1-9]\d* of \d+$/.test(document.querySelector("#work .amount")?.textContent ?? ""),
  );
  const [done, all] = (await person.shown("#work .amount")).split(" of ").map(Number);
  assert.ok(done < all && all > 50, `${done} of ${all}`);
  await page.focus("#stop-work");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#read-now");
  assert.match(await person.shown("#notice"), /^1 note has not been read yet/);
  assert.equal(await facts("short.txt").then((text) => /1 passage$/.test(text)), true);
  assert.match(await facts("long.txt"), /not read yet$/);
  await page.click("#read-now");
  await page.waitForFunction(() => /^[1-9]/.test(document.querySelector("#work .amount")?.textContent ?? ""));
  await page.focus("#question");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#read-now");
  await person.wish({});
  await page.click("#read-now");
  await person.read(6);
  assert.match(await facts("long.txt"), /· \d\d passages$/);
});

test("what can't be read is said in one sentence; the same file again is not a second note", async () => {
  const cases = {
    "photo.png": ["\x89PNG", "There is no text, Markdown, HTML or PDF file among these."],
    "empty.md": ["\n\n", "There is no text in empty.md"],
    "scan.pdf": [pdf([]), "There is no text in scan.pdf"],
    "locked.pdf": [lockedPdf(["secret"]), "locked.pdf is locked by a password."],
    "broken.pdf": ["%PDF-1.4 and then nothing", "broken.pdf could not be read"],
    "stones.md": [STONES, "stones.md is here already."],
  };
  for (const [name, [content, sentence]] of Object.entries(cases)) {
    await person.drop([name, content]);
    await page.waitForSelector(`#toast >> text=${sentence}`);
  }
  assert.equal((await person.notes()).length, 6);
  await person.drop(["short.txt", "Now it says something else, about elephants."]);
  await page.waitForFunction(() => document.querySelector(".note-name").textContent === "short.txt");
  await person.read(6);
  assert.match((await person.ask("elephants"))[0].text, /^Now it says/);
});

test("an old Chinese PDF is read by the tables that it names, which come from this server", async () => {
  await person.drop(["旧.pdf", chinesePdf(["毛笔用完后要挂起来，笔尖朝下。"])]);
  await person.read(7);
  const [first] = await person.ask("毛笔怎么挂");
  assert.deepEqual([first.file, first.place, first.text], ["旧.pdf", "page 1", "毛笔用完后要挂起来，笔尖朝下。"]);
  assert.ok(requests.some((path) => /^\/pages\/pdf\/cmaps\/.*\.bcmap$/.test(path)));
  await page.click("[aria-label='Delete 旧.pdf']", { force: true });
  await person.read(6);
});

test("after a reload notes, model and question are there, and nothing is read or fetched again", async () => {
  await person.ask("grinding ink in circles");
  await person.asked();
  const before = requests.length;
  await page.reload();
  await person.ready();
  await page.waitForSelector("#found-count");
  assert.equal(await page.inputValue("#question"), "grinding ink in circles");
  assert.equal((await person.passages())[0].place, "Inkstones › Grinding");
  const asked = await person.asked();
  assert.deepEqual(
    asked.filter(([what]) => what === "embed"),
    [["embed", ["grinding ink in circles"], undefined]],
  );
  assert.ok(!requests.slice(before).some((path) => path.includes("pdf")));
});

test("notes are deleted, leave what was found, and come back", async () => {
  await person.ask("inkstone");
  assert.equal((await person.passages())[0].file, "stones.md");
  await page.hover(".note:has-text('stones.md')");
  await page.click("[aria-label='Delete stones.md']");
  await page.waitForSelector("#toast >> text=Deleted “stones.md”.");
  assert.ok(!(await person.passages()).some(({ file }) => file === "stones.md"), "it is not found any more");
  assert.equal(await page.evaluate(() => document.activeElement.id), "add-notes", "the keyboard goes on");
  await page.click("#toast >> text=Undo");
  await person.read(6);
  assert.equal((await person.ask("the inkstone"))[0].file, "stones.md");
  await page.click("#clear-notes");
  await page.waitForSelector("#toast >> text=6 notes deleted.");
  assert.deepEqual(await person.notes(), []);
  await page.click("#toast >> text=Undo");
  await person.read(6);
  await page.reload();
  await person.ready();
  assert.equal((await person.notes()).length, 6, "they are kept again");
});

test("another model can't search what the first has read, and reads it again when told to", async () => {
  await person.choose("someone/other-prompted-model");
  await page.waitForSelector(".fit.yes");
  await page.click("#open-model");
  await person.ready();
  await page.waitForSelector("text=6 notes were read by all-MiniLM-L6-v2. other-prompted-model finds nothing in them");
  assert.match(await facts("stones.md"), /read by all-MiniLM-L6-v2$/);
  await page.waitForSelector("button:text('Open all-MiniLM-L6-v2')");
  assert.deepEqual(await person.ask("inkstone care"), []);
  assert.equal(await person.shown("#found-count"), "Nothing was found.");
  await person.asked();
  await page.click("#read-again");
  await person.read(6);
  assert.equal((await person.ask("wash the inkstone"))[0].place, "Inkstones › Care");
  const prompts = (await person.asked()).filter(([what]) => what === "embed").map(([, , prompt]) => prompt);
  assert.deepEqual([...new Set(prompts)], ["document", "query"], "it has words of its own for each of the two");
  assert.equal(await page.locator(".notice-line").count(), 0);
});

test("a second model puts what was found in order, until it is closed", async () => {
  const before = await person.ask("ink");
  await page.click("#open-drawer");
  await page.click("#rerank-open-model");
  await page.waitForSelector("#close-reranker");
  const after = await person.ask("the ink");
  assert.match(await person.shown("#found-count"), /Put in order by the second model\.$/);
  assert.notDeepEqual(
    after.map(({ text }) => text),
    before.map(({ text }) => text),
  );
  const lengths = after.map(({ text }) => text.length);
  assert.deepEqual(
    lengths,
    [...lengths].sort((a, b) => a - b),
    "the double likes short ones",
  );
  const [, query, documents] = (await person.asked()).find(([what]) => what === "rerank");
  assert.equal(query, "the ink");
  assert.equal(documents.length, 12, "it was shown all, and not only the six that are wanted");
  await page.reload();
  // It was kept on this device, and opens again as the first one does; the drawer is open still.
  await page.click("#close-reranker");
  await page.waitForSelector("#rerank-open-model");
  await person.ask("an ink");
  assert.doesNotMatch(await person.shown("#found-count"), /second model/);
  await page.reload();
  await person.ready();
  assert.equal(await page.locator("#close-reranker").count(), 0, "closed is closed");
  await page.click("#close-drawer");
});

test("a model that can't search says so; a folder or a file that is dropped is a model", async () => {
  await person.choose("someone/a-reranker");
  await page.waitForSelector(".fit.yes");
  await page.click("#open-model");
  await page.waitForSelector("text=a-reranker puts passages in order, but can't search by itself.");
  await person.drop(["mine.gguf", "GGUF"]);
  await page.waitForSelector(".fit.yes");
  assert.match(await person.shown("#panel"), /mine\s+from this device/);
  await person.choose(FIRST);
  await page.click("#open-model");
  await person.ready();
  await page.click("#read-again");
  await person.read(6);
});

test("trouble while searching or reading: one sentence, a button, and nothing is lost", async () => {
  await person.wish({ error: ["Gpu", "the device is lost: load the model again"] });
  await page.fill("#question", "never lost");
  await page.press("#question", "Enter");
  await page.waitForSelector("#results .trouble");
  assert.match(await person.shown("#results .trouble-what"), /graphics card stopped working/);
  assert.equal(await page.inputValue("#question"), "never lost");
  await person.wish({});
  await page.click("#dock .trouble >> text=Open the model again");
  await person.ready();
  await person.wish({ error: ["TooLarge", "too much at once"] });
  await person.drop(["late.txt", "A late note."]);
  await page.waitForSelector("#notice .trouble");
  await person.wish({});
  await page.click("#notice .trouble >> text=Try again");
  await person.read(7);
  assert.equal((await person.ask("a late note"))[0].file, "late.txt");
});

test("the passages that are ticked go to the chat page, where they can be changed before they are sent", async () => {
  await person.ask("How do I wash an inkstone?");
  const ticks = page.locator(".passage input");
  assert.deepEqual(await ticks.evaluateAll((all) => all.map(({ checked }) => checked)), [
    true,
    true,
    true,
    true,
    false,
    false,
  ]);
  for (const i of [2, 3]) await ticks.nth(i).uncheck();
  const [one, two] = await person.passages();
  await page.click("#ask-chat");
  await page.waitForURL(/chat\.html$/);
  await page.waitForSelector("html[data-ready]");
  const prompt = await page.inputValue("#prompt");
  assert.match(prompt, /^Answer the question from these passages of my notes\./);
  assert.match(prompt, /\n\nQuestion: How do I wash an inkstone\?$/);
  const quoted = ({ file, place, text }, n) => `[${n}] ${file}, ${place}\n${text.replace(/^/gm, "> ")}\n\n`;
  assert.ok(prompt.includes(quoted(one, 1) + quoted(two, 2)), prompt);
  assert.ok(!prompt.includes("[3]"));
  await page.waitForSelector("#open-model");
  await page.click("#open-model");
  await page.waitForSelector("#model-button[data-step=ready]");
  await page.press("#prompt", "End");
  await page.locator("#prompt").pressSequentially(" Be brief.");
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".turn.assistant .meta");
  const [[, messages]] = (await person.asked()).filter(([what]) => what === "generate");
  assert.equal(messages.at(-1).content, `${prompt} Be brief.`);
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.inputValue("#prompt"), "", "it comes once");

  await page.click("#new");
  await page.fill("#prompt", "My own beginning.");
  await page.goto(`${browser.url}/search.html`);
  await person.ready();
  for (const question of ["inkstone care", "goat hair"]) {
    await person.ask(question);
    await page.click("#ask-chat");
    await page.waitForURL(/chat\.html$/);
    await page.waitForSelector("html[data-ready]");
    const text = await page.inputValue("#prompt");
    assert.ok(text.startsWith("My own beginning.\n\nAnswer the question"), text);
    assert.ok(text.endsWith(`Question: ${question}`) && text.split("Question: ").length === 2, text);
    await page.goBack();
    await person.ready();
  }
});

test("what one tab adds, the other one shows", async () => {
  const other = await browser.newPage("/search.html");
  const second = seeker(other);
  await second.ready();
  await person.drop(["from the first tab.txt", "Here."]);
  await second.read(8);
  assert.ok((await second.notes()).includes("from the first tab.txt"));
  await other.close();
});

test("the example puts its lines in order", async () => {
  await person.wish({});
  await page.goto(`${browser.url}/examples/search/`);
  await page.waitForSelector("#go:not([disabled])");
  assert.equal(await person.shown("#status"), "512 numbers for each text");
  await page.fill("#question", "what is paper made of?");
  await page.click("#go");
  await page.waitForSelector("#found li");
  const lines = await page.$$eval("#found li", (all) => all.map((one) => one.textContent));
  assert.equal(lines.length, 3);
  assert.match(lines[0], /^0\.\d\d Rice paper is made/);
});

test("nothing but what the policy refused reached the console", () => {
  assert.deepEqual(
    page.problems.filter((problem) => !problem.includes("Content Security Policy")),
    [],
  );
});
