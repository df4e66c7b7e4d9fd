// The package as it is published, in a browser: a small model of which every answer is known is loaded from everywhere
// a model can be, spoken with, broken in every way, and let go of.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { readGguf, tinyFolder } from "./library-folder.mjs";
import { misbehaviour } from "./library-server.mjs";
import { REPLY, tinyModel } from "./tiny-model.mjs";

const files = {};
const log = [];
const GGUF = tinyModel({ type: "f32" });
let browser, page;

/** Counts what the worker holds on the GPU, and tells it when asked. */
const ACCOUNT = `
{
  const living = new Map();
  const create = GPUDevice.prototype.createBuffer;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = create.call(this, descriptor);
    living.set(buffer, this);
    return buffer;
  };
  const destroy = GPUBuffer.prototype.destroy;
  GPUBuffer.prototype.destroy = function () {
    living.delete(this);
    return destroy.call(this);
  };
  const end = GPUDevice.prototype.destroy;
  GPUDevice.prototype.destroy = function () {
    for (const [buffer, device] of living) if (device === this) living.delete(buffer);
    return end.call(this);
  };
  const channel = new BroadcastChannel("account");
  const bytes = () => [...living.keys()].reduce((sum, { size }) => sum + size, 0);
  channel.onmessage = () => channel.postMessage({ bytes: bytes(), buffers: living.size });
}
`;

before(async () => {
  browser = await openBrowser({ routes: { "/m/": misbehaviour(files, log), "/blank": blank } });
  await browser.context.route("**/dist/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${ACCOUNT}\n${await response.text()}` });
  });
  page = await browser.newPage();
  await visit();
});

after(() => browser?.close());

// One page and one worker for all tests: after each of them they must be as good as new.
beforeEach(async () => {
  await page.evaluate(() => ink.cache.clear());
  page.problems.length = 0;
  requests();
});

function blank(_, response) {
  response
    .writeHead(200, { "content-type": "text/html" })
    .end("<!doctype html><link rel=icon href=data:,><title>t</title>");
}

async function visit() {
  await page.goto(`${browser.url}/blank`);
  await page.evaluate(async () => {
    window.ink = await import("/dist/inkstone.js");
    window.attempt = async (job) => {
      try {
        return { value: await job() };
      } catch (error) {
        if (!(error instanceof ink.InkstoneError)) throw error;
        return { code: error.code, message: error.message };
      }
    };
    // The model that is there goes when another has come.
    window.load = (source, options) =>
      attempt(async () => {
        const fresh = await ink.LanguageModel.load(source, options);
        await window.model?.dispose();
        window.model = fresh;
        return fresh.info;
      });
    window.chat = async (text, options) => (await model.generate([{ role: "user", content: text }], options)).text;
    window.account = () =>
      new Promise((resolve) => {
        const channel = new BroadcastChannel("account");
        channel.onmessage = ({ data }) => (channel.close(), resolve(data));
        channel.postMessage("?");
      });
    window.bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
    window.sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  });
  // A device is dropped with its last model, and its kernels with it: this one keeps both.
  const keeper = put("/m/keeper.gguf", GGUF);
  await page.evaluate(async (path) => (window.keeper = await ink.LanguageModel.load(path, { cache: false })), keeper);
}

function put(path, body, behaviour = {}) {
  files[path] = { body, ...behaviour };
  return path;
}

const load = (source, options) => page.evaluate(([s, o]) => load(s, o), [source, options]);
const chat = (text, options) => page.evaluate(([t, o]) => chat(t, o), [text, options]);
const requests = () => log.splice(0).map(({ path, range }) => (range ? `${path} ${range}` : path));

/** Loads what must load. */
async function loaded(source, options) {
  const { value, code, message } = await load(source, options);
  assert.equal(code, undefined, message);
  return value;
}

/** What every test ends with: the model answers as it should, and nothing was said on the console. */
async function stillWell({ problems = 0 } = {}) {
  assert.equal(await chat("hello"), REPLY);
  const panics = page.problems.filter((text) =>
    /panick|unreachable|RuntimeError|recursive use|null pointer/i.test(text),
  );
  assert.deepEqual(panics, []);
  assert.ok(page.problems.length <= problems, page.problems.join("\n"));
}

// ---- from everywhere -----------------------------------------------------------------------------------------------

