// `EmbeddingModel` of the package, with a double in the place of the wasm module: what it hands to Rust, what it makes
// of the answers, how it stops.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cacheList, files, page, ranges, visit } from "./library-shell.mjs";

const loadEncoder = (source, options) =>
  page.evaluate(
    ([source, options]) => attempt(async () => (window.encoder = await ink.EmbeddingModel.load(source, options)).info),
    [source, options],
  );
const record = { "config.json": "{}" };
/** What `job` gives or throws, run in the page. */
const attempt = (job, ...args) =>
  page.evaluate(([job, args]) => attempt(() => (0, eval)(`(${job})`)(...args)), [String(job), args]);

test("each text gets a vector of its own, in order; one text gives a list of one", async () => {
  await loadEncoder(record);
  const { value } = await attempt(async () => {
    const [long, short] = await encoder.embed(["three", "a"]);
    long[0] = 7;
    const buffers = long.buffer !== short.buffer && long.byteLength === long.buffer.byteLength;
    return { buffers, all: [long, short].map((v) => [v.constructor.name, ...v]), one: await encoder.embed("ab") };
  });
  assert.deepEqual(value.all, [
    ["Float32Array", 7, 5, 5],
    ["Float32Array", 1, 1, 1],
  ]);
  assert.equal(value.buffers, true, "one can be sent on without the others");
  assert.equal(value.one.length, 1);
  const none = await attempt(async () => [await encoder.embed([]), await encoder.rerank("q", [])]);
  assert.deepEqual(none.value, [[], []]);
});

test("options reach Rust, progress comes back text by text", async () => {
  await loadEncoder(record);
  const { value } = await attempt(async () => {
    const seen = [];
    const onProgress = (done, total) => seen.push(`${done}/${total}`);
    const [vector] = await encoder.embed(["a", "b", "c"], { dimensions: 2, onProgress });
    await encoder.rerank("q", ["a", "b"], { onProgress });
    return { seen, length: vector.length };
  });
  assert.deepEqual(value, { seen: ["1/3", "2/3", "3/3", "1/2", "2/2"], length: 2 });
  const refused = await attempt(() => encoder.embed("a", { prompt: "refuse" }));
  assert.deepEqual([refused.code, refused.message], ["Unsupported", "there is no such prompt: use another"]);
});

test("documents are scored in their own order", async () => {
  await loadEncoder(record);
  const { value } = await attempt(() => encoder.rerank("ink", ["no", "ink and ink", "ink"]));
  assert.deepEqual(value, [
    { index: 0, score: 0 },
    { index: 1, score: 2 },
    { index: 2, score: 1 },
  ]);
  assert.deepEqual((await attempt(() => encoder.tokenize("ab"))).value, [91, 97, 98, 93]);
});

test("what can't be meant is refused with its name", async () => {
  await loadEncoder(record);
  const complaint = async (job) => {
    const { code, message } = await attempt(job);
    return `${code}: ${message}`;
  };
  assert.match(await complaint(() => encoder.embed(["a", 5])), /^Unsupported: texts\[1\] is no string/);
  assert.match(await complaint(() => encoder.embed(Array(2))), /^Unsupported: texts\[0\] is no string/);
  assert.match(await complaint(() => encoder.embed(null)), /^Unsupported: the texts are no list/);
  assert.match(await complaint(() => encoder.rerank("q", "document")), /^Unsupported: the documents are no list/);
  assert.match(await complaint(() => encoder.rerank("q", [], { topK: 3 })), /`topK` is no option of rerank; known are/);
  assert.match(await complaint(() => encoder.embed("a", { dimensions: NaN })), /^Unsupported: dimensions is NaN/);
  assert.match(await complaint(() => ink.EmbeddingModel.load("/x.gguf", { lora: [{ source: "/y" }] })), /`lora` works/);
  assert.match(
    await complaint(() => ink.EmbeddingModel.load("/x.gguf", { activations: "int8" })),
    /`activations` works/,
  );
});

test("a signal stops the call that it was given to, and no other; dispose stops them all", async () => {
  await loadEncoder(record);
  const { value } = await attempt(async () => {
    const code = (promise) =>
      promise.then(
        () => "done",
        (error) => error.code,
      );
    const stop = new AbortController();
    const slow = Array(40).fill("slow");
    const begun = performance.now();
    const first = code(encoder.embed(slow, { signal: stop.signal, onProgress: () => stop.abort() }));
    const waiting = code(encoder.embed(slow, { signal: stop.signal }));
    const next = code(encoder.embed("quick"));
    const stopped = [await first, await waiting, await next, performance.now() - begun < 1500];
    const aborted = await code(encoder.rerank("q", ["a"], { signal: stop.signal }));
    const running = code(encoder.embed(slow));
    await new Promise((resolve) => setTimeout(resolve, 80));
    await encoder.dispose();
    return [...stopped, aborted, await running, await code(encoder.embed("a")), await code(encoder.tokenize("a"))];
  });
  assert.deepEqual(value, [
    "Cancelled",
    "Cancelled",
    "done",
    true,
    "Cancelled",
    "Cancelled",
    "Unsupported",
    "Unsupported",
  ]);
});

test("a model of another kind isn't asked for vectors, nor one of these for words", async () => {
  await loadEncoder(record);
  const { value } = await attempt(async () => {
    const language = await ink.LanguageModel.load("/good.gguf");
    const { text } = await language.generate("a b", { raw: true });
    return [text, (await encoder.embed("a")).length];
  });
  assert.deepEqual(value, ["ab", 1], "both live side by side in one worker");
});

test("modules in folders are read by their paths, from a server, a record and a dropped folder", async () => {
  const body = (text) => ({ body: text });
  files["/st/modules.json"] = body("[]");
  files["/st/config.json"] = body("{}");
  files["/st/1_Pooling/config.json"] = body('{"a":1}');
  const ask = ["modules.json", "config.json", "1_Pooling/config.json", "sentence_bert_config.json"];
  const { value, message } = await loadEncoder("/st/", { ask });
  assert.equal(message, undefined);
  assert.deepEqual(value.sizes, {
    "modules.json": 2,
    "config.json": 2,
    "1_Pooling/config.json": 7,
    "sentence_bert_config.json": null,
  });
  const [kept] = await cacheList();
  assert.equal(kept.files.length, 3);
  await visit(page);
  assert.equal((await loadEncoder("/st/", { ask })).value.sizes["1_Pooling/config.json"], 7);
  assert.deepEqual(
    ranges().filter((path) => path.startsWith("/st/")),
    [],
    "what is missing was noted as well",
  );

  const dropped = await attempt(async () => {
    const file = (path, text) =>
      Object.defineProperty(new File([text], path.split("/").at(-1)), "webkitRelativePath", { value: path });
    const folder = ["config.json", "1_Pooling/config.json", "README.md", ".gitattributes", "pytorch_model.bin"];
    const dropped = await ink.EmbeddingModel.load(folder.map((path) => file(`mine/${path}`, "{ hello, this is it }")));
    const record = await ink.EmbeddingModel.load({ "1_Pooling/config.json": "{}", "config.json": new Blob(["{}"]) });
    return [dropped.info.names, record.info.names];
  });
  assert.deepEqual(dropped.value, [
    ["config.json", "1_Pooling/config.json"],
    ["1_Pooling/config.json", "config.json"],
  ]);
  const alone = await attempt(() => ink.EmbeddingModel.load(new File(["# notes"], "README.md")));
  assert.match(`${alone.code}: ${alone.message}`, /^Format: README\.md: this is neither a GGUF nor a safetensors file/);
});
