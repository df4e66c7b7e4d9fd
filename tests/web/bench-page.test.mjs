// A visit to the bench page, with bench-double.js in the place of the package: it "computes" at speeds that are known, so
// that every number on the page can be told beforehand. Real kernels are measured in bench-tiny.test.mjs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach, test } from "node:test";
import { measurer, openDoubled } from "./bench-person.mjs";
import { unreadable } from "./chat-person.mjs";

let browser, page, person;
const requests = [];

before(async () => {
  browser = await openDoubled({
    context: { viewport: { width: 1280, height: 860 }, locale: "en-GB", acceptDownloads: true },
  });
  browser.context.setDefaultTimeout(15_000);
  await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  browser.context.on("request", (request) => requests.push([request.method(), request.url(), request.postData()]));
  page = await browser.newPage("/bench.html");
  person = measurer(page);
});

after(() => browser?.close());

/** Every test starts with a page that has measured nothing, and a quick double. */
beforeEach(async () => {
  await person.wish({});
  await page.reload();
  await page.waitForSelector("html[data-ready]");
});

test("the first visit says what will be measured and downloaded, and computes nothing", async () => {
  await person.startable();
  const plan = await person.shown("#plan");
  for (const words of ["SmolLM2 135M Instruct", "98.0 MB", "Tiny Emoji 64", "20.1 MB", "Fits in this browser."]) {
    assert.ok(plan.includes(words), `${words}: ${plan}`);
  }
  assert.equal(await page.locator("#want-language:checked, #want-image:checked").count(), 2);
  assert.match(plan, /Downloads 98\.0 MB\.[\s\S]*Downloads 20\.1 MB\./);
  assert.equal(await page.isVisible("#results"), false);
  assert.equal(await page.isVisible("#copy"), false);
  assert.deepEqual(await person.asked(), [], "not even the kernels are checked before someone asks for it");
});

test("it measures everything once; numbers and parts of the bound are those of the double", async () => {
  // Of each context the first run is slow and not counted; the median of the others is 50, their mean is not.
  await person.wish({ read: 1000, write: [7, 10, 50, 59], stepMs: 20 });
  await person.measure();
  const gpu = await person.table("gpu");
  assert.equal(gpu.Adapter[0], "Double | 9000");
  assert.match(gpu.Browser[0], /Chrom\w+ \d+/);
  assert.deepEqual(gpu["Tier · kernels for"], ["subgroups · generic"]);
  assert.deepEqual(gpu["Self-test"], ["3 of 3 kernels right"]);
  assert.deepEqual(gpu["Convolutions by Winograd's method"], ["1.50 times as fast, in use"]);
  assert.deepEqual(gpu["Matrix products in short tiles"], ["0.50 times as fast, not in use"]);
  assert.deepEqual(gpu["Attention in short tiles"], ["1.01 times as fast, not in use"]);
  assert.deepEqual(gpu["Reading memory"], ["10.0 GB/s"]);
  assert.deepEqual(gpu["Arithmetic, 32-bit"], ["1.00 TFLOP/s"]);

  const table = await person.table("language");
  // 2 x 135e6 x 1000 / 1e12 and, as the double slows down with the context, 100e6 x speed / 10e9.
  assert.deepEqual(table["Prefill, 128 tokens"], ["1,000 tok/s", "27%"]);
  assert.deepEqual(table["Prefill, 512 tokens"], ["1,000 tok/s", "27%"]);
  assert.deepEqual(table["First token, after 128"], ["128 ms", ""]);
  for (const context of [16, 128, 512, 1024, 2048]) {
    // Four runs after the one to warm up: the first of them meets the second speed.
    const speed = 50 / (1 + context / 10_000);
    const [shown, share] = table[`Decode, context ${context.toLocaleString("en")}`];
    assert.equal(shown, `${speed.toFixed(1)} tok/s`, `at ${context}`);
    assert.equal(share, `${Math.round(speed)}%`);
  }
  assert.match(
    await person.shown(".result.language .facts"),
    /135M parameters\s*Q4_1\s*100 MB of weights, 125 MB on the GPU in all/,
  );

  const image = await person.table("image");
  // 5.25e9 in 21 ms and 2.5e9 in 12.5, of 1e12 in a second.
  assert.deepEqual(image["Step, guided (two passes)"], ["21.0 ms", "25%"], "the median, without the first");
  assert.deepEqual(image["Decoding the picture"], ["12.5 ms", "20%"]);
  assert.deepEqual(image["Text encoder"], ["3.25 ms", ""]);
  assert.equal(await page.evaluate(() => globalThis.open), 0, "both models were disposed of");
  assert.equal(await page.getAttribute("canvas.painted", "aria-label"), "The picture that was painted");
});