test("a model by URL: what it says of itself, its answer, its progress", async () => {
  const seen = await page.evaluate(
    async (path) => {
      const seen = [];
      await load(path, { onProgress: (p) => seen.push(p) });
      return seen;
    },
    put("/m/tiny.gguf", GGUF),
  );
  const info = await page.evaluate(() => model.info);
  assert.deepEqual(
    [info.architecture, info.name, info.quantization, info.contextLength, info.vocabulary],
    ["llama", "Alphabet", "F32", 512, 259],
  );
  const { tensors } = readGguf(GGUF);
  assert.equal(
    info.parameters,
    tensors.reduce((sum, { data }) => sum + data.length / 4, 0),
  );
  assert.ok(info.bytes.weights > 0 && info.bytes.cache > 0 && info.bytes.scratch > 0);
  assert.ok(["base", "subgroups", "f16"].includes(info.tier) && info.adapter.length > 0);
  const download = seen.filter(({ phase }) => phase === "download");
  assert.ok(
    download.length > 0 &&
      download.every((p, i) => p.file === "tiny.gguf" && p.total === GGUF.length && p.loaded >= (download[i - 1]?.loaded ?? 0)),
  );
  assert.equal(download.at(-1).loaded, GGUF.length);
  assert.equal(seen.at(-1).phase, "ready");
  assert.deepEqual(requests(), ["/m/tiny.gguf"]);
  await stillWell();
});

test("progress counts the bytes of all files that hold weights, and each once", async () => {
  const shards = Object.entries(tinyFolder({ shards: 3 }));
  for (const [name, body] of shards) put(`/m/counted/${name}`, body);
  const seen = await page.evaluate(async () => {
    const seen = [];
    await load("/m/counted/", { cache: false, onProgress: (p) => p.phase === "download" && seen.push(p) });
    return seen;
  });
  const weights = shards.filter(([name]) => name.endsWith(".safetensors"));
  const total = weights.reduce((sum, [, body]) => sum + body.length, 0);
  assert.ok(seen.every((p) => p.total === total));
  assert.deepEqual([...new Set(seen.map(({ file }) => file))], weights.map(([name]) => name)); // prettier-ignore
  // What is there before the first report are the headers.
  const headers = weights.reduce((sum, [, body]) => sum + 8 + Number(body.readBigUInt64LE(0)), 0);
  const steps = seen.map(({ loaded }, i) => loaded - (seen[i - 1]?.loaded ?? headers));
  assert.ok(steps.every((step) => step > 0));
  assert.equal(headers + steps.reduce((a, b) => a + b, 0), total);
  await stillWell();
});

test("the same model from URL, File, Blob, records, a folder and shards: the same tokens and logits", async () => {
  put("/m/tiny.gguf", GGUF);
  for (const [name, body] of Object.entries(tinyFolder())) put(`/m/folder/${name}`, body);
  for (const [name, body] of Object.entries(tinyFolder({ shards: 5 }))) put(`/m/shards/${name}`, body);
  const result = await page.evaluate(async (names) => {
    const gguf = new Blob([await bytes("/m/tiny.gguf")]);
    const folder = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, new Blob([await bytes(`/m/folder/${name}`)])])),
    );
    const sources = {
      url: "/m/tiny.gguf",
      absolute: new URL("/m/tiny.gguf", location.href),
      file: new File([gguf], "my model.gguf"),
      blob: gguf,
      record: { "x.gguf": gguf },
      "record of URLs": { "x.gguf": "/m/tiny.gguf" },
      folder: "/m/folder/",
      shards: "/m/shards/",
      "folder as record": folder,
      "folder as files": names.map((name) => new File([folder[name]], name)),
    };
    const ids = [66, 67, 1, 200, 5, 68, 69];
    const out = {};
    for (const [name, source] of Object.entries(sources)) {
      const { code, message } = await load(source, { quantize: "none" });
      if (code) out[name] = { code, message };
      else {
        const { text, tokens } = await model.generate([{ role: "user", content: "hello" }]);
        out[name] = { text, tokens, logits: Array.from(await model.logits(ids)) };
        await model.dispose();
      }
    }
    return out;
  }, Object.keys(tinyFolder()));
  for (const [name, { text, tokens, logits, message }] of Object.entries(result)) {
    assert.equal(message, undefined, name);
    assert.equal(text, REPLY, name);
    assert.deepEqual(tokens, result.url.tokens, name);
    assert.equal(logits.length, 7 * 259);
    const [error, power] = logits.reduce(([e, p], x, i) => [e + (x - result.url.logits[i]) ** 2, p + x * x], [0, 0]);
    assert.ok(error / power <= 1e-6, `${name}: NMSE ${error / power}`);
  }
  // A folder is asked for files that it needn't have, and browsers remark on each.
  assert.ok(
    page.problems.every((text) => /404/.test(text)),
    page.problems.join("\n"),
  );
});

