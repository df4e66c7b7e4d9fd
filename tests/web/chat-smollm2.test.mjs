// A conversation with SmolLM2-135M-Instruct as someone has it who clones the project and runs `npm start`. Chromium
// computes on the CPU here, about a token a second: everything is asked once, and briefly.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";

/** What float32 transformers answers to these weights, and by how much each of its tokens was the likeliest. */
const golden = JSON.parse(readFileSync(new URL("../models/golden/smollm2.json", import.meta.url), "utf8"));
/** A margin below this is a tie, as in the native test. */
const TIE = 0.05;

let browser, page;

before(async () => {
  browser = await openBrowser({ context: { viewport: { width: 1280, height: 800 }, locale: "en-GB" } });
  browser.context.setDefaultTimeout(240_000);
  page = await browser.newPage("/chat.html");
});

after(() => browser?.close());

const last = ".turn.assistant:last-child";
const answer = () => page.locator(`${last} .answer`).innerText();

/** Keeps what the package tells the page: it shows neither tokens nor the time of the prompt. */
async function listen() {
  const { LanguageModel } = await import("/dist/inkstone.js");
  const { generate } = LanguageModel.prototype;
  window.results = [];
  LanguageModel.prototype.generate = function (...given) {
    const generation = generate.apply(this, given);
    generation.then(
      (result) => results.push(result),
      () => {},
    );
    return generation;
  };
}

test("the demo model is downloaded, opened and answers", async () => {
  // The card comes from the page's script: before it, a click would find nobody listening.
  await page.waitForSelector("#open-model");
  await page.evaluate(listen);
  await page.click("#open-drawer");
  for (const [name, value] of [
    ["temperature", 0],
    ["repetitionPenalty", 1],
    ["maxTokens", 8],
  ]) {
    await page.fill(`#set-${name}`, String(value));
    await page.locator(`#set-${name}`).blur();
  }
  await page.click("#close-drawer");
  await page.click("#open-model");
  await page.waitForSelector(".bar");
  await page.waitForSelector("#model-button[data-step=ready]");
  assert.equal(await page.locator("#line").innerText(), "The ink is ready.");
  await page.fill("#prompt", "What is the capital of France?");
  await page.press("#prompt", "Enter");
  await page.waitForSelector(`${last} .meta`);
  assert.match(await answer(), /The capital of France is Paris/);
  assert.match(await page.locator("#stats").innerText(), /tok\/s · \d+ \/ [\d,]+ tokens · GPU \d+ MB/);
});

test("its tokens are those of transformers, and a token of the prompt takes less time than one of the answer", async () => {
  const [chat] = golden.chats;
  assert.deepEqual(chat.messages, [{ role: "user", content: "What is the capital of France?" }]);
  const [{ tokens, usage, timings, finishReason }, ...more] = await page.evaluate(() => results);
  assert.deepEqual(more, []);
  assert.deepEqual([usage.promptTokens, usage.cachedTokens], [chat.prompt.length, 0]);
  const tie = chat.margins.findIndex((margin) => margin < TIE);
  // Before the tie, if there is one, transformers ended its turn.
  const end = chat.answer.indexOf(2);
  assert.ok(end > 5 && end < 8 && (tie < 0 || tie > end), "the golden answer is another");
  assert.deepEqual(tokens, chat.answer.slice(0, end));
  assert.equal(finishReason, "stop");
  // The token that ended it took a step too.
  const [prefill, decode] = [timings.prefillMs / usage.promptTokens, timings.decodeMs / tokens.length];
  console.log(
    `SmolLM2 in Chromium: ${tokens.length} tokens equal to transformers'; ` +
      `${(1000 / prefill).toFixed(2)} prompt tokens/s (${usage.promptTokens} in ${Math.round(timings.prefillMs)} ms), ` +
      `${(1000 / decode).toFixed(2)} tokens/s of the answer`,
  );
  assert.ok(prefill < decode, `${prefill} ms for a token of the prompt, ${decode} ms for one of the answer`);
});

test("it is stopped in the middle", async () => {
  await page.click("#open-drawer");
  await page.fill("#set-maxTokens", "64");
  await page.click("#close-drawer");
  await page.hover(last);
  await page.click(`${last} .again`);
  await page.waitForFunction(
    () => document.querySelector(".turn.assistant[aria-busy] .answer")?.textContent.trim().length > 2,
  );
  await page.click("#send.stop");
  await page.waitForSelector(`${last} .meta >> text=stopped`);
  assert.ok("The capital of France is Paris.".startsWith((await answer()).trim()), await answer());
  assert.equal((await page.locator(`${last} .branch-place`).innerText()).trim(), "2 / 2");
});

test("after a reload the conversation is there and the model opens from this device", async () => {
  const requests = [];
  browser.context.on("request", (request) => requests.push(request.url()));
  await page.reload();
  await page.waitForSelector("#model-button[data-step=ready]");
  assert.equal((await page.locator(`${last} .branch-place`).innerText()).trim(), "2 / 2");
  await page.click(`${last} .branch-before`);
  assert.match(await answer(), /Paris/);
  assert.deepEqual(
    requests.filter((address) => address.endsWith(".gguf")),
    [],
  );
  assert.deepEqual(page.problems, []);
});