test("prompts are as long as said, never begin alike, and go on past stop tokens; pictures follow the model's card", async () => {
  await person.measure();
  const asked = await person.asked();
  assert.deepEqual(asked.map(([what]) => what).filter((what, i, all) => what !== all[i - 1]), ["tune", "probe", "roofline", "load", "generate", "load", "paint"]); // prettier-ignore
  const prompts = asked.filter(([what]) => what === "generate");
  assert.deepEqual(prompts.map(([, text]) => text.length), [16, ...[16, 128, 512, 1024, 2048].flatMap((n) => [n, n, n, n])]); // prettier-ignore
  assert.equal(new Set(prompts.map(([, text]) => text.slice(0, 4))).size, prompts.length, "no prefix was read before");
  for (const [, , { raw, temperature, ignoreEos, maxTokens }] of prompts) {
    assert.deepEqual([raw, temperature, ignoreEos], [true, 0, true]);
    assert.ok(maxTokens >= 4 && maxTokens <= 128, `${maxTokens}`);
  }
  const [[, warm], [, prompt, options]] = asked.slice(-2);
  assert.notEqual(warm, prompt, "how the second is encoded was not known from the first");
  assert.equal(options.guidanceScale, 3, "what the card of the emoji model recommends");
  assert.equal(options.steps, 20);
});

test("the bars and the plot are as long as the numbers say, and can be read aloud", async () => {
  await person.wish({ read: 1000, write: [50] });
  await person.measure();
  const bars = await page.$$eval(".result.language .share-bar", (all) =>
    all.map((bar) => bar.firstElementChild.getBoundingClientRect().width / bar.getBoundingClientRect().width),
  );
  const shares = [0.27, 0.27, ...[16, 128, 512, 1024, 2048].map((n) => 0.5 / (1 + n / 10_000))];
  const close = (a, b) => a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) < 0.01);
  assert.ok(close(bars, shares), `${bars}`);
  const columns = await page.$$eval(".plot g", (all) =>
    all.map(
      (g) =>
        Number(g.querySelector(".plot-column").getAttribute("height")) /
        Number(g.querySelector(".plot-room").getAttribute("height")),
    ),
  );
  assert.ok(close(columns, shares), `${columns}`);
  assert.match(
    await page.getAttribute(".plot", "aria-label"),
    /^Parts of the bound: Prefill 128: 27%; .*Decode at context 2,048: 42%$/,
  );
});