test("the second visit needs no network", async () => {
  put("/m/again.gguf", GGUF);
  const folder = tinyFolder({ shards: 2 });
  for (const [name, body] of Object.entries(folder)) put(`/m/again/${name}`, body);
  await loaded("/m/again.gguf");
  await loaded("/m/again/");
  const kept = await page.evaluate(() => ink.cache.list());
  assert.deepEqual(
    kept.map(({ source, complete }) => [source, complete]),
    [
      [`${browser.url}/m/again/`, true],
      [`${browser.url}/m/again.gguf`, true],
    ],
  );
  assert.equal(kept[1].bytes, GGUF.length);
  assert.equal(
    kept[0].bytes,
    Object.values(folder).reduce((sum, { length }) => sum + length, 0),
  );
  assert.equal(await page.evaluate(() => ink.cache.bytes()), kept[0].bytes + kept[1].bytes);
  await visit();
  requests();
  await page.evaluate(() => navigator.storage.estimate());
  await browser.context.route("**/m/**", (route) => route.abort("internetdisconnected"));
  try {
    for (const source of ["/m/again.gguf", "/m/again/"]) {
      await loaded(source);
      assert.equal(await chat("hello"), REPLY);
    }
    assert.deepEqual(requests(), []);
    assert.equal(await page.evaluate(() => ink.cache.delete("/m/again.gguf")), true);
    assert.equal((await load("/m/again.gguf")).code, "Fetch");
    await loaded("/m/again/");
  } finally {
    await browser.context.unroute("**/m/**");
  }
  await stillWell({ problems: Infinity });
});

test("a broken connection while loading is mended, or an error that the page survives", async () => {
  const big = tinyModel({ type: "f32", layers: 8 });
  put("/m/broken.gguf", big, { etag: '"1"', drop: [big.length / 2] });
  await loaded("/m/broken.gguf");
  await stillWell({ problems: Infinity });
  put("/m/frail.gguf", big, { etag: '"1"', drop: [big.length / 2], dropAlways: 0 });
  const { code, message } = await load("/m/frail.gguf");
  assert.equal(code, "Fetch");
  assert.match(message, /frail\.gguf.*load again/);
  assert.equal(await chat("hello"), REPLY);
  delete files["/m/frail.gguf"].dropAlways;
  requests();
  await loaded("/m/frail.gguf");
  const [request, ...more] = requests();
  assert.match(request, /bytes=[1-9]\d*-$/);
  assert.deepEqual(more, []);
  await stillWell({ problems: Infinity });
});

// ---- speaking with it ----------------------------------------------------------------------------------------------

test("text as it appears is the text of the result; tokens and texts go back and forth", async () => {
  await loaded(put("/m/tiny.gguf", GGUF));
  const got = await page.evaluate(async () => {
    const generation = model.generate([{ role: "user", content: "hello" }]);
    const pieces = [];
    for await (const piece of generation) pieces.push(piece);
    const { tokens, ...result } = await generation;
    const raw = await model.generate("a", { raw: true, maxTokens: 30 });
    const stopped = await model.generate("a", { raw: true, maxTokens: 100, stop: ["xyz", "klm"] });
    const ids = await model.tokenize("Grüße, 世界! <|im_end|>");
    return {
      pieces,
      tokens,
      result,
      detokenized: await model.detokenize(tokens),
      raw,
      stopped,
      round: await model.detokenize(ids),
      plain: ids.at(-1),
      special: await model.tokenize("x<|im_end|>", { special: true }),
      logprobs: (await model.generate("a", { raw: true, maxTokens: 2, logprobs: 3 })).logprobs,
    };
  });
  assert.ok(got.pieces.length > 1, "the text came in one piece");
  assert.equal(got.pieces.join(""), REPLY);
  assert.equal(got.result.text, REPLY);
  assert.equal(got.detokenized, REPLY);
  assert.equal(got.result.finishReason, "stop");
  assert.equal(got.result.usage.completionTokens, got.tokens.length);
  assert.ok(
    got.result.usage.promptTokens > 20 && got.result.timings.prefillMs > 0 && got.result.timings.tokensPerSecond > 0,
  );
  assert.deepEqual(
    [got.raw.text, got.raw.finishReason, got.raw.tokens.length],
    ["bcdefghijklmnopqrstuvwxyzabcde", "length", 30],
  );
  assert.deepEqual([got.stopped.text, got.stopped.finishReason], ["bcdefghij", "stop"]);
  assert.equal(got.round, "Grüße, 世界! <|im_end|>");
  assert.ok(got.plain > 2);
  assert.equal(got.special.at(-1), 2);
  assert.equal(got.logprobs.length, 2);
  assert.ok(
    got.logprobs.every(
      ({ token, logprob, top }) =>
        top.length === 3 && top[0].token === token && top[0].logprob === logprob && logprob <= 0,
    ),
  );
  await stillWell();
});

