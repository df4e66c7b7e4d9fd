// A visit to the chat page, in Chromium with the real library and tiny-model.mjs, whose answers are known and come
// quickly. One conversation with a real model is in chat-smollm2.test.mjs; looks, languages and what the page must
// never do are in chat-manners.test.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { person as at } from "./chat-person.mjs";
import { misbehave } from "./library-server.mjs";
import { REPLY, tinyModel } from "./tiny-model.mjs";

const tiny = tinyModel({ layers: 2, context: 512 });
const deep = tinyModel({ layers: 200, context: 1 << 20 });
const large = tinyModel({ layers: 200, type: "f32" });
/** The one of which every answer begins after an "a" and goes through the small letters for ever. */
const endless = Buffer.from(
  tinyModel({ layers: 2, context: 1 << 14 }).toString("latin1").replace("assistant\\n", "assistant-a"), "latin1",
); // prettier-ignore
let models, browser, page, person;

before(async () => {
  const html = "<!doctype html><title>Sign in</title>".repeat(40);
  models = await misbehave({
    "/tiny.gguf": { body: tiny, cors: true, etag: '"1"' },
    "/slow.gguf": { body: large, cors: true, pace: [128 * 1024, 40] },
    "/endless.gguf": { body: endless, cors: true },
    "/deep.gguf": { body: deep, cors: true },
    "/half.gguf": { body: deep, cors: true, stall: Math.floor(deep.length / 2) },
    "/broken.gguf": { body: tinyModel({ norm: NaN }), cors: true },
    "/short.gguf": { body: tinyModel({ layers: 1, context: 64 }), cors: true },
    "/page.gguf": { body: html, type: "text/html", cors: true },
    "/cut.gguf": { body: tiny.subarray(0, tiny.length - 4096), cors: true },
    "/other.gguf": { body: Buffer.from(tiny.toString("latin1").replace("llama", "lamma"), "latin1"), cors: true },
  });
  browser = await openBrowser({
    context: { viewport: { width: 1280, height: 800 }, locale: "en-GB", acceptDownloads: true },
  });
  browser.context.setDefaultTimeout(60_000);
  page = await browser.newPage("/chat.html");
  person = at(page, models.url);
});

after(async () => {
  await browser?.close();
  await models?.close();
});

test("the first visit shows one line, the demo model and whether it fits, and fetches no weights", async () => {
  await page.waitForSelector(".fit.yes");
  assert.equal(await person.shown("#line"), "First, grind the ink.");
  const card = await person.shown("#panel");
  for (const fact of [
    "SmolLM2 135M Instruct",
    "135M parameters",
    "98.0 MB",
    "Q4_1",
    "Apache-2.0",
    "Fits in this browser.",
  ]) {
    assert.ok(card.includes(fact), `${fact}: ${card}`);
  }
  assert.match(card, /Needs \d+ MB of GPU memory/);
  assert.match(card, /Download 98\.\d MB and begin/);
  assert.equal(await page.isDisabled("#send"), true, "there is nothing to send yet");
});

test("a model on any address is judged by its head alone", async () => {
  // This server never sends the other half.
  await person.choose("half.gguf");
  await page.waitForSelector(".fit.yes");
  assert.match(await person.shown("#panel"), /half\.gguf\s+http/);
});

test("what does not fit says why, and offers what would", async () => {
  await page.click("#open-drawer");
  await person.set("contextLength", 1 << 20);
  await person.choose("deep.gguf");
  await page.waitForSelector(".fit.no");
  const card = await person.shown("#panel");
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
  await person.choose("slow.gguf");
  await page.click("#open-model");
  await page.waitForFunction(() => /\d .*· .*left/.test(document.querySelector(".pace")?.textContent ?? ""));
  const amount = await person.shown(".amount");
  assert.match(amount, /^[\d,]+ of [\d,]+ bytes$/);
  const [loaded, total] = amount.match(/[\d,]+/g).map((number) => Number(number.replaceAll(",", "")));
  // The weights of the file, without its head.
  assert.ok(total <= large.length && total > 0.9 * large.length, amount);
  assert.ok(loaded > 0 && loaded <= total, amount);
  assert.match(await person.shown(".pace"), /[\d.]+ [kM]B\/s · \d+ secs? left/);
  const bar = page.locator("[role=progressbar]");
  assert.match(await bar.getAttribute("aria-valuetext"), /^Downloading \d+%$/);
  await page.focus("#cancel-load");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#open-model");
  const focused = await page.evaluate(() => document.activeElement.id);
  assert.equal(focused, "open-model", "the keyboard goes on from where it was");
  assert.equal(await page.locator(".trouble").count(), 0, "cancelling is no trouble");
});

