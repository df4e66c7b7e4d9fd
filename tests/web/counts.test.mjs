// What the published package asks of WebGPU, counted in its worker: for a token, for a prompt, for a load. The counts
// are those of the kernels that a GPU gets (`family: "generic"`) and hold on every machine. First with a small model
// whose answers are known; then with SmolLM2-135M on a GPU that computes nothing (see meter.js), where a token takes as
// long as the host takes to ask for it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { workerHeap } from "./heap.mjs";
import { drained, misbehaviour } from "./library-server.mjs";
import { largeModel, tinyModel } from "./tiny-model.mjs";

const MIB = 2 ** 20;
const ROOM = 32 * MIB;
const TINY_LAYERS = 2;
const files = { "/m/tiny.gguf": { body: tinyModel({ layers: TINY_LAYERS }) } };
/** Much larger than what may be in memory at a time. */
const LARGE = largeModel({ layers: 10 });
const METER = await readFile(new URL("meter.js", import.meta.url), "utf8");
let browser, page, heap;
let nullGpu = false;

before(async () => {
  const blank = (_, response) =>
    response
      .writeHead(200, { "content-type": "text/html" })
      .end("<!doctype html><link rel=icon href=data:,><title>t</title>");
  browser = await openBrowser({
    routes: { "/m/": misbehaviour(files, []), "/large.gguf": largeFile, "/blank": blank },
    args: ["--enable-precise-memory-info"],
  });
  browser.context.setDefaultTimeout(300_000);
  await browser.context.route("**/dist/worker.js", async (route) => {
    const response = await route.fetch();
    const body = `globalThis.nullGpu = ${nullGpu};\n${METER}\n${await response.text()}`;
    await route.fulfill({ response, body });
  });
});

after(() => browser?.close());

afterEach(async () => {
  assert.deepEqual(page.problems, []);
  await page.close();
});