test("work on a prompt is reused, and one seed gives one text", async () => {
  await loaded(put("/m/tiny.gguf", GGUF));
  const got = await page.evaluate(async () => {
    const first = await model.generate("abcabcabcabc", { raw: true, maxTokens: 4 });
    const same = await model.generate("abcabcabcabc", { raw: true, maxTokens: 4 });
    const branch = await model.generate("abcabcXYZ", { raw: true, maxTokens: 4 });
    const warm = { raw: true, maxTokens: 24, temperature: 8, seed: 7 };
    const seeds = [
      await model.generate("q", warm),
      await model.generate("q", warm),
      await model.generate("q", { ...warm, seed: 8 }),
    ];
    return { first, same, branch, seeds: seeds.map(({ text }) => text) };
  });
  assert.equal(got.first.usage.cachedTokens, 0);
  assert.ok(got.same.usage.cachedTokens >= 11, JSON.stringify(got.same.usage));
  assert.equal(got.same.text, got.first.text);
  assert.equal(got.branch.usage.cachedTokens, 6);
  assert.equal(got.seeds[0], got.seeds[1]);
  assert.notEqual(got.seeds[0], got.seeds[2]);
});

test("two models speak at the same time, each in its turn", async () => {
  const other = tinyModel({ type: "q8_0", layers: 3 });
  put("/m/one.gguf", GGUF);
  put("/m/two.gguf", other);
  const got = await page.evaluate(async () => {
    const [one, two] = await Promise.all([
      ink.LanguageModel.load("/m/one.gguf"),
      ink.LanguageModel.load("/m/two.gguf"),
    ]);
    const ask = (model, text) => model.generate(text, { raw: true, maxTokens: 12 }).then(({ text }) => text);
    const texts = await Promise.all([
      ask(one, "a"),
      ask(two, "f"),
      ask(one, "m"),
      ask(two, "t"),
      two.logits([70]).then((l) => l.length),
    ]);
    await one.dispose();
    texts.push(await ask(two, "c"));
    await window.model.dispose();
    window.model = two;
    return texts;
  });
  assert.deepEqual(got, ["bcdefghijklm", "ghijklmnopqr", "nopqrstuvwxy", "uvwxyzabcdef", 259, "defghijklmno"]);
  await stillWell();
});

test("every tier and another family of kernels say the same", async () => {
  put("/m/tiny.gguf", GGUF);
  // The other family with subgroups, whose kernels take SwiftShader long, speaks in counts.test.mjs.
  for (const options of [{ tier: "base" }, { tier: "subgroups" }, { tier: "base", family: "generic" }]) {
    // The kernels are tested by what they say here.
    const info = await loaded("/m/tiny.gguf", { ...options, selfTest: false });
    assert.deepEqual([info.tier, info.family], [options.tier, options.family ?? "software"]);
    const text = await page.evaluate(async () => (await model.generate("a", { raw: true, maxTokens: 6 })).text);
    assert.equal(text, "bcdefg", JSON.stringify(options));
    await page.evaluate(() => model.dispose());
  }
});

test("what is multiplied is rounded to eight bits where that was allowed and is quicker, and hardly differs", async () => {
  put("/m/tiny.gguf", tinyModel());
  await page.evaluate(async () => {
    const { vendor, architecture, device, description } = (await navigator.gpu.requestAdapter()).info;
    const key = JSON.stringify([1, vendor, architecture, device, description, "base", "generic", "int8"]);
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("inkstone", { create: true });
    const stream = await (await folder.getFileHandle("choices.json", { create: true })).createWritable();
    await stream.write(JSON.stringify({ [key]: ["int8 prompts", "int8 tokens"] }));
    await stream.close();
  });
  const said = [];
  for (const activations of ["f32", "int8"]) {
    // These kernels are tested by what they say here.
    const how = { tier: "base", family: "generic", tune: true, selfTest: false, activations };
    const info = await loaded("/m/tiny.gguf", how);
    assert.deepEqual(info.choices, activations === "int8" ? ["int8 prompts", "int8 tokens"] : []);
    const options = { raw: true, maxTokens: 2, logprobs: 3 };
    const { tokens, logprobs } = await page.evaluate((o) => model.generate("abcd", o), options);
    said.push({ tokens, logprobs: logprobs.map(({ logprob }) => logprob) });
  }
  const [usual, rounded] = said;
  assert.deepEqual(usual.tokens, rounded.tokens);
  // The first token comes of the prompt's products, the second of a token's.
  const differences = usual.logprobs.map((l, i) => Math.abs(l - rounded.logprobs[i]));
  assert.ok(differences.length === 2 && differences.every((d) => d > 0 && d < 0.05), JSON.stringify(said));
  assert.deepEqual(await load("/m/tiny.gguf", { activations: "int4" }), {
    code: "Unsupported",
    message: 'an option is wrong (`activations`: unknown name `int4`; known are f32, int8); see LoadOptions in the documentation',
  });
  await page.evaluate(() => model.dispose());
});

