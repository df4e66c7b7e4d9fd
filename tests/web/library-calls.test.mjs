// Between page and worker: stopping, waiting, letting go, and what happens when the worker breaks.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ggufBytes } from "./library-server.mjs";
import {
  cacheList,
  context,
  files,
  hashes,
  launch,
  load,
  MIB,
  open,
  other,
  page,
  put,
  ranges,
  ROOT,
  server,
  use,
  visit,
} from "./library-shell.mjs";

// ---- stopping ------------------------------------------------------------------------------------------------------

test("a load can be aborted at any time, and the rest of the page goes on", async () => {
  const want = put("/slow.gguf", { body: ggufBytes(4 * MIB, 50), pace: [64 * 1024, 50], etag: '"1"' });
  const result = await page.evaluate(async () => {
    const out = {};
    const gone = AbortSignal.abort();
    out.before = (await load("/slow.gguf", { signal: gone })).code;
    // `moment` gets a promise of the first progress.
    const abortAt = async (moment, source) => {
      const controller = new AbortController();
      let pending;
      const progress = new Promise((onProgress) => (pending = load(source, { signal: controller.signal, onProgress })));
      await moment(progress);
      const began = performance.now();
      controller.abort();
      const { code } = await pending;
      return [code, performance.now() - began];
    };
    const soon = () => new Promise((resolve) => setTimeout(resolve, 100));
    // A machine that is busy elsewhere may be late once; it is not late three times in a row.
    const times = (job) => [0, 1, 2].reduce(async (all, _) => [...(await all), await job()], []);
    out.early = await times(() => abortAt(() => undefined, "/slow.gguf"));
    out.middle = await times(() => abortAt((progress) => progress, "/slow.gguf"));
    const first = load("/slow.gguf");
    out.queued = await times(() => abortAt(soon, "/m/queued.gguf"));
    out.first = (await first).value.hashes;
    return out;
  });
  assert.equal(result.before, "Cancelled");
  for (const phase of ["early", "middle", "queued"]) {
    for (const [code] of result[phase]) assert.equal(code, "Cancelled", phase);
    const ms = Math.min(...result[phase].map(([, ms]) => ms));
    assert.ok(ms < 100, `${phase}: ${ms} ms`);
  }
  assert.deepEqual(result.first, { "slow.gguf": want });
  const asked = ranges();
  // Only those that came before anything was kept began at the beginning; what was aborted in the queue never began.
  const fresh = asked.filter((r) => r === "/slow.gguf");
  assert.ok(fresh.length <= 4 && asked.some((r) => /^\/slow\.gguf bytes=[1-9]\d*-/.test(r)), asked.join("; "));
  assert.ok(!asked.some((r) => r.startsWith("/m/queued")), asked.join("; "));
});

test("text comes piece by piece, to every reader, and as a result", async () => {
  await hashes("/good.gguf");
  const got = await page.evaluate(async () => {
    const thought = [];
    const generation = model.generate("a b c d", {
      pace: 5,
      onReasoning: (text) => thought.push(text),
      seed: undefined,
    });
    const read = async () => {
      const pieces = [];
      for await (const piece of generation) pieces.push(piece);
      return pieces;
    };
    const [one, two] = await Promise.all([read(), read()]);
    const three = await read();
    const result = await generation;
    const messages = await model.generate([{ role: "user", content: "x y" }]);
    return {
      one,
      two,
      three,
      thought,
      text: result.text,
      reason: result.finishReason,
      options: result.options,
      messages: messages.text,
    };
  });
  assert.deepEqual(got.one, ["a", "b", "c", "d"]);
  assert.deepEqual([got.two, got.three, got.thought], [got.one, got.one, ["thinking"]]);
  assert.deepEqual([got.text, got.reason, got.messages, got.options], ["abcd", "stop", "xy", { pace: 5 }]);
  const ids = await page.evaluate(async () => [
    await model.tokenize("hi"),
    await model.tokenize("hi", { special: true }),
    await model.detokenize([104, 105]),
    Array.from(await model.logits([2, 3])),
  ]);
  assert.deepEqual(ids, [[104, 105], [104, 105, 33], "hi", [1, 1.5]]);
});