test("the copied report says what the page says, and so does the JSON", async () => {
  await person.wish({ read: 1234, write: [43.21], stepMs: 12 });
  await person.measure();
  const text = await person.copy();
  assert.match(text, /^## Inkstone on this graphics card, \d+ \w+ \d{4}, \d\d:\d\d\n/);
  const copied = [...text.matchAll(/^\| ([^|\s](?:\\\||[^|])*) \| ((?:\\\||[^|])*) \| ([^|]*) \|$/gm)].map(
    ([, ...cells]) => cells.map((cell) => cell.replaceAll("\\|", "|").trim()),
  );
  const shown = [];
  for (const part of ["gpu", "language", "image"]) {
    for (const [label, [value, share = ""]] of Object.entries(await person.table(part)))
      shown.push([label, value, share]);
  }
  assert.ok(shown.length > 15);
  assert.deepEqual(copied, shown);
  assert.equal(await person.shown("#copy"), "Copied");

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  assert.match(download.suggestedFilename(), /^inkstone-bench-\d{4}-\d\d-\d\d\.json$/);
  const json = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.deepEqual(json.bound, { bytesPerSecond: 10e9, flopsPerSecond: 1e12 });
  assert.equal(json.gpu.kernels.length, 3);
  assert.equal(json.language.info.bytes.weights, 100e6);
  const [first] = json.language.contexts;
  assert.ok(Math.abs(first.decodeShare - (first.decodeTokensPerSecond * 100e6) / 10e9) < 1e-9);
  assert.ok(Math.abs(first.prefillShare - 2 * 135e6 * 1234 * 1e-12) < 1e-9);
  assert.equal(json.image.picture.stepMs, 13);
  assert.ok(Math.abs(json.image.picture.shares.step - 5.25e9 / 13e9) < 1e-9);
  assert.ok(Math.abs(json.image.picture.shares.decode - 0.2) < 1e-9);
});

test("it is cancelled while it loads, decodes or paints: what was measured stays", async () => {
  await person.wish({ loadMs: 5000 });
  await person.startable();
  await page.click("#start");
  await page.waitForFunction(() =>
    /^[\d,]+ of 100,000,000 bytes$/.test(document.querySelector("#progress .amount")?.textContent),
  );
  assert.equal(await person.shown("#start"), "Cancel");
  assert.equal(await page.evaluate(() => document.activeElement.id), "start", "the same button: the focus stays");
  assert.equal(await page.isDisabled("#want-image"), true, "what is being measured can't be changed");
  await page.click("#start");
  await person.done();
  assert.match(await person.shown("#results"), /Cancelled before the end/);
  assert.ok((await person.table("gpu")).Adapter, "the graphics card was measured");
  assert.deepEqual(await person.table("language"), {});

  await person.wish({ hangAt: 512 });
  await page.click("#start");
  await page.waitForFunction(() => document.querySelector(".phase")?.textContent.includes("context 512"));
  await page.keyboard.press("Escape");
  await person.done();
  const table = await person.table("language");
  assert.ok(table["Decode, context 128"] && !table["Decode, context 512"], JSON.stringify(table));
  assert.match(await person.copy(), /Cancelled before the end/);
  assert.deepEqual(await person.table("image"), {}, "what comes after is not begun");

  await person.wish({ hangAtStep: 9 });
  await page.click("#start");
  await page.waitForFunction(() => document.querySelector(".phase")?.textContent === "Painting, step 9 of 20…");
  await page.click("#start");
  await person.done();
  assert.ok((await person.table("language"))["Decode, context 2,048"]);
  assert.equal(await page.locator("canvas.painted").count(), 0);
  assert.equal(await page.locator(".trouble").count(), 0, "cancelling is no trouble");
  assert.equal(await page.evaluate(() => globalThis.open), 0, "nothing stays on the GPU");

  await person.wish({});
  await page.click("#start");
  await person.done();
  assert.doesNotMatch(await person.shown("#results"), /Cancelled/);
  assert.equal(await page.locator("canvas.painted").count(), 1);
});

test("contexts that would take too long, or that the model can't read, are left out with a note", async () => {
  await person.wish({ read: 2.2, write: [1], family: "software", contextLength: 1024 });
  await person.measure();
  const labels = Object.keys(await person.table("language"));
  assert.deepEqual(labels.slice(1), ["Prefill, 16 tokens", "First token, after 16", "Decode, context 16"]);
  assert.deepEqual(await person.notes(), [
    "This adapter computes on the CPU: its speeds say nothing of a graphics card.",
    // 128 / 2.2 + 8 tokens; 512 / 2.2 + 8
    "Context 128 is left out: one run would take about 1 min here.",
    "Context 512 is left out: one run would take about 4 mins here.",
    "Context 1,024 is left out: it is longer than the model's own.",
    "Context 2,048 is left out: it is longer than the model's own.",
  ]);
  assert.equal((await person.asked()).filter(([what, text]) => what === "generate" && text.length > 16).length, 0);
});

test("a wrong kernel is named; without a bound there are speeds, but no parts of it", async () => {
  await person.wish({ wrongKernel: true, noBound: true, noChoices: true });
  await person.measure();
  assert.equal(Object.keys(await person.table("gpu")).some((label) => /Winograd|tiles/.test(label)), false);
  assert.deepEqual((await person.table("gpu"))["Self-test"], ["2 of 3 kernels right"]);
  const wrong = await page.$$eval(".kernels tr:has(.wrong)", (rows) =>
    rows.map((row) => row.innerText.replace(/\s+/g, " ")),
  );
  assert.deepEqual(wrong, ["attention split 5.0e-1 wrong"]);
  assert.equal(await page.isVisible(".kernels table"), true, "the list is unfolded");
  assert.match(await person.copy(), /The kernel `attention` split does not agree with the CPU\./);
  assert.match((await person.notes()).join(), /The bound could not be measured \(the clock stood still\)/);
  assert.match((await person.table("language"))["Decode, context 16"][0], /tok\/s/);
  assert.equal(await page.locator(".share-of, .plot").count(), 0);
});

test("a model that can't be loaded is said so, and the other one is measured all the same", async () => {
  await person.wish({ loadError: ["Format", "the file is cut off"] });
  await person.startable();
  await page.click("#want-image");
  await person.measure();
  assert.match(await person.shown(".result.language .trouble"), /could not be measured to the end/);
  assert.match(await person.copy(), /Format: the file is cut off/);
  await person.wish({});
  await page.click("#want-image");
  await page.click("#want-language");
  await person.measure();
  assert.equal(await page.locator(".result.language").count(), 0, "what is not ticked is not measured");
  assert.equal(await page.locator("canvas.painted").count(), 1);
});

test("another model is chosen by name, or dropped; one that does not fit keeps the button from working", async () => {
  await person.startable();
  await person.choose("language", "owner/huge");
  await page.waitForSelector("#plan .fit.no");
  assert.equal(await page.isDisabled("#start"), true);
  await page.click("#want-language");
  assert.equal(await page.isDisabled("#start"), false, "it can be left out");
  await person.choose("image", "segmind/tiny-sd");
  await page.waitForSelector("#plan >> text=Tiny SD");
  const drop = (name) =>
    page.evaluate((name) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["GGUF"], name));
      for (const kind of ["dragenter", "dragover", "drop"]) {
        dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
      }
    }, name);
  await drop("mine.gguf");
  await page.waitForSelector("#plan >> text=mine");
  assert.equal(await page.isChecked("#want-language"), true, "who drops a model wants it measured");
  await drop("painter.safetensors");
  await page.waitForSelector("#plan >> text=painter");
  await person.measure();
  const loaded = (await person.asked()).filter(([what]) => what === "load").map(([, source]) => source);
  assert.deepEqual(loaded, ["mine.gguf", "painter.safetensors"]);
  assert.match(await person.shown(".result.language h3"), /mine/);
  await person.choose("image", "segmind/tiny-sd");
  await page.waitForSelector("#plan >> text=Downloads 98.0 MB."); // seen beside results, too
});

