// The bench page with the package itself: kernels, the bound and a tiny model are really measured, on SwiftShader. That
// its speeds mean nothing is what the page says of such an adapter; here it counts that they are there, and that nothing
// left the page but requests for the model's file.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { measurer } from "./bench-person.mjs";
import { openBrowser } from "./browser.mjs";
import { tinyModel } from "./tiny-model.mjs";

let browser, page, person;
const requests = [];
const model = tinyModel({ layers: 2, context: 320 });

/** The file, whole or the range that was asked for. */
function serveModel({ headers: { range } }, response) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  const [first, last] =
    from === undefined ? [0, model.length - 1] : [Number(from), Math.min(Number(to || model.length), model.length - 1)];
  const headers = { "Accept-Ranges": "bytes", "Content-Length": last - first + 1 };
  if (from !== undefined) headers["Content-Range"] = `bytes ${first}-${last}/${model.length}`;
  response.writeHead(from === undefined ? 200 : 206, headers).end(model.subarray(first, last + 1));
}

before(async () => {
  browser = await openBrowser({
    routes: { "/models/tiny.gguf": serveModel },
    context: { viewport: { width: 1280, height: 860 }, locale: "en-GB", acceptDownloads: true },
  });
  browser.context.setDefaultTimeout(60_000);
  browser.context.on("request", (request) => requests.push([request.method(), request.url(), request.postData()]));
  page = await browser.newPage("/bench.html?model=./models/tiny.gguf");
  person = measurer(page);
});

after(() => browser?.close());

test("a run is cancelled in the middle; what was measured stays", async () => {
  await page.waitForSelector("#plan >> text=tiny.gguf");
  await page.click("#want-image");
  await person.startable();
  await page.click("#start");
  await page.waitForFunction(() => document.querySelector(".phase")?.textContent.includes("context 128"));
  await page.keyboard.press("Escape");
  await person.done();
  assert.match(await person.shown("#results"), /Cancelled before the end/);
  const table = await person.table("language");
  assert.ok(table["Decode, context 16"] && !table["Decode, context 128"], JSON.stringify(table));
});

test("after that kernels, the bound and a model are measured on this adapter", async () => {
  await person.measure();
  assert.doesNotMatch(await person.shown("#results"), /Cancelled/);
  assert.equal(await page.locator(".trouble").count(), 0, await person.shown("#results"));
  const gpu = await person.table("gpu");
  assert.match(gpu.Adapter[0], /SwiftShader/i);
  assert.match(gpu["Tier · kernels for"][0], / · software$/);
  const [, right, all] = /^(\d+) of (\d+) kernels right$/.exec(gpu["Self-test"][0]);
  assert.ok(right === all && Number(all) >= 5, gpu["Self-test"][0]);
  assert.match(gpu["Reading memory"][0], /^[\d.,]+ [kMGT]B\/s$/);
  assert.match(gpu["Arithmetic, 32-bit"][0], /^[\d.,]+ [kMGT]FLOP\/s$/);
  const table = await person.table("language");
  for (const label of ["Prefill, 128 tokens", "Decode, context 16", "Decode, context 128"]) {
    const [speed, share] = table[label] ?? assert.fail(`${label}: ${Object.keys(table)}`);
    assert.ok(Number.parseFloat(speed.replaceAll(",", "")) > 0, `${label}: ${speed}`);
    assert.match(share, /^[\d.e-]+%$/, label);
  }
  assert.match((await person.notes()).join("\n"), /Context 512 is left out: it is longer than the model's own/);

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  const { bound, language } = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.ok(bound.bytesPerSecond > 0 && bound.flopsPerSecond > 0, JSON.stringify(bound));
  for (const { context, promptTokens, newTokens, runs, prefillTokensPerSecond, firstTokenMs } of language.contexts) {
    assert.ok(Math.abs(promptTokens - context) <= 8, `${promptTokens} tokens for ${context}`);
    assert.ok(newTokens >= 8 && runs >= 1);
    // Nothing of the prompt was known from an earlier run.
    const read = (prefillTokensPerSecond * firstTokenMs) / 1000;
    assert.ok(Math.abs(read - promptTokens) < 0.3 * promptTokens, `${read} tokens were read of ${promptTokens}`);
  }
});

test("nothing was asked for but the page, the package and the model, and nothing was sent", () => {
  const own = /^\/(bench\.html|style\.css|pages\/bench\.js|dist\/[\w.]+|models\/tiny\.gguf|models\/emoji\/[\w./]+)$/;
  for (const [method, address, body] of requests) {
    if (/^(data|blob):/.test(address)) continue;
    const { origin, pathname } = new URL(address);
    assert.ok(
      method === "GET" && body === null && origin === browser.url && own.test(pathname),
      `${method} ${address}`,
    );
  }
  assert.ok(
    requests.some(([, address]) => address.endsWith("tiny.gguf")),
    "the requests were really seen",
  );
  assert.deepEqual(page.problems, []);
});