test("a message sent before the model is open waits for it", async () => {
  await page.click("#new");
  await person.choose("tiny.gguf");
  await page.waitForSelector("#open-model");
  await person.set("temperature", 0);
  await person.set("maxTokens", 64);
  assert.equal(await person.say("first"), REPLY);
  await person.ready();
  assert.deepEqual(await person.thread(), ["first", REPLY]);
});

test("an answer comes with its speed, its tokens and the memory in use", async () => {
  assert.match(await person.shown(".turn.assistant .meta"), /Alphabet\s*[\d.,]+ tok\/s\s*\d+ tokens/);
  assert.match(await person.shown("#stats"), /^[\d.,]+ tok\/s · \d+ \/ 512 tokens · GPU [\d.]+ [kM]B$/);
  assert.match(await person.shown("#model-facts"), /Alphabet[\s\S]*llama[\s\S]*512 tokens/);
});

test("answers are read out as sentences, politely", async () => {
  assert.equal(await page.getAttribute("#spoken", "aria-live"), "polite");
  assert.equal((await page.textContent("#spoken")).trim(), REPLY);
  assert.equal(await page.getAttribute(".turn.assistant", "aria-busy"), null);
});

test("Esc stops an answer and keeps what is there", async () => {
  await person.openModel("endless.gguf");
  await person.set("maxTokens", 16_000);
  await page.fill("#prompt", "go on");
  await page.press("#prompt", "Enter");
  await page.waitForFunction(
    () => document.querySelector(".turn.assistant[aria-busy] .answer")?.textContent.length > 3,
  );
  assert.equal(await page.getAttribute("#send", "aria-label"), "Stop");
  const begun = Date.now();
  await page.keyboard.press("Escape");
  await page.waitForSelector("#send:not(.stop)");
  assert.ok(Date.now() - begun < 3000, "stopping is felt at once");
  const meta = await person.shown(".turn.assistant:last-child .meta");
  assert.match(meta, /stopped/);
  const tokens = Number(/([\d,]+) tokens/.exec(meta)[1].replace(",", ""));
  assert.ok(tokens > 3 && tokens < 16_000, meta);
  assert.match((await person.thread()).at(-1), /^bcde/);
  await page.click("#reset-settings");
  await person.set("temperature", 0);
  await person.set("maxTokens", 64);
  await person.openModel("tiny.gguf");
});

test("answering again and editing make branches to switch between", async () => {
  const last = ".turn.assistant:last-child";
  await page.hover(last);
  assert.equal(await person.answerTo(() => page.click(`${last} .again`)), REPLY);
  assert.equal((await person.shown(`${last} .branch-place`)).trim(), "2 / 2");
  await page.click(`${last} .branch-before`);
  assert.match(await person.shown(`${last} .meta`), /stopped/);
  assert.equal((await person.shown(`${last} .branch-place`)).trim(), "1 / 2");
  assert.equal(
    await page.evaluate(() => document.activeElement.className.includes("branch-after")),
    true,
    "focus stays with the versions",
  );
  await page.keyboard.press("Enter");
  assert.equal((await person.thread()).at(-1), REPLY);

  const first = ".turn.user >> nth=0";
  await page.hover(first);
  await page.locator(first).locator(".edit").click();
  assert.equal(await page.inputValue(".editing textarea"), "first");
  await page.keyboard.press("Escape");
  assert.deepEqual((await person.thread()).slice(0, 1), ["first"], "Esc leaves it as it was");
  await page.locator(first).locator(".edit").click();
  await page.fill(".editing textarea", "second wording");
  await person.answerTo(() => page.keyboard.press("Enter"));
  assert.deepEqual(await person.thread(), ["second wording", REPLY]);
  await page.click(".turn.user .branch-before");
  assert.deepEqual(await person.thread(), ["first", REPLY, "go on", REPLY]);
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
  await person.ready();
  assert.deepEqual(models.requests(), [], "the file was kept on this device");
  assert.deepEqual(await person.thread(), ["first", REPLY, "go on", REPLY]);
  assert.equal((await person.shown(".turn.assistant:last-child .branch-place")).trim(), "2 / 2");
  assert.equal(await page.inputValue("#prompt"), "not sent yet");
  assert.equal(await page.inputValue("#system"), "Be brief.");
  assert.equal(await page.inputValue("#set-temperature"), "0");
  assert.equal(await page.inputValue("#set-maxTokens"), "64");
  assert.equal(await page.title(), "first · Inkstone");
  assert.equal(await person.say("third"), REPLY, "the conversation goes on");
});