test("the page speaks Chinese as well, everywhere, and the report too", async () => {
  await person.wish({ family: "software", contextLength: 512, noBound: true, wrongKernel: true });
  await person.measure();
  await page.selectOption("#language", "zh");
  await page.click("#how summary");
  const english = await page.evaluate(() => {
    const names =
      /Inkstone|Hugging Face|owner|repo|https|gguf|Enter|Esc|CPU|GPU|Double|generic|software|subgroups|Chrom\w+|Linux|GB|MB|JSON|SmolLM2|Instruct|Tiny Emoji|the clock stood still/g;
    const seen = [];
    for (const element of document.querySelectorAll("body *")) {
      if (element.closest(".model-name, .model-facts, .brand, #toast, #spoken, script, noscript, option, .facts, .kept, .card-head, code")) continue; // prettier-ignore
      const own = [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map((node) => node.textContent);
      const said = ["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name));
      for (const text of [...own, ...said]) {
        if (text && /[a-z]{2}/i.test(text.replace(names, "")) && !/[\u4e00-\u9fff]/.test(text)) seen.push(text);
      }
    }
    return seen;
  });
  assert.deepEqual(english, []);
  const table = await person.table("language");
  assert.match(table["解码，上下文 16"][0], /^[\d.]+ 词元\/秒$/);
  const text = await person.copy();
  assert.match(text, /^## Inkstone 在这块显卡上/);
  assert.ok(text.includes(`| 解码，上下文 16 | ${table["解码，上下文 16"][0]} |`), text);
  await person.measure();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
  await page.selectOption("#language", "en");
});

test("everything has a name, and the keyboard does it all", async () => {
  await person.startable();
  assert.deepEqual(await unreadable(page), []);
  await page.focus(".skip");
  const order = [];
  for (let i = 0; i < 40 && order.at(-1) !== ""; i++) {
    await page.keyboard.press("Tab");
    const [id, framed] = await page.evaluate(() => {
      const { activeElement: at } = document;
      return [at === document.body ? "" : at.id || at.textContent, getComputedStyle(at).outlineStyle !== "none"];
    });
    assert.ok(id === "" || framed, `${id} shows that it has the focus`);
    order.push(id);
  }
  const wanted = ["want-language", "other-language", "want-image", "other-image", "start"];
  assert.deepEqual(order.filter((id) => wanted.includes(id)), wanted); // prettier-ignore
  await page.focus("#want-image");
  await page.keyboard.press("Space");
  assert.equal(
    await page.evaluate(() => document.activeElement.id),
    "want-image",
    "the focus stays on what was ticked",
  );
  await page.keyboard.press("Tab");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "start");
  await page.keyboard.press("Enter");
  await person.done();
  assert.deepEqual(await unreadable(page), []);
  assert.match(await page.textContent("#spoken"), /Measured\./);
});

test("on a phone nothing is cut off or sticks out", async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  await person.measure();
  await page.click(".kernels summary");
  const out = await page.evaluate(() => {
    const inside = [...document.querySelectorAll("#main *")].filter(
      (element) => !element.closest(".aside, .kernels .table"),
    );
    return inside
      .filter((element) => {
        const { left, right, width } = element.getBoundingClientRect();
        return width > 0 && (left < 0 || right > innerWidth + 0.5);
      })
      .map((element) => element.outerHTML.slice(0, 80));
  });
  assert.deepEqual(out, []);
  assert.equal(await page.evaluate(() => document.scrollingElement.scrollWidth > innerWidth), false);
  const small = await page.$$eval("#start, #copy, #save, #open-rail", (all) =>
    all.filter((one) => one.getBoundingClientRect().height < 39).map((one) => one.id),
  );
  assert.deepEqual(small, [], "fingers find the buttons");
  await page.click("#open-rail");
  assert.equal(await page.evaluate(() => document.getElementById("main").inert), true);
  await page.keyboard.press("Escape");
  await page.setViewportSize({ width: 1280, height: 860 });
});

test("the three pages lead to each other", async () => {
  for (const [from, to] of [
    ["bench", "chat"],
    ["chat", "bench"],
    ["bench", "paint"],
    ["paint", "bench"],
  ]) {
    // prettier-ignore
    await page.goto(`${browser.url}/${from}.html`);
    assert.equal(await page.getAttribute(".pages [aria-current]", "href"), `${from}.html`);
    assert.equal(await page.locator(`.pages a[href="${to}.html"]`).count(), 1);
  }
  await page.goto(browser.url);
  assert.equal(await page.locator('a[href="bench.html"]').count(), 1);
  await page.goto(`${browser.url}/bench.html`);
});

test("no message reached the console, nothing was sent, and nobody else was asked", () => {
  assert.deepEqual(page.problems, []);
  assert.ok(requests.some(([, address]) => address.endsWith("/pages/bench.js")), "the requests were really seen"); // prettier-ignore
  for (const [method, address, body] of requests) {
    if (/^(data|blob):/.test(address)) continue;
    assert.ok(method === "GET" && body === null && address.startsWith(browser.url), `${method} ${address}`);
  }
});

test("without WebGPU the page says what to switch on", async () => {
  await person.wish({ supported: false });
  await page.reload();
  await page.waitForSelector(".support");
  assert.match(await person.shown(".support"), /there is nothing to measure/);
  assert.equal(await page.isVisible("#start"), false);
  assert.deepEqual(await unreadable(page), []);
});