test("generations wait for each other and can be aborted while they run and while they wait", async () => {
  await hashes("/good.gguf");
  const got = await page.evaluate(async () => {
    const order = [];
    const all = ["a", "b", "c"].map((word) =>
      model.generate(`${word} ${word}`, { pace: 5 }).then(({ text }) => order.push(text)),
    );
    const scores = model.logits([1]).then(() => order.push("logits"));
    await Promise.all([...all, scores]);
    const out = { order };
    const timed = async (generation, abort) => {
      const began = performance.now();
      abort();
      const { finishReason, text, tokens } = await generation;
      return { finishReason, text, tokens, ms: performance.now() - began };
    };
    const running = model.generate("x", { maxTokens: 1000, pace: 10 });
    const controller = new AbortController();
    const waiting = model.generate("y", { signal: controller.signal });
    const after = model.generate("after");
    await new Promise((resolve) => setTimeout(resolve, 200));
    out.waiting = await timed(waiting, () => controller.abort());
    out.running = await timed(running, () => running.abort());
    out.after = (await after).text;
    out.already = await timed(model.generate("z", { signal: AbortSignal.abort() }), () => {});
    const left = model.generate("w", { maxTokens: 1000, pace: 5 });
    for await (const piece of left) break;
    out.left = (await left).finishReason;
    return out;
  });
  assert.deepEqual(got.order, ["aa", "bb", "cc", "logits"]);
  assert.deepEqual([got.waiting.finishReason, got.waiting.text, got.waiting.tokens], ["abort", "", []]);
  assert.equal(got.running.finishReason, "abort");
  assert.match(got.running.text, /^x{5,30}$/);
  assert.ok(got.waiting.ms < 100 && got.running.ms < 100, `${got.waiting.ms} ms, ${got.running.ms} ms`);
  assert.equal(got.after, "after");
  assert.deepEqual([got.already.finishReason, got.left], ["abort", "abort"]);
});

test("a refusal reaches every reader as an InkstoneError and is not reported twice", async () => {
  await hashes("/good.gguf");
  const got = await page.evaluate(async () => {
    const generation = model.generate("refuse");
    const iterate = await attempt(async () => {
      for await (const _ of generation);
    });
    const awaited = await attempt(() => generation);
    model.generate("refuse");
    const strange = await attempt(() => model.generate("strange"));
    const bad = await attempt(() => model.generate("x", { stop: Symbol("s") }));
    return [iterate, awaited, strange, bad, (await model.generate("fine")).text];
  });
  assert.deepEqual(got.slice(0, 2), Array(2).fill({ code: "TooLarge", message: "too long: shorten it" }));
  assert.equal(got[2].code, "Gpu");
  assert.equal(got[3].code, "Unsupported");
  assert.equal(got[4], "fine");
  assert.deepEqual(page.noise, []);
});

test("dispose aborts what is under way, frees, and refuses what comes later", async () => {
  await hashes("/good.gguf");
  const got = await page.evaluate(async () => {
    const running = model.generate("x", { maxTokens: 1000, pace: 5 });
    const waiting = model.generate("y");
    await new Promise((resolve) => setTimeout(resolve, 50));
    await model.dispose();
    await model.dispose();
    return [
      (await running).finishReason,
      (await waiting).finishReason,
      (await attempt(() => model.generate("z"))).code,
      (await attempt(() => model.tokenize("z"))).code,
      (await attempt(() => model.logits([1]))).code,
      (await load("/good.gguf")).value.architecture,
    ];
  });
  assert.deepEqual(got, ["abort", "abort", "Unsupported", "Unsupported", "Unsupported", "double"]);
});

// ---- the worker ----------------------------------------------------------------------------------------------------