test("floats become eight or four bits while they stream, and the answer stays", async () => {
  put("/m/tiny.gguf", GGUF);
  const sizes = {};
  for (const [quantize, name] of [
    ["none", "F32"],
    ["q8", "Q8_0"],
    ["q4", "Q4_0"],
  ]) {
    const info = await loaded("/m/tiny.gguf", { quantize });
    assert.equal(info.quantization, name);
    sizes[quantize] = info.bytes.weights;
    assert.equal(await chat("hello"), REPLY, quantize);
  }
  // 34 bytes for 32 floats' 128, 18 for all but the embeddings and the output.
  assert.ok(sizes.q8 < sizes.none * 0.3 && sizes.q4 < sizes.q8, JSON.stringify(sizes));
  await stillWell();
});

// ---- bad input -----------------------------------------------------------------------------------------------------

test("what isn't a model is refused with a code and a sentence, and the next call works", async () => {
  put("/m/page.gguf", "<!doctype html><title>app</title>", { type: "text/html" });
  put("/m/short.gguf", GGUF.subarray(0, 3000));
  put("/m/cut.gguf", GGUF.subarray(0, GGUF.length - 4000));
  put("/m/noise.gguf", Buffer.alloc(5000, 7));
  const unknown = Buffer.from(GGUF);
  unknown.write("lLama", unknown.indexOf("llama"), "latin1");
  put("/m/unknown.gguf", unknown);
  const folder = tinyFolder();
  for (const [name, body] of Object.entries(folder)) if (name !== "tokenizer.json") put(`/m/mute/${name}`, body);
  await loaded(put("/m/tiny.gguf", GGUF));
  const wanted = {
    "/m/none.gguf": ["Fetch", /none\.gguf.*404/],
    "/m/none/": ["Fetch", /config\.json.*404/],
    "/m/page.gguf": ["Format", /HTML/],
    "/m/short.gguf": ["Format", /short\.gguf/],
    "/m/cut.gguf": ["Format", /cut\.gguf/],
    "/m/noise.gguf": ["Format", /noise\.gguf/],
    "/m/unknown.gguf": ["Unsupported", /lLama/],
    "/m/mute/": ["Format", /tokenizer\.json/],
    "": ["Unsupported", /./],
    "not a source": ["Unsupported", /not a source/],
  };
  for (const [source, [code, text]] of Object.entries(wanted)) {
    const answer = await page.evaluate((source) => attempt(() => ink.LanguageModel.load(source)), source);
    assert.equal(answer.code, code, `${source}: ${JSON.stringify(answer)}`);
    assert.match(answer.message, text, source);
    assert.match(answer.message, /\w{3,}/);
  }
  await stillWell({ problems: Infinity });
  assert.deepEqual(
    (await page.evaluate(() => ink.cache.list())).filter(({ complete }) => complete).map(({ source }) => source),
    [`${browser.url}/m/tiny.gguf`],
  );
});

test("hundreds of damaged files: each is refused or loads, none takes the worker down", async () => {
  const small = tinyModel({ type: "q8_0", layers: 1 });
  await loaded(put("/m/tiny.gguf", GGUF));
  const headEnd = small.indexOf("tokenizer.ggml.tokens");
  const got = await page.evaluate(
    async ([path, headEnd]) => {
      const good = await bytes(path);
      const codes = {};
      let state = 12345;
      const random = (n) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n;
      for (let i = 0; i < 300; i++) {
        let damaged = good.slice();
        if (i % 4 === 0) damaged = damaged.subarray(0, random(good.length));
        // Most flips go where the numbers are, not into the vocabulary.
        else for (let n = 0; n <= i % 3; n++) damaged[random(i % 2 ? headEnd : good.length)] ^= 1 << random(8);
        const answer = await attempt(() => ink.LanguageModel.load(new File([damaged], "damaged.gguf")));
        codes[answer.code ?? "loaded"] = (codes[answer.code ?? "loaded"] ?? 0) + 1;
        if (answer.code && !(answer.message.length > 10)) throw new Error(`no sentence: ${answer.message}`);
        if (answer.code) continue;
        // What loads is not to be trusted either: it says something, or why it doesn't.
        const { value, code } = await attempt(() => answer.value.generate("a", { raw: true, maxTokens: 2 }));
        const said = code ? `answering: ${code}` : typeof value.text === "string" && "answered";
        codes[said] = (codes[said] ?? 0) + 1;
        await answer.value.dispose();
        // The one beside it does not notice.
        if (i % 20 === 1 && (await keeper.generate("a", { raw: true, maxTokens: 2 })).text !== "bc") throw new Error(i);
      }
      return codes;
    },
    [put("/m/small.gguf", small), headEnd],
  );
  console.log(`damaged files: ${JSON.stringify(got)}`);
  const { answered, "answering: Format": mute = 0, ...loads } = got;
  assert.equal(
    Object.values(loads).reduce((a, b) => a + b, 0),
    300,
  );
  assert.ok(got.Format > 100, JSON.stringify(got));
  assert.ok(answered > 20 && answered + mute === got.loaded, JSON.stringify(got));
  assert.equal(got.Gpu, undefined);
  await stillWell();
});

