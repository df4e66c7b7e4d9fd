// The real all-MiniLM-L6-v2 in a browser, from its files as they are published: through the package against
// sentence-transformers, and on the search page, as a person would use it.

import assert from "node:assert/strict";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fetchAsset } from "../../tools/assets.mjs";
import { openBrowser } from "./browser.mjs";
import { seeker } from "./search-person.mjs";

const golden = JSON.parse(readFileSync(new URL("../encoders/minilm.json", import.meta.url), "utf8"));
const bytes = readFileSync(new URL("../encoders/minilm.f32", import.meta.url));
const rows = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const COLUMNS = 384;
const NAMES = [
  "config.json",
  "modules.json",
  "sentence_bert_config.json",
  "config_sentence_transformers.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "1_Pooling/config.json",
  "model.safetensors",
];

let browser, page, folder;

before(async () => {
  folder = await fetchAsset("minilm");
  /** A file of the model, or a part of it. */
  const serve = (request, response) => {
    const path = join(folder, new URL(request.url, "http://x").pathname.replace("/minilm/", ""));
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return response.writeHead(404).end();
    const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const [start, end] = asked ? [Number(asked[1]), asked[2] ? Number(asked[2]) : size - 1] : [0, size - 1];
    const headers = { "content-length": end - start + 1, "accept-ranges": "bytes" };
    if (asked) headers["content-range"] = `bytes ${start}-${end}/${size}`;
    response.writeHead(asked ? 206 : 200, headers);
    if (request.method === "HEAD") return response.end();
    return createReadStream(path, { start, end }).pipe(response);
  };
  browser = await openBrowser({
    routes: { "/minilm/": serve },
    context: { viewport: { width: 1280, height: 800 }, locale: "en-GB" },
  });
  browser.context.setDefaultTimeout(120_000);
  page = await browser.newPage("/search.html");
});

after(() => browser?.close());

const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);

test("vectors are those of sentence-transformers, one by one and together", async () => {
  const said = await page.evaluate(
    async ([names, texts]) => {
      const { EmbeddingModel } = await import("/dist/inkstone.js");
      const files = Object.fromEntries(names.map((name) => [name, new URL(`/minilm/${name}`, location.href)]));
      const model = await EmbeddingModel.load(files, { quantize: "none", cache: false });
      const lists = (vectors) => vectors.map((vector) => Array.from(vector));
      const seen = [];
      const together = lists(await model.embed(texts, { onProgress: (done, total) => seen.push([done, total]) }));
      const raw = lists(await model.embed(texts, { normalize: false }));
      const alone = lists(await model.embed(texts[2]));
      const refused = await model.rerank("a", ["b"]).catch((error) => error.code);
      const ids = await model.tokenize(texts[0]);
      const { info } = model;
      await model.dispose();
      return { together, raw, alone, refused, ids: Array.from(ids), info, seen };
    },
    [NAMES, golden.texts],
  );
  const { info } = said;
  assert.deepEqual(
    [info.architecture, info.dimensions, info.maxTokens, info.pooling, info.embeds, info.reranks],
    ["bert", COLUMNS, 256, "mean", true, false],
  );
  assert.deepEqual(said.ids, golden.ids[0]);
  assert.equal(said.refused, "Unsupported");
  assert.deepEqual(said.seen.at(-1), [golden.texts.length, golden.texts.length]);
  const count = golden.texts.length;
  const [energy, error] = said.raw.flat().reduce(
    ([energy, error], v, i) => [energy + rows[i] ** 2, error + (v - rows[i]) ** 2],
    [0, 0],
  );
  console.log(`NMSE ${(error / energy).toExponential(1)} of ${count} texts, before they are of length one`);
  assert.ok(error / energy <= 1e-10);
  said.together.forEach((vector, i) => {
    const want = rows.subarray((count + i) * COLUMNS, (count + i + 1) * COLUMNS);
    assert.ok(dot(vector, want) >= 0.99999, `text ${i}`);
    assert.ok(Math.max(...vector.map((v, k) => Math.abs(v - want[k]))) <= 1e-4, `text ${i}`);
  });
  assert.ok(dot(said.alone[0], said.together[2]) > 0.9999999);
});

const NOTES = [
  "# Passports\n\nPassports are renewed at the town hall. Bring two photographs and the old passport.",
  "## Bread\n\nMix flour, water, salt and yeast, and let the dough rest for a night before it goes into the oven.",
  "## The garden\n\nTomatoes want sun and a pole. Water them in the morning, and never the leaves.",
].join("\n\n");

test("a person drops notes on the search page, asks, and finds the passage", async () => {
  const person = seeker(page);
  await person.drop(["notes.md", NOTES]);
  await page.waitForFunction(() => document.querySelectorAll(".note").length === 1);
  await person.openModel(new URL("/minilm/", page.url()).href);
  await page.fill("#question", "how do I get a new travel document?");
  await page.press("#question", "Enter");
  await page.waitForSelector("#results .passage, .passage");
  const first = await person.shown(".passage");
  assert.match(first, /town hall/, "no word of the question is in it: the model understood");
  if (process.env.INKSTONE_SHOT) await page.screenshot({ path: process.env.INKSTONE_SHOT, fullPage: true });
});