for (const how of ["trap", "late trap"]) {
  test(`after a ${how} every call ends and the next load has a fresh worker`, async () => {
    await hashes("/good.gguf");
    const got = await page.evaluate(async (how) => {
      const other = await ink.LanguageModel.load("/good.gguf");
      const waiting = other.generate("x", { maxTokens: 10_000 });
      const trapped = await attempt(() => model.generate(how));
      const list = [
        trapped,
        await attempt(() => waiting),
        await attempt(() => other.tokenize("x")),
        await attempt(() => model.generate("x")),
      ];
      await model.dispose();
      const again = await load("/good.gguf");
      return { list, again: again.value?.architecture, text: (await window.model.generate("fine")).text };
    }, how);
    for (const { code, message } of got.list) {
      assert.equal(code, "Gpu");
      assert.match(message, /has stopped \(.*unreachable.*load the model again/);
    }
    assert.deepEqual([got.again, got.text], ["double", "fine"]);
  });
}

test("a trap while loading is an error like any other", async () => {
  assert.equal((await load("/good.gguf", { trap: true })).code, "Gpu");
  assert.equal((await load("/good.gguf")).value.architecture, "double");
});

test("a worker or a wasm that can't be had is an error that says so, and can be had later", async () => {
  const kept = { "/worker.js": files["/worker.js"], "/inkstone_wasm_bg.wasm": files["/inkstone_wasm_bg.wasm"] };
  try {
    delete files["/worker.js"];
    const noWorker = await load("/good.gguf");
    assert.equal(noWorker.code, "Fetch");
    assert.match(noWorker.message, /worker\.js/);
    files["/worker.js"] = kept["/worker.js"];
    delete files["/inkstone_wasm_bg.wasm"];
    const noWasm = await load("/good.gguf");
    assert.equal(noWasm.code, "Fetch");
    assert.match(noWasm.message, /inkstone_wasm_bg\.wasm/);
    files["/inkstone_wasm_bg.wasm"] = kept["/inkstone_wasm_bg.wasm"];
    assert.equal((await load("/good.gguf")).value.architecture, "double");
  } finally {
    Object.assign(files, kept);
  }
});

test("the entry may come from another origin", async () => {
  for (const path of ["/inkstone.js", "/worker.js", "/inkstone_wasm.js", "/inkstone_wasm_bg.wasm"]) {
    other.files[`/cdn${path}`] = { ...files[path], cors: true };
  }
  const got = await page.evaluate(async (url) => {
    window.ink = await import(url);
    return load("/good.gguf");
  }, `${other.url}/cdn/inkstone.js`);
  assert.equal(got.value?.architecture, "double", got.message);
});

test("devices get subgroups as far as the tier allows, and Rust is told what the adapter is", async () => {
  const { value } = await load("/good.gguf");
  assert.ok(value.features.includes("subgroups"), value.features.join());
  const { adapterInfo } = value.options;
  assert.deepEqual(
    [adapterInfo.vendor, adapterInfo.architecture, adapterInfo.subgroups],
    ["google", "swiftshader", true],
  );
  assert.equal(typeof adapterInfo.isFallbackAdapter, "boolean");
  const base = await load("/good.gguf", { tier: "base" });
  assert.ok(!base.value.features.includes("subgroups"));
  assert.equal(base.value.options.adapterInfo.subgroups, false);
  const probed = await page.evaluate(() => ink.probe({ tier: "base" }));
  assert.deepEqual([probed.supported, probed.adapter, probed.tier], [true, "google", "base"]);
});

test("the roofline takes the same options, passes failures on and can be cancelled", async () => {
  const found = await page.evaluate(() => ink.roofline({ tier: "base", adapter: "low-power" }));
  assert.deepEqual([found.bytesPerSecond, found.flopsPerSecond], [2e9, 3e10]);
  assert.deepEqual([found.options.tier, found.options.adapter], ["base", "low-power"]);
  assert.deepEqual([found.options.adapterInfo.vendor, found.options.adapterInfo.subgroups], ["google", false]);
  const failed = await page.evaluate(() => attempt(() => ink.roofline({ family: "refuse" })));
  assert.deepEqual(failed, { code: "Gpu", message: "the device is lost: load the model again" });
  const cancelled = await page.evaluate(() => attempt(() => ink.roofline({ signal: AbortSignal.abort() })));
  assert.equal(cancelled.code, "Cancelled");
  const late = await page.evaluate(() => {
    const stop = new AbortController();
    const measuring = attempt(() => ink.roofline({ signal: stop.signal }));
    stop.abort();
    return measuring;
  });
  assert.equal(late.code, "Cancelled");
});

test("without WebGPU, without an adapter, without a secure page: a reason, not a crash", async () => {
  const bare = await launch(["--disable-gpu", "--host-resolver-rules=MAP insecure.test 127.0.0.1"]);
  try {
    use(await open(bare));
    const refused = await load("/good.gguf");
    assert.ok(["Gpu", "Unsupported"].includes(refused.code), JSON.stringify(refused));
    const probed = await page.evaluate(() => ink.probe());
    assert.equal(probed.supported, false);
    assert.equal(probed.reason, refused.message);
    use(await open(bare, server.url.replace("localhost", "insecure.test")));
    const insecure = await load("/good.gguf");
    assert.equal(insecure.code, "Unsupported");
    assert.match(insecure.message, /https/);
    assert.deepEqual(await cacheList(), []);
    assert.equal(await page.evaluate(() => ink.cache.delete("/good.gguf")), false);
    assert.deepEqual(page.noise, []);
  } finally {
    await bare.close();
  }
});

test("the codes are the variants of the Rust error", async () => {
  const rust = await readFile(new URL("src/error.rs", ROOT), "utf8");
  const shell = await readFile(new URL("www/src/internal/generated.ts", ROOT), "utf8");
  const variants = [...rust.matchAll(/Error::(\w+)(?: \{ \.\. \})? => "(\w+)"/g)].map(
    ([, variant, code]) => (assert.equal(variant, code), code),
  );
  const codes = [
    ...shell
      .split("export const ERROR_CODES")[1]
      .split(";")[0]
      .matchAll(/"(\w+)"/g),
  ].map(([, code]) => code);
  assert.ok(variants.length >= 8);
  assert.deepEqual(codes, variants);
});

test("no request goes anywhere but to the model's files and the package's own", async () => {
  const seen = new Set();
  context.on("request", (request) => seen.add(request.url()));
  await visit(page);
  await hashes("/good.gguf");
  await page.evaluate(() => model.generate("hello"));
  const allowed = ["/", "/inkstone.js", "/worker.js", "/inkstone_wasm.js", "/inkstone_wasm_bg.wasm", "/good.gguf"].map(
    (path) => server.url + path,
  );
  assert.deepEqual(
    [...seen].filter((url) => !allowed.includes(url) && !url.startsWith("data:")),
    [],
  );
  const outside = server.requests().filter(({ path }) => !allowed.includes(server.url + path));
  assert.deepEqual(outside, []);
});