test("calls that can't be answered are refused with a code, and the model goes on", async () => {
  await loaded(put("/m/tiny.gguf", GGUF));
  const got = await page.evaluate(async () => {
    const code = async (job) => {
      const { code, message, value } = await attempt(job);
      if (code && !message) throw new Error("no message");
      return code ?? `answered: ${JSON.stringify(value)?.slice(0, 60)}`;
    };
    const chat = (content, options) => () => model.generate([{ role: "user", content }], options);
    return {
      empty: await code(() => model.generate([])),
      nothing: await code(() => model.generate(undefined)),
      number: await code(() => model.generate(5)),
      role: await code(() => model.generate([{ content: "x" }])),
      content: await code(() => model.generate([{ role: "user", content: 5 }])),
      part: await code(() => model.generate([{ role: "user", content: [{ type: "image_url", image_url: "x" }] }])),
      long: await code(chat("x".repeat(600))),
      longer: await code(chat("x".repeat(600), { onOverflow: "truncate-oldest", maxTokens: 3 })),
      temperature: await code(chat("x", { temperature: -1 })),
      nan: await code(chat("x", { topP: NaN })),
      stop: await code(chat("x", { stop: 5 })),
      format: await code(chat("x", { responseFormat: { type: "regex", pattern: "a" } })),
      unknown: await code(() => model.logits([1_000_000])),
      none: await code(() => model.logits([])),
      many: await code(() => model.logits(Array(600).fill(5))),
      detokenize: await code(() => model.detokenize([5_000_000])),
      surrogate: await code(chat("\ud800", { maxTokens: 1 })),
      file: await code(() => ink.LanguageModel.load(5)),
      context: await code(() => ink.LanguageModel.load("/m/tiny.gguf", { contextLength: -5 })),
      quantize: await code(() => ink.LanguageModel.load("/m/tiny.gguf", { quantize: "q99" })),
      tier: await code(() => ink.LanguageModel.load("/m/tiny.gguf", { tier: "best" })),
      lora: await code(() => ink.LanguageModel.load("/m/tiny.gguf", { lora: [{ source: "/m/l.gguf" }] })),
    };
  });
  const answered = ["longer", "surrogate"];
  for (const [name, code] of Object.entries(got)) {
    if (answered.includes(name)) assert.match(code, /^answered/, name);
    else if (!["none", "detokenize"].includes(name))
      assert.match(code, /^(Unsupported|TooLarge|Format)$/, `${name}: ${code}`);
  }
  assert.equal(got.long, "TooLarge");
  assert.equal(got.many, "TooLarge");
  await stillWell();
});

test("a template that refuses a conversation is heard in its own words, and takes the next one", async () => {
  const folder = tinyFolder();
  const config = JSON.parse(folder["tokenizer_config.json"]);
  config.chat_template = `{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}${config.chat_template}`;
  folder["tokenizer_config.json"] = JSON.stringify(config);
  const source = Object.fromEntries(
    Object.entries(folder).map(([name, body]) => [name, put(`/m/strict/${name}`, body)]),
  );
  await loaded(source, { cache: false });
  const talk = [
    { role: "system", content: "be kind" },
    { role: "user", content: "hello" },
  ];
  const got = await page.evaluate(async (talk) => {
    const generation = model.generate(talk);
    const pieces = [];
    const heard = await attempt(async () => {
      for await (const piece of generation) pieces.push(piece);
    });
    return { awaited: await attempt(() => generation), heard, pieces };
  }, talk);
  for (const { code, message } of [got.awaited, got.heard])
    assert.deepEqual([code, message], ["Format", "chat template: System role not supported"]);
  assert.deepEqual(got.pieces, []);
  await stillWell();
});

test("without WebGPU and without an adapter loading says why", async () => {
  for (const [webgpu, code] of [
    ["absent", "Unsupported"],
    ["refused", /^(Gpu|Unsupported)$/],
  ]) {
    const bare = await openBrowser({ webgpu, routes: { "/m/": misbehaviour(files, log), "/blank": blank } });
    try {
      const page = await bare.newPage("/blank");
      const got = await page.evaluate(async () => {
        const ink = await import("/dist/inkstone.js");
        const probed = await ink.probe();
        try {
          await ink.LanguageModel.load("/m/tiny.gguf");
        } catch (error) {
          return { code: error.code, message: error.message, probed, right: error instanceof ink.InkstoneError };
        }
      });
      assert.match(got.code, new RegExp(code), webgpu);
      assert.equal(got.right, true);
      assert.deepEqual([got.probed.supported, got.probed.reason], [false, got.message]);
      assert.deepEqual(page.problems, []);
    } finally {
      await bare.close();
    }
  }
});