/** The file of LARGE, made up while it is sent. */
async function largeFile(request, response) {
  const { head, size } = LARGE;
  const filling = Buffer.alloc(MIB, 0x11);
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(from ? 206 : 200, {
    "content-length": size - from,
    "accept-ranges": "bytes",
    ...(from && { "content-range": `bytes ${from}-${size - 1}/${size}` }),
  });
  for (let at = from; at < size && !response.destroyed;) {
    const piece = at < head.length ? head.subarray(at) : filling.subarray(0, size - at);
    at += piece.length;
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

/** A page with a fresh worker, and what the tests do there. */
async function open({ computes }) {
  nullGpu = !computes;
  page = await browser.newPage();
  await page.goto(`${browser.url}/blank`);
  await page.evaluate(async () => {
    window.ink = await import("/dist/inkstone.js");
    window.meter = () =>
      new Promise((resolve) => {
        const channel = new BroadcastChannel("meter");
        channel.onmessage = ({ data }) => (channel.close(), resolve(data));
        channel.postMessage("?");
      });
    // What happened between two readings of the meter.
    window.counted = async (job) => {
      const { flows: before } = await meter();
      const answer = await job();
      const { flows, ...rest } = await meter();
      const difference = Object.fromEntries(Object.entries(flows).map(([key, n]) => [key, n - before[key]]));
      return { ...difference, ...rest, answer };
    };
    await ink.cache.bytes(); // starts the worker
  });
  heap = await workerHeap(page);
}

/** Loads a model and tells what that took; the heaps of page and worker are looked at all the while. */
async function load(source, options) {
  const idle = await heap();
  const loading = page.evaluate(
    async ([source, options]) => {
      const heap = () => performance.memory.usedJSHeapSize;
      const idle = heap();
      let most = 0;
      const onProgress = (p) => {
        most = Math.max(most, heap() - idle);
        window.progress = p;
      };
      // The self-test would be counted too, and has its own tests.
      const how = { cache: false, family: "generic", selfTest: false, onProgress, ...options };
      window.model = await ink.LanguageModel.load(source, how);
      return { info: model.info, heap: most, ...(await meter()) };
    },
    [source, options],
  );
  const looks = [];
  for (let over = false; !over;) {
    over = await Promise.race([loading.then(() => true), new Promise((resolve) => setTimeout(resolve, 20))]);
    looks.push((await heap()) - idle);
  }
  // What is there on five looks in a row is held.
  const held = looks.map((_, i) => Math.min(...looks.slice(Math.max(0, i - 4), i + 1)));
  return { ...(await loading), worker: { most: Math.max(0, ...held.slice(4)), looks: looks.length } };
}

/** An answer of exactly `tokens` tokens, and what it took. */
async function answer(text, tokens, options) {
  const counts = await page.evaluate(
    ([text, options]) => counted(async () => await model.generate(text, options)),
    [text, { raw: true, ignoreEos: true, seed: 5, maxTokens: tokens, ...options }],
  );
  assert.equal(counts.answer.tokens.length, tokens);
  return counts;
}

const WAYS = {
  greedy: { temperature: 0 },
  sampled: { temperature: 0.8, topK: 20, topP: 0.9 },
  penalised: { temperature: 0.8, repetitionPenalty: 1.1, frequencyPenalty: 0.1 },
};

const created = ({ buffers, bindGroups, pipelines, modules }) => ({ buffers, bindGroups, pipelines, modules });
const NOTHING = { buffers: 0, bindGroups: 0, pipelines: 0, modules: 0 };
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;

function print(title, rows) {
  console.log(`\n${title}`);
  for (const [what, got, most] of rows) {
    console.log(`  ${what.padEnd(44)} ${String(got).padStart(12)}   at most ${most}`);
  }
}

/** What must hold of loading, whatever the model. */
function checkLoad(title, { info, levels, order, wasm, heap, worker, ...counts }) {
  const { weights, cache } = info.bytes;
  const most = 1.05 * weights + cache + ROOM;
  print(`${title}: loading`, [
    ["GPU bytes at any moment", mib(levels.peak), mib(most)],
    ["wasm memory", mib(wasm), "64.0 MiB"],
    ["the page's heap above idle", mib(heap), "32.0 MiB"],
    [`the worker's, ${worker.looks} times looked at`, mib(worker.most), "32.0 MiB"],
    ["pipelines", counts.flows.pipelines, "-"],
    ["kernels run before the last weight came", order.firstDispatch < order.lastWeight ? "yes" : "no", "-"],
  ]);
  assert.ok(levels.peak <= most, `${levels.peak} bytes on the GPU`);
  assert.ok(weights > 0 && counts.flows.written >= weights * 0.95, "the weights went over the queue");
  assert.ok(wasm > 0 && wasm <= 64 * MIB, `${wasm} bytes of wasm memory`);
  assert.ok(heap <= 32 * MIB, `${heap} bytes of heap`);
  assert.ok(worker.most <= 32 * MIB, `${worker.most} bytes of the worker's heap`);
  // Whatever is read after the first weight is read after it was written.
  const { lastPipeline, firstWeight } = order;
  assert.ok(lastPipeline > 0 && lastPipeline < firstWeight, "a pipeline was made after weights had come");
  assert.ok(order.firstWeight < order.lastWeight);
  assert.ok(order.firstDispatch < order.lastWeight, "kernels are warmed while the weights arrive");
}

/** What must hold of any answer. */
function checkAnswer(what, counts) {
  assert.deepEqual(created(counts), NOTHING, `${what}: created`);
  assert.equal(counts.mapped, 64 * counts.maps, `${what}: bytes read back`);
  assert.ok(counts.batches.length === counts.submits, `${what}: submits`);
  assert.ok(
    counts.batches.every(({ passes }) => passes <= 2),
    `${what}: passes of a submit`,
  );
}

/**
 * What must hold of a token: `few` and `many` are answers to the same text that differ by `tokens` tokens. `weights`:
 * the bytes of the model's; `again`: to how many ranges of them two dispatches of a token are bound.
 */
function checkTokens(title, { layers, weights, again }, tokens, few, many) {
  const per = (key) => (many[key] - few[key]) / tokens;
  const dispatches = per("dispatches");
  const steps = many.batches.slice(1);
  print(`${title}: one token`, [
    ["dispatches", dispatches, 5 * layers + 5],
    ["submits", per("submits").toFixed(3), 1],
    ["compute passes", per("passes").toFixed(3), 2],
    ["buffers, bind groups, pipelines, modules", Object.values(created(many)).join(", "), 0],
    ["writeBuffer calls", per("writes"), 1],
    ["bytes read back at a time", many.mapped / many.maps, 64],
    ["weights that are bound", mib(steps[0].weights), mib(weights)],
    ["ranges of them that are bound once more", steps[0].again, again],
  ]);
  for (const counts of [few, many]) checkAnswer(title, counts);
  assert.ok(Number.isInteger(dispatches) && dispatches > 0 && dispatches <= 5 * layers + 5, `${dispatches} dispatches`);
  assert.ok(per("submits") <= 1);
  assert.ok(per("passes") <= 2);
  assert.ok(few.writes <= 4, `${few.writes} writes for a call`);
  assert.equal(per("writes"), 0, "a token needs nothing from the host");
  assert.ok(per("maps") <= 1);
  for (const step of steps) {
    assert.ok(step.weights <= weights && step.weights >= 0.95 * weights, `${step.weights} bytes of weights are bound`);
    assert.equal(step.again, again, "ranges of weights that are bound once more");
  }
  return dispatches;
}

/** What must hold of a prompt whose answer is one token. */
function checkPrompt(title, layers, counts) {
  checkAnswer(title, counts);
  assert.equal(counts.answer.usage.promptTokens, 512);
  const chunks = counts.batches.slice(0, -1).map(({ dispatches }) => dispatches);
  const [each] = chunks;
  const head = counts.batches.at(-1).dispatches - each;
  print(`${title}: a prompt of 512 tokens`, [
    ["chunks", counts.submits, "-"],
    ["dispatches for each", each, 9 * layers],
    ["for the first token", head, 5],
    ["read-backs", counts.maps, 1],
    ["writeBuffer calls", counts.writes, counts.submits + 2],
  ]);
  assert.ok(chunks.every((dispatches) => dispatches === each) && each <= 9 * layers, `${chunks} dispatches`);
  assert.ok(head > 0 && head <= 5, `${head} dispatches for the first token`);
  assert.equal(counts.maps, 1);
  assert.ok(counts.writes <= counts.submits + 2);
}

/** Answers of 256 tokens to `text`: per token, the best of some tries, because the machine may have other work. */
async function timed(text, dispatches, { live, peak }) {
  const tries = [];
  for (let i = 0; i < 5; i++) {
    const { maps, starved, levels, batches, answer: said } = await answer(text, 256, WAYS.greedy);
    const steps = batches.slice(1).map(({ dispatches: n, ms }) => ms / (n / dispatches));
    tries.push({ batch: 256 / maps, starved, ms: median(steps), speed: said.timings.tokensPerSecond });
    assert.deepEqual([levels.live, levels.peak], [live, peak], "bytes after many tokens");
  }
  const best = (key, pick) => pick(...tries.map((one) => one[key]));
  return {
    batch: best("batch", Math.max),
    starved: best("starved", Math.min),
    ms: best("ms", Math.min),
    speed: best("speed", Math.max),
  };
}

/** Everything that the model had on the GPU is gone. */
async function checkDisposed() {
  const { levels } = await page.evaluate(async () => (await model.dispose(), meter()));
  assert.equal(levels.live, 0, "bytes that are left on the GPU");
}

test("a small model that computes", async () => {
  await open({ computes: true });
  // A GPU's kernels take long on a CPU: little is asked.
  const loaded = await load("/m/tiny.gguf", { contextLength: 64 });
  checkLoad("tiny", loaded);
  assert.deepEqual([loaded.info.tier, loaded.info.family], ["subgroups", "generic"]);
  const { live, peak } = loaded.levels;

  const model = { layers: TINY_LAYERS, weights: loaded.info.bytes.weights, again: 0 };
  for (const [way, options] of Object.entries(WAYS)) {
    const few = await answer("xyza", 1, options);
    const many = await answer("xyza", 9, options);
    checkTokens(`tiny, ${way}`, model, 8, few, many);
    if (way === "greedy") assert.equal(many.answer.text, "bcdefghij");
    assert.deepEqual([many.levels.live, many.levels.peak], [live, peak], "bytes after some tokens");
  }
  await checkDisposed();
});

test("SmolLM2-135M where computing takes no time", async () => {
  const layers = 30;
  await open({ computes: false });
  const loaded = await load("/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", { contextLength: 4352 });
  checkLoad("SmolLM2-135M", loaded);

  // The embedding, a row of which is read, is the output as well: two planes.
  const model = { layers, weights: loaded.info.bytes.weights, again: 2 };
  let dispatches;
  for (const [way, options] of Object.entries(WAYS)) {
    await answer("Once upon a time", 2, options);
    const few = await answer("Once upon a time", 1, options);
    const many = await answer("Once upon a time", 65, options);
    dispatches = checkTokens(`SmolLM2-135M, ${way}`, model, 64, few, many);
  }
  checkPrompt("SmolLM2-135M", layers, await answer(" one".repeat(512), 1, WAYS.greedy));

  const { batch, starved, ms, speed } = await timed("Once upon a time", dispatches, loaded.levels);
  print("SmolLM2-135M: 256 tokens", [
    ["tokens to a mapAsync (at least 4)", batch.toFixed(1), "-"],
    ["results that found the GPU without work", starved, 8],
    ["host time to record a token, ms", ms.toFixed(3), 0.5],
    ["tokens a second, where the host is the limit", speed.toFixed(0), "-"],
  ]);
  assert.ok(batch >= 4, "tokens to a mapAsync");
  // The first, the second and the last, and a few of a machine that stalls; there are 36.
  assert.ok(starved <= 8, "waits of the GPU for the host");
  assert.ok(ms <= 0.5, "host time to record a token");

  // What a GPU spends on looking back grows with the context; what it is asked, and what that costs the host, does not.
  const at = {};
  for (const length of [100, 4000]) {
    const text = " one".repeat(length);
    const whole = await answer(text, 1, WAYS.greedy);
    assert.equal(whole.answer.usage.promptTokens, length);
    const few = await answer(text, 1, WAYS.greedy);
    const many = await answer(text, 65, WAYS.greedy);
    const each = checkTokens(`SmolLM2-135M after ${length} tokens`, model, 64, few, many);
    at[length] = { dispatches: each, ...(await timed(text, dispatches, loaded.levels)) };
  }
  print("SmolLM2-135M: a token after 4,000 others to one after 100", [
    ["dispatches", at[4000].dispatches / at[100].dispatches, 1],
    ["host time", (at[4000].ms / at[100].ms).toFixed(2), 1.5],
    ["tokens a second, where the host is the limit", (at[4000].speed / at[100].speed).toFixed(2), "-"],
  ]);
  assert.equal(at[4000].dispatches, at[100].dispatches);
  assert.ok(at[4000].ms <= 1.5 * at[100].ms, "host time after a long text");
  await checkDisposed();
});

test("a model of 647 MB passes through, and stopping it on the way leaves nothing", async () => {
  await open({ computes: false });
  const begun = performance.now();
  const loaded = await load("/large.gguf");
  const seconds = (performance.now() - begun) / 1000;
  checkLoad(`${(LARGE.size / 1e6).toFixed(0)} MB, in ${seconds.toFixed(1)} s`, loaded);
  assert.ok(loaded.info.bytes.weights > 600e6);
  assert.ok(loaded.worker.looks >= 15, `looked at the worker's heap ${loaded.worker.looks} times`);
  await checkDisposed();

  const stopped = await page.evaluate(async () => {
    const controller = new AbortController();
    let at;
    const onProgress = ({ phase, loaded, total }) => {
      if (phase === "download" && loaded > total / 4) at = (controller.abort(), loaded);
    };
    const options = { cache: false, family: "generic", selfTest: false };
    const code = await ink.LanguageModel.load("/large.gguf", { ...options, signal: controller.signal, onProgress }).then(
      () => "loaded",
      (error) => error.code,
    );
    // The worker answers in turn: after this one it has put away what the stopped load had made.
    const next = await ink.LanguageModel.load("/m/tiny.gguf", options);
    await next.dispose();
    return { code, at, ...(await meter()) };
  });
  assert.deepEqual([stopped.code, stopped.levels.live], ["Cancelled", 0]);
  assert.ok(stopped.at < LARGE.size / 2, `it was stopped after ${stopped.at} bytes`);
  assert.ok(stopped.flows.written > loaded.flows.written + LARGE.size / 5, "some of it had reached the GPU");
});