test("conversations are renamed, saved, deleted, and come back", async () => {
  await page.click("#new");
  await person.say("to be deleted");
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
  assert.deepEqual(await person.thread(), ["to be deleted", REPLY]);
  await current.locator(".more").click();
  await page.click(".rail-menu >> text=Delete");
  await page.waitForSelector("#toast >> text=Undo");
  await page.locator(".conversation").first().click();
  assert.equal((await person.thread())[0], "first");
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

test("a dropped .gguf file opens and answers; other files are named as no models", async () => {
  assert.equal(await person.drop(["notes.txt", "x"]), true, "the frame shows while files are over the page");
  await page.waitForSelector("#toast >> text=There is no .gguf or .safetensors file among these.");
  await person.drop(["dropped.gguf", tiny]);
  await page.waitForSelector(".fit.yes");
  assert.match(await person.shown("#panel"), /dropped\s+from this device/);
  await page.click("#open-model");
  await person.ready();
  assert.equal(await person.say("from a file"), REPLY);
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
    await person.choose(file);
    // What only reading the whole file shows comes up after it was opened.
    await page.waitForSelector(".trouble, #open-model");
    if (await page.locator("#open-model").count()) await page.click("#open-model");
    await page.waitForSelector(".trouble");
    assert.match(await person.shown(".trouble-what"), sentence, file);
    await page.click(".trouble summary");
    assert.match(await person.shown(".trouble details code"), new RegExp(code), file);
    assert.ok((await person.shown(".trouble details p")).length > 30, `${file}: the details say more`);
    assert.match(await person.shown(".trouble .button"), new RegExp(button), file);
    assert.equal(await page.getAttribute("#model-button", "data-step"), "trouble");
    assert.equal(await page.inputValue("#prompt"), "typed before", file);
  }
  await page.click("#model-button");
  await page.fill("#model-name", "no model at all");
  await page.press("#model-name", "Enter");
  assert.match(await person.shown("#name-problem"), /owner\/repo/);
  assert.equal(await page.getAttribute("#model-name", "aria-invalid"), "true");
  await page.keyboard.press("Escape");
  await person.openModel("tiny.gguf");
  assert.equal(await person.answerTo(() => page.press("#prompt", "Enter")), REPLY);
});

test("weights that are no numbers are a file's trouble: the model stays open, the next one answers", async () => {
  await person.openModel("broken.gguf");
  await page.click("#new");
  for (const temperature of [0, 1]) {
    await person.set("temperature", temperature);
    await page.fill("#prompt", "say");
    await page.press("#prompt", "Enter");
    const last = page.locator(".turn.assistant:last-child");
    await last.locator(".trouble").waitFor();
    assert.match(await last.locator(".trouble-what").innerText(), /or its file is damaged/);
    await last.locator(".trouble summary").click();
    assert.equal(await last.locator(".trouble details code").innerText(), "Format");
    assert.match(await last.locator(".trouble details p").innerText(), /no token.*get the file again/);
    assert.equal(await page.getAttribute("#model-button", "data-step"), "ready");
  }
  await person.set("temperature", 0);
  await person.openModel("tiny.gguf");
  await page.hover(".turn.assistant:last-child");
  assert.equal(await person.answerTo(() => page.click(".turn.assistant:last-child .trouble .button")), REPLY);
});

test("what the drawer says is what the model is asked with", async () => {
  await page.click("#new");
  // Everything that is said to the worker, from here on.
  await page.evaluate(() => {
    window.told = [];
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (message, ...more) {
      window.told.push(JSON.parse(JSON.stringify(message)));
      return postMessage.call(this, message, ...more);
    };
  });
  const told = async (method) => {
    const all = await page.evaluate(() => window.told.splice(0));
    const [call, ...others] = all.filter((message) => message.method === method);
    assert.deepEqual(others, [], `${method} once`);
    return call.args.options;
  };
  const wanted = {
    temperature: 0.35, topP: 0.8, topK: 7, minP: 0.1, repetitionPenalty: 1.2, maxTokens: 3, seed: 41,
  }; // prettier-ignore
  for (const [name, value] of Object.entries(wanted)) await person.set(name, value);
  await page.uncheck("#reasoning");
  await person.set("contextLength", 128);
  await person.openModel("tiny.gguf");
  assert.equal((await told("load")).contextLength, 128);
  assert.match(await person.shown("#model-facts"), /128 tokens/);
  await person.say("go");
  assert.deepEqual(await told("generate"), { ...wanted, reasoning: false, onOverflow: "error" });
  // Without a seed every answer gets one of its own.
  await page.fill("#set-seed", "");
  await page.locator("#set-seed").blur();
  const seeds = [];
  for (let i = 0; i < 2; i++) {
    await person.say("again");
    seeds.push((await told("generate")).seed);
  }
  assert.ok(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) && seeds[0] !== seeds[1]);
  await page.click("#reset-settings");
  await page.check("#reasoning");
  await person.set("temperature", 0);
  await person.set("maxTokens", 64);
});