// ---- stopping and letting go ---------------------------------------------------------------------------------------

test("abort is answered within 100 ms in every phase", async () => {
  const big = tinyModel({ type: "f32", layers: 12 });
  put("/m/slow.gguf", big, { pace: [64 * 1024, 60], etag: '"1"' });
  await loaded(put("/m/tiny.gguf", GGUF));
  const got = await page.evaluate(async () => {
    const out = {};
    const early = new AbortController();
    early.abort();
    out.before = [(await load("/m/slow.gguf", { signal: early.signal })).code, 0];
    for (const phase of ["download", "compile"]) {
      const controller = new AbortController();
      let began;
      const { code } = await attempt(() =>
        ink.LanguageModel.load("/m/slow.gguf", {
          cache: false,
          signal: controller.signal,
          onProgress: (p) => {
            if (p.phase !== phase || began) return;
            began = performance.now();
            controller.abort();
          },
        }),
      );
      out[phase] = [code ?? "loaded", began === undefined ? 0 : performance.now() - began];
    }
    const starting = new AbortController();
    const pending = attempt(() => ink.LanguageModel.load("/m/tiny.gguf", { tier: "base", signal: starting.signal }));
    await sleep(300);
    const began = performance.now();
    starting.abort();
    out.starting = [(await pending).code, performance.now() - began];
    const finish = async (generation, abort, wait) => {
      await wait;
      const began = performance.now();
      abort();
      const { finishReason, text } = await generation;
      return [finishReason, performance.now() - began, text];
    };
    const options = { raw: true, ignoreEos: true, maxTokens: 10_000, onOverflow: "shift" };
    const running = model.generate("a", options);
    const queued = model.generate("b", options);
    out.queued = await finish(queued, () => queued.abort(), sleep(50));
    for await (const piece of running) break;
    out.left = [(await running).finishReason, 0];
    const decode = model.generate("a", options);
    const reader = decode[Symbol.asyncIterator]();
    out.decode = await finish(decode, () => decode.abort(), reader.next());
    const controller = new AbortController();
    const prefill = model.generate("x".repeat(480), { ...options, signal: controller.signal });
    out.prefill = await finish(prefill, () => controller.abort(), sleep(0));
    return out;
  });
  console.log(
    Object.entries(got)
      .map(([phase, [what, ms]]) => `abort ${phase}: ${what} after ${ms.toFixed(1)} ms`)
      .join("\n"),
  );
  for (const phase of ["before", "download", "compile", "starting"]) assert.equal(got[phase][0], "Cancelled", phase);
  for (const phase of ["queued", "left", "decode", "prefill"]) assert.equal(got[phase][0], "abort", phase);
  for (const [phase, [, ms]] of Object.entries(got)) assert.ok(ms < 100, `${phase}: ${ms} ms`);
  assert.equal(got.queued[2], "");
  assert.match(got.decode[2], /./, "nothing was said before the abort");
  assert.ok("bcdefghijklmnopqrstuvwxyza".repeat(30).startsWith(got.decode[2]), got.decode[2]);
  await stillWell();
});

test("a real model is stopped as promptly, though each of its steps takes long", async () => {
  const info = await loaded("/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", { cache: false, contextLength: 512 });
  assert.deepEqual([info.architecture, info.quantization, info.contextLength], ["llama", "Q4_1", 512]);
  const got = await page.evaluate(async () => {
    const out = {};
    const stop = async (generation) => {
      const began = performance.now();
      generation.abort();
      const { finishReason, usage } = await generation;
      return [finishReason, performance.now() - began, usage.completionTokens];
    };
    const prefill = model.generate([{ role: "user", content: "word ".repeat(200) }]);
    await sleep(400);
    out.prefill = await stop(prefill);
    const decode = model.generate("Once", { raw: true });
    const { value } = await decode[Symbol.asyncIterator]().next();
    await sleep(200);
    out.decode = await stop(decode);
    // A stopped call leaves nothing behind in what the next one sees.
    const { text } = await model.generate("Once upon a", { raw: true, maxTokens: 1 });
    await model.dispose();
    return { ...out, value, text };
  });
  for (const phase of ["prefill", "decode"]) {
    const [what, ms, tokens] = got[phase];
    console.log(`SmolLM2, abort ${phase}: ${what} after ${ms.toFixed(1)} ms, ${tokens} tokens`);
    assert.equal(what, "abort");
    assert.ok(ms < 100, `${phase}: ${ms} ms`);
  }
  assert.equal(got.prefill[2], 0);
  assert.ok(got.decode[2] >= 1 && got.value !== "");
  assert.equal(got.text, " time");
});