test("a conversation longer than the context offers to leave out the oldest messages", async () => {
  await person.openModel("short.gguf");
  await page.click("#new");
  await person.set("maxTokens", 1);
  await person.say("a".repeat(12));
  await page.fill("#prompt", "b".repeat(24));
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".turn.assistant .trouble");
  assert.match(await person.shown(".trouble-what"), /longer than the model can read/);
  assert.equal(await person.shown(".trouble .button"), "Leave out the oldest messages");
  assert.equal((await person.answerTo(() => page.click(".trouble .button"))).length, 1);
  assert.equal((await person.thread()).length, 4, "nothing was taken out of the conversation itself");
  await person.set("maxTokens", 64);
});

test("models kept on this device are listed with their size and can be deleted", async () => {
  await person.openModel("tiny.gguf");
  await page.click("#model-button");
  const kept = page.locator("#kept li", { hasText: "tiny.gguf" });
  await kept.waitFor();
  assert.match(await kept.locator(".amount").innerText(), /^\d+ kB$/);
  await kept.locator("button[aria-label='Delete tiny.gguf from this device']").click();
  await kept.waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  models.requests();
  await page.reload();
  await page.waitForSelector(".fit.yes");
  assert.deepEqual(models.requests(), [], "what was deleted is not fetched again unasked");
  assert.match(await person.shown("#panel"), /SmolLM2 135M Instruct/);
});

test("a link can name a model, which is looked at and not opened", async () => {
  await page.goto(`${browser.url}/chat.html?model=${encodeURIComponent(`${models.url}/tiny.gguf`)}`);
  await page.waitForSelector(".fit.yes");
  assert.match(await person.shown("#panel"), /tiny\.gguf/);
  assert.match(await person.shown("#open-model"), /^Download \d+ kB and begin$/);
});

test("a page that died while opening a model does not open it again by itself", async () => {
  await page.click("#open-model");
  await person.ready();
  await page.goto("about:blank");
  await page.goto(`${browser.url}/style.css`);
  // What a crash leaves behind: no page says goodbye then.
  await page.evaluate(
    (address) => localStorage.setItem("inkstone.opening", JSON.stringify(address)),
    `${models.url}/tiny.gguf`,
  );
  await page.goto(`${browser.url}/chat.html`);
  await page.waitForSelector("#toast >> text=was not opened again by itself");
  await page.waitForSelector("#open-model");
  assert.equal(await page.getAttribute("#model-button", "data-step"), "chosen");
});

test("no message reached the console but those of the requests that were to fail", () => {
  const expected = /404|net::ERR|Failed to load resource/;
  assert.deepEqual(page.problems.filter((problem) => !expected.test(problem)), []); // prettier-ignore
});