test("dispose leaves no byte on the GPU, be it in the middle of a sentence or of a load", async () => {
  put("/m/tiny.gguf", GGUF);
  put("/m/large.gguf", tinyModel({ type: "f32", layers: 12 }), { pace: [256 * 1024, 20] });
  const got = await page.evaluate(async () => {
    await window.model?.dispose();
    const out = { before: await account() };
    await load("/m/tiny.gguf");
    out.loaded = await account();
    await model.dispose();
    out.disposed = await account();
    for (let i = 0; i < 5; i++) {
      await load("/m/tiny.gguf");
      const speaking = model.generate("a", { raw: true, maxTokens: 10_000, onOverflow: "shift" });
      for await (const piece of speaking) {
        void model.dispose();
        break;
      }
      await model.dispose();
      if ((await speaking).finishReason !== "abort") throw new Error("it went on");
    }
    out.speaking = await account();
    for (const phase of ["download", "compile"]) {
      const controller = new AbortController();
      const onProgress = (p) => p.phase === phase && controller.abort();
      const { code } = await load("/m/large.gguf", { signal: controller.signal, onProgress, cache: false });
      if (code !== "Cancelled") throw new Error(`not cancelled: ${code}`);
    }
    await load(new File([new Uint8Array(5000)], "x.gguf"));
    // The worker answers in turn: after this one it has put away what the aborted loads had made.
    await load("/m/tiny.gguf");
    await model.dispose();
    out.aborted = await account();
    await load("/m/tiny.gguf");
    window.keeper.dispose();
    await model.dispose();
    out.empty = await account();
    window.keeper = await ink.LanguageModel.load("/m/tiny.gguf", { cache: false });
    await load("/m/tiny.gguf");
    return out;
  });
  console.log(
    `GPU: ${Object.entries(got)
      .map(([when, { bytes, buffers }]) => `${when} ${bytes} in ${buffers}`)
      .join(", ")}`,
  );
  assert.ok(got.loaded.bytes > got.before.bytes + GGUF.length / 2);
  for (const when of ["disposed", "speaking", "aborted"]) assert.deepEqual(got[when], got.before, when);
  assert.deepEqual(got.empty, { bytes: 0, buffers: 0 });
  await stillWell();
});

test("probe and estimate tell what to expect", async () => {
  put("/m/tiny.gguf", GGUF);
  const got = await page.evaluate(async () => ({
    probed: await ink.probe(),
    before: await ink.estimate("/m/tiny.gguf"),
    info: (await load("/m/tiny.gguf")).value,
    after: await ink.estimate("/m/tiny.gguf"),
    huge: await attempt(() => ink.estimate("/m/none.gguf")),
  }));
  const { probed, before, info, after, huge } = got;
  assert.equal(probed.supported, true);
  assert.ok(
    probed.adapter.length > 0 && probed.budgetBytes > 0 && probed.kernels.every(({ ok }) => ok),
    JSON.stringify(probed),
  );
  assert.ok(Object.values(probed.limits).every((limit) => typeof limit === "number"));
  assert.deepEqual([before.fits, before.download, after.download], [true, GGUF.length, 0]);
  const used = info.bytes.weights + info.bytes.cache + info.bytes.scratch;
  // Activations are reckoned at their widest.
  const scratch = 64 * 1024 * 1024;
  assert.ok(before.gpu >= used && before.gpu <= used + scratch, `estimated ${before.gpu}, used ${used}`);
  assert.equal(huge.code, "Fetch");
  await stillWell({ problems: Infinity });
});

test("no request leaves for anywhere but the model's files", async () => {
  put("/m/tiny.gguf", GGUF);
  const seen = [];
  const note = (request) => seen.push(request.url());
  browser.context.on("request", note);
  try {
    await visit();
    await loaded("/m/tiny.gguf");
    assert.equal(await chat("hello"), REPLY);
  } finally {
    browser.context.off("request", note);
  }
  const own = [
    "/blank",
    "/dist/inkstone.js",
    "/dist/worker.js",
    "/dist/inkstone_wasm.js",
    "/dist/inkstone_wasm_bg.wasm",
    "/m/keeper.gguf",
    "/m/tiny.gguf",
  ];
  const outside = seen.filter((url) => !own.includes(url.slice(browser.url.length)) && !url.startsWith("data:"));
  assert.deepEqual(outside, []);
  assert.ok(seen.includes(`${browser.url}/m/tiny.gguf`));
});
