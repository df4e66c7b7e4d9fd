// Where models come from and where they are kept: what a source is, streaming from servers of every kind, the store.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ggufBytes, sha256 } from "./library-server.mjs";
import {
  bundle,
  cacheList,
  context,
  files,
  hashes,
  load,
  MIB,
  other,
  page,
  put,
  ranges,
  server,
  use,
  visit,
} from "./library-shell.mjs";

// ---- sources -------------------------------------------------------------------------------------------------------

test("a source is understood as api.md says", async () => {
  await page.goto(`${server.url}/models/`);
  const rows = await page.evaluate(async () => {
    const { describeSource } = await import("/source.js");
    const folder = (path) =>
      Object.defineProperty(new File(["x"], path.split("/").pop()), "webkitRelativePath", { value: path });
    const tell = (source, hub) => {
      try {
        const { kind, key, url, repo, revision, file, quantization, files, hub: at } = describeSource(source, hub);
        if (kind === "files") return files.map(({ name, content }) => `${name}:${typeof content}`).join(" ");
        return kind === "url" ? `url ${url}` : ["hub", at, repo, revision, file, quantization, key].join(" | ");
      } catch (error) {
        return error.code;
      }
    };
    return [
      tell("HuggingFaceTB/SmolLM2-135M-Instruct"),
      tell(" owner/repo@v1.0 "),
      tell("owner/repo@refs/pr/1"),
      tell("owner/repo/file.gguf"),
      tell("owner/repo/sub/file.Q4_0.gguf@abc"),
      tell("owner/repo@abc/sub/file.gguf"),
      tell("owner/repo:Q8_0"),
      tell("https://huggingface.co/owner/repo"),
      tell("huggingface.co/owner/repo/tree/main"),
      tell("https://huggingface.co/owner/repo/blob/main/a/file.gguf?download=true"),
      tell("hf.co/owner/repo/resolve/v2/file.gguf"),
      tell("owner/repo", "https://mirror.test/"),
      tell("https://mirror.test/owner/repo/blob/main/x.gguf", "https://mirror.test"),
      tell("model.gguf"),
      tell("a/model.gguf"),
      tell("./a/b/model.gguf?x=1#y"),
      tell("../a/b.safetensors"),
      tell("/a/b/c/model.gguf"),
      tell("some/folder/"),
      tell("https://host.test/folder/"),
      tell(new URL("https://host.test/a.gguf")),
      tell("https://huggingface.co/datasets/a/b"),
      tell(new File(["x"], "a.gguf")),
      tell(new Blob(["x"])),
      tell([folder("top/config.json"), folder("top/sub/x.json")]),
      tell([new File(["x"], "config.json"), new File(["x"], "model.safetensors")]),
      tell({
        "config.json": "{}",
        "a.jinja": "{{ x }}\n",
        "b.json": "./b.json",
        "c.json": new URL("https://c.test/c"),
        d: new Blob([]),
      }),
      tell(""),
      tell("gpt2"),
      tell("owner/repo/readme.md"),
      tell("http://["),
      tell([]),
      tell({}),
      tell(undefined),
      tell(null),
      tell(5),
      tell({ "config.json": 5 }),
    ];
  });
  const hub = "https://huggingface.co";
  const base = server.url;
  assert.deepEqual(rows, [
    `hub | ${hub} | HuggingFaceTB/SmolLM2-135M-Instruct |  |  |  | HuggingFaceTB/SmolLM2-135M-Instruct`,
    `hub | ${hub} | owner/repo | v1.0 |  |  | owner/repo@v1.0`,
    `hub | ${hub} | owner/repo | refs/pr/1 |  |  | owner/repo@refs/pr/1`,
    `hub | ${hub} | owner/repo |  | file.gguf |  | owner/repo/file.gguf`,
    `hub | ${hub} | owner/repo | abc | sub/file.Q4_0.gguf |  | owner/repo/sub/file.Q4_0.gguf@abc`,
    `hub | ${hub} | owner/repo | abc | sub/file.gguf |  | owner/repo/sub/file.gguf@abc`,
    `hub | ${hub} | owner/repo |  |  | Q8_0 | owner/repo:Q8_0`,
    `hub | ${hub} | owner/repo |  |  |  | owner/repo`,
    `hub | ${hub} | owner/repo |  |  |  | owner/repo`,
    `hub | ${hub} | owner/repo |  | a/file.gguf |  | owner/repo/a/file.gguf`,
    `hub | ${hub} | owner/repo | v2 | file.gguf |  | owner/repo/file.gguf@v2`,
    "hub | https://mirror.test | owner/repo |  |  |  | owner/repo",
    "hub | https://mirror.test | owner/repo |  | x.gguf |  | owner/repo/x.gguf",
    `url ${base}/models/model.gguf`,
    `url ${base}/models/a/model.gguf`,
    `url ${base}/models/a/b/model.gguf?x=1`,
    `url ${base}/a/b.safetensors`,
    `url ${base}/a/b/c/model.gguf`,
    `url ${base}/models/some/folder/`,
    "url https://host.test/folder/",
    "url https://host.test/a.gguf",
    "url https://huggingface.co/datasets/a/b",
    "a.gguf:object",
    ":object",
    "config.json:object sub/x.json:object",
    "config.json:object model.safetensors:object",
    "config.json:object a.jinja:object b.json:string c.json:string d:object",
    ...Array(10).fill("Unsupported"),
  ]);
});

test("of a hub repository the files that make a model are picked", async () => {
  const { body } = await bundle("www/src/internal/hub.ts");
  const { pickFiles } = await import(`data:text/javascript;base64,${Buffer.from(body).toString("base64")}`);
  const pick = (names, quantization) => {
    try {
      return pickFiles(names, "o/r", quantization).join(" ");
    } catch (error) {
      return `${error.code}: ${error.message}`;
    }
  };
  assert.equal(pick(["README.md", "m.Q8_0.gguf", "m-Q4_K_M.gguf", "m.Q4_0.gguf"]), "m-Q4_K_M.gguf");
  assert.equal(pick(["m-q8_0.gguf", "m-q4_0.gguf", "mmproj-m-f16.gguf"]), "m-q4_0.gguf");
  assert.equal(pick(["m.F16.gguf", "m.BF16.gguf", "m.Q2_K.gguf"]), "m.F16.gguf");
  assert.equal(pick(["sub/Q4_K_M.gguf"]), "sub/Q4_K_M.gguf");
  assert.equal(pick(["m.Q8_0.gguf", "m.Q4_0.gguf"], "q8_0"), "m.Q8_0.gguf");
  assert.equal(pick(["whatever.gguf"]), "whatever.gguf");
  assert.equal(pick(["m.Q4_K_M-00001-of-00002.gguf", "m.Q4_K_M-00002-of-00002.gguf", "m.Q2_K.gguf"]), "m.Q2_K.gguf");
  assert.match(pick(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]), /^Unsupported: .*in parts.*merge/);
  assert.match(pick(["m.Q8_0-00001-of-00002.gguf", "m.Q4_0.gguf"], "Q8_0"), /^Unsupported: .*in parts/);
  assert.match(pick(["a.gguf", "b.gguf"]), /^Unsupported: .*Name one.*a\.gguf, b\.gguf/);
  assert.match(pick(["m.Q4_0.gguf"], "Q9_9"), /^Unsupported: .*Name one/);
  const small = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
  ];
  assert.equal(
    pick([...small, "model.safetensors", "onnx/model.onnx", "pytorch_model.bin", "README.md"]),
    [...small, "model.safetensors"].join(" "),
  );
  const shards = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
  ];
  assert.equal(pick([...small, ...shards, "original/consolidated.safetensors"]), [...small, ...shards].join(" "));
  assert.equal(pick([...small, ...shards, "model.safetensors"]), [...small, "model.safetensors"].join(" "));
  assert.match(pick([...small, "model.safetensors"], "Q4_0"), /^Unsupported: .*quantize/);
  assert.match(pick(["config.json", "pytorch_model.bin"]), /^Unsupported: .*pickled PyTorch/);
  // What Sentence Transformers writes: modules in folders with a number; a file of the root is the first of the list.
  const modules = ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"];
  const encoder = ["config.json", "config_sentence_transformers.json", "model.safetensors", "modules.json"];
  encoder.push("sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json");
  const sorted = ([first, ...rest]) => [first, ...rest.sort()].join(" ");
  const others2 = ["onnx/model.onnx", "onnx/config.json", "pytorch_model.bin", "vocab.txt"];
  const picked = pick([...modules, ...encoder, ...others2]).split(" ");
  const rest = encoder.filter((name) => name !== "modules.json");
  assert.equal(sorted(picked), sorted(["modules.json", ...modules, ...rest]));
  const moved = ["0_Transformer/config.json", "0_Transformer/model.safetensors", "0_Transformer/tokenizer.json"];
  const [pooling, list] = ["1_Pooling/config.json", "modules.json"];
  assert.equal(pick([pooling, ...moved, list]), [list, pooling, ...moved].join(" "));
  const shards2 = moved.map((name) => name.replace("model.safetensors", "model-00001-of-00001.safetensors"));
  assert.equal(pick(["modules.json", ...shards2, "0_Transformer/model.safetensors"]).includes("-00001"), false);
  const pickled = ["config.json", "pytorch_model.bin"];
  assert.match(pick([...modules, ...pickled, list]), /^Unsupported: .*pickled PyTorch/);
  assert.match(pick([...pickled, "2_Dense/model.safetensors"]), /^Unsupported: .*pickled PyTorch/);
  // A pipeline is listed with every file that its parts could need: which of them are read depends on their contents.
  const parts = ["scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder_2/model.safetensors"];
  parts.push("tokenizer/merges.txt", "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json");
  const others = ["README.md", "a.gguf", "v1-5.safetensors", "unet/model.onnx", "safety_checker/model.safetensors"];
  const pipeline = ["model_index.json", ...parts];
  assert.equal(pick([...others, ...pipeline]), pipeline.join(" "));
  assert.match(pick(["model_index.json", "unet/model.bin"]), /^Unsupported: .*pickled PyTorch/);
  assert.match(pick([]), /^Unsupported: /);
});

// ---- streaming and the store ---------------------------------------------------------------------------------------

test("a URL is fetched once, kept, and opened again with the server gone", async () => {
  const body = ggufBytes(3 * MIB + 17);
  put("/m/x.gguf", { body });
  // The last kilobyte is of no use to the model; the store needs it all the same.
  const want = sha256(body.subarray(0, -1000));
  const first = await page.evaluate(async () => {
    const seen = [];
    const model = await ink.LanguageModel.load("/m/x.gguf", { tail: 1000, onProgress: (p) => seen.push(p) });
    return { info: model.info, seen };
  });
  assert.equal(first.info.hashes["x.gguf"], want);
  assert.deepEqual(
    ranges().filter((r) => r.startsWith("/m/")),
    ["/m/x.gguf"],
  );
  assert.ok(first.seen.length > 10 && first.seen.every((p) => p.phase === "ready" || p.local === false));
  const [entry, ...more] = await cacheList();
  assert.equal(more.length, 0);
  assert.deepEqual(
    [entry.source, entry.files, entry.bytes, entry.complete],
    [`${server.url}/m/x.gguf`, [{ name: "x.gguf", bytes: body.length }], body.length, true],
  );
  assert.ok(Math.abs(entry.date.getTime() - Date.now()) < 60_000);
  assert.equal(await page.evaluate(() => ink.cache.bytes()), body.length);

  await visit(page);
  delete files["/m/x.gguf"];
  const second = await page.evaluate(async () => {
    const seen = [];
    const model = await ink.LanguageModel.load("/m/x.gguf", { tail: 1000, onProgress: (p) => seen.push(p) });
    return { info: model.info, seen };
  });
  assert.equal(second.info.hashes["x.gguf"], want);
  assert.deepEqual(
    ranges().filter((r) => r.startsWith("/m/")),
    [],
  );
  assert.ok(second.seen.every((p) => p.phase === "ready" || p.local === true));

  await visit(page);
  const off = await load("/m/x.gguf", { cache: false });
  assert.equal(off.code, "Fetch");
  assert.equal(await page.evaluate(() => ink.cache.delete("/m/x.gguf")), true);
  assert.equal(await page.evaluate(() => ink.cache.delete("/m/x.gguf")), false);
  assert.equal(await page.evaluate(() => ink.cache.bytes()), 0);
  assert.equal((await load("/m/x.gguf")).code, "Fetch");
  assert.deepEqual(await cacheList(), []);
});

test("without the cache the bytes are the same and nothing is kept", async () => {
  const want = put("/m/y.gguf", { body: ggufBytes(2 * MIB + 5, 2) });
  assert.deepEqual(await hashes("/m/y.gguf", { cache: false }), { "y.gguf": want });
  assert.deepEqual(
    ranges().filter((r) => r.startsWith("/m/")),
    ["/m/y.gguf"],
  );
  assert.deepEqual(await cacheList(), []);
});

test("files from disk and records of files are read where they are", async () => {
  const body = ggufBytes(700_000, 3);
  const want = put("/m/z.gguf", { body });
  const got = await page.evaluate(async () => {
    const blob = await (await fetch("/m/z.gguf")).blob();
    const tell = async (source) => {
      const { value, code, message } = await load(source);
      return value ? { names: value.names, hashes: value.hashes } : { code, message };
    };
    return [
      await tell(new File([blob], "disk.gguf")),
      await tell(blob),
      await tell(new File([blob], "no extension")),
      await tell([new File([blob], "one.gguf")]),
      await tell({ "config.json": '{"a": 1}', "w.gguf": blob, "tokenizer.json": new Blob(["[]"]) }),
      await tell({ "w.gguf": "/m/z.gguf" }),
      await tell(URL.createObjectURL(blob)),
      await tell(new Blob(["<html>no model</html>"])),
      await tell(new Blob([])),
    ];
  });
  assert.deepEqual(got.slice(0, 4), [
    { names: ["disk.gguf"], hashes: { "disk.gguf": want } },
    { names: ["model.gguf"], hashes: { "model.gguf": want } },
    { names: ["no extension.gguf"], hashes: { "no extension.gguf": want } },
    { names: ["one.gguf"], hashes: { "one.gguf": want } },
  ]);
  assert.deepEqual(got[4].hashes, {
    "config.json": sha256('{"a": 1}'),
    "tokenizer.json": sha256("[]"),
    "w.gguf": want,
  });
  assert.deepEqual(got[5].hashes, { "w.gguf": want });
  assert.deepEqual(got[6].hashes, { "model.gguf": want });
  assert.deepEqual([got[7].code, got[8].code], ["Format", "Format"]);
  // Only the record that names a URL was worth keeping, and it can be found again.
  assert.equal((await cacheList()).length, 1);
  assert.equal(await page.evaluate(() => ink.cache.delete({ "w.gguf": "/m/z.gguf" })), true);
});

test("a folder is probed for its files, and the second visit asks for none of them", async () => {
  const weights = put("/folder/model.safetensors", { body: ggufBytes(900_000, 4) });
  const config = put("/folder/config.json", { body: '{"model_type":"double"}', type: "application/json", gzip: true });
  // A server of a single-page application answers with its page whatever it is asked for.
  put("/folder/chat_template.jinja", { body: "<!doctype html><title>app</title>", type: "text/html" });
  const want = { "config.json": config, "model.safetensors": weights };
  const first = await load("/folder/");
  assert.deepEqual(first.value.hashes, want);
  assert.deepEqual(first.value.sizes, {
    "config.json": 23,
    "chat_template.jinja": undefined,
    "tokenizer.json": undefined,
  });
  assert.deepEqual(first.value.names, []);
  assert.equal(ranges().filter((r) => r.startsWith("/folder/")).length, 4);
  await visit(page);
  for (const path of Object.keys(files)) if (path.startsWith("/folder/")) delete files[path];
  assert.deepEqual((await load("/folder/")).value.hashes, want);
  assert.deepEqual(
    ranges().filter((r) => r.startsWith("/folder/")),
    [],
  );
  await visit(page);
  const nothing = await load("/nothing/");
  assert.equal(nothing.code, "Fetch");
  assert.match(nothing.message, /config\.json.*404/);
  assert.deepEqual(
    (await cacheList()).map(({ source }) => source),
    [`${server.url}/folder/`],
  );
});

test("a safetensors URL finds what lies beside it, and a query stays on every address", async () => {
  put("/side/part.safetensors", { body: ggufBytes(5000, 5) });
  const { value } = await load("/side/part.safetensors?token=1");
  assert.deepEqual(value.names, ["part.safetensors"]);
  assert.equal(server.log.at(-1).path, "/side/part.safetensors");
});

test("a repository is listed once on the hub, across origins, and pinned to its commit", async () => {
  const body = ggufBytes(400_000, 6);
  const commit = "0123456789abcdef0123456789abcdef01234567";
  Object.assign(other.files, {
    "/api/models/own/gguf/revision/main": {
      body: JSON.stringify({
        sha: commit,
        siblings: [{ rfilename: "README.md" }, { rfilename: "q/m.Q4_0.gguf" }, { rfilename: "m.Q8_0.gguf" }],
      }),
      type: "application/json",
      cors: true,
    },
    [`/own/gguf/resolve/${commit}/q/m.Q4_0.gguf`]: { redirect: "/cdn/blob", cors: true },
    "/cdn/blob": { body, cors: true },
    "/own/gguf/resolve/main/m.Q8_0.gguf": { body, cors: true },
    "/api/models/own/folder/revision/v1": {
      body: JSON.stringify({ siblings: [{ rfilename: "config.json" }, { rfilename: "model.safetensors" }] }),
      type: "application/json",
      cors: true,
    },
    "/own/folder/resolve/v1/config.json": { body: "{}", cors: true },
    "/own/folder/resolve/v1/model.safetensors": { body, cors: true },
    "/api/models/own/broken/revision/main": { body: "<html>", cors: true },
    "/api/models/own/gated/revision/main": { body: "", status: [401], cors: true },
  });
  const hub = other.url;
  assert.deepEqual(await hashes("own/gguf", { hub }), { "m.Q4_0.gguf": sha256(body) });
  assert.deepEqual(
    other.requests().map(({ path }) => path),
    ["/api/models/own/gguf/revision/main", `/own/gguf/resolve/${commit}/q/m.Q4_0.gguf`, "/cdn/blob"],
  );
  assert.deepEqual(
    (await cacheList()).map(({ source }) => source),
    ["own/gguf"],
  );
  await visit(page);
  assert.deepEqual(await hashes("own/gguf", { hub }), { "m.Q4_0.gguf": sha256(body) });
  assert.deepEqual(other.requests(), []);
  assert.deepEqual(await hashes("own/gguf/m.Q8_0.gguf", { hub }), { "m.Q8_0.gguf": sha256(body) });
  assert.deepEqual(
    other.requests().map(({ path }) => path),
    ["/own/gguf/resolve/main/m.Q8_0.gguf"],
  );
  // What the list doesn't name isn't asked for.
  const folder = await load("own/folder@v1", { hub, ask: "chat_template.jinja" });
  assert.deepEqual(folder.value.hashes, { "config.json": sha256("{}"), "model.safetensors": sha256(body) });
  assert.equal(other.requests().length, 3);
  const [broken, gated, absent] = [
    await load("own/broken", { hub }),
    await load("own/gated", { hub }),
    await load("own/absent", { hub }),
  ];
  assert.equal(broken.code, "Fetch");
  assert.equal(gated.code, "Fetch");
  assert.match(gated.message, /own\/gated.*private or asks for consent/);
  assert.equal(absent.code, "Fetch");
  assert.match(absent.message, /own\/absent/);
});

test("what isn't there, isn't the file, or can't be reached is told apart", async () => {
  put("/bad/page.gguf", { body: "<!doctype html><p>hi", type: "text/html" });
  put("/bad/disguised.gguf", { body: "\n<html><p>hi", type: "application/octet-stream" });
  put("/bad/pointer.gguf", { body: "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n" });
  put("/bad/private.gguf", { body: "", status: [403] });
  const tell = async (source, options) => {
    const { code, message } = await load(source, options);
    return `${code}: ${message}`;
  };
  for (const options of [{}, { cache: false }]) {
    assert.match(await tell("/bad/none.gguf", options), /^Fetch: .*\/bad\/none\.gguf.*none\.gguf.*404/);
    assert.match(await tell("/bad/page.gguf", options), /^Format: .*web page \(HTML\).*page\.gguf/);
    assert.match(await tell("/bad/disguised.gguf", options), /^Format: .*web page \(HTML\)/);
    assert.match(await tell("/bad/pointer.gguf", options), /^Format: .*LFS pointer/);
    assert.match(await tell("/bad/private.gguf", options), /^Fetch: .*403.*private/);
    assert.match(await tell("http://localhost:9/x.gguf", options), /^Fetch: .*can't be reached/);
  }
  assert.deepEqual(await cacheList(), []);
  assert.deepEqual(await hashes("/good.gguf"), { "good.gguf": sha256(files["/good.gguf"].body) });
});

test("a busy server is asked again", async () => {
  const want = put("/busy.gguf", { body: ggufBytes(200_000, 8), status: [503, 429, 200] });
  assert.deepEqual(await hashes("/busy.gguf"), { "busy.gguf": want });
  assert.equal(ranges().filter((r) => r.startsWith("/busy")).length, 3);
  put("/dead.gguf", { body: "", status: [500] });
  const { code, message } = await load("/dead.gguf");
  assert.equal(code, "Fetch");
  assert.match(message, /500/);
});

for (const cache of [true, false]) {
  const how = cache ? "with" : "without";
  test(`a dropped connection is taken up where it broke, ${how} the cache`, async () => {
    const body = ggufBytes(2 * MIB, 9);
    const want = put("/drop.gguf", { body, etag: '"1"', drop: [MIB + 11, 300_000] });
    assert.deepEqual(await hashes("/drop.gguf", { cache }), { "drop.gguf": want });
    const asked = ranges().filter((r) => r.startsWith("/drop"));
    assert.equal(asked.length, 3);
    for (const request of asked.slice(1)) {
      const from = Number(/bytes=(\d+)-$/.exec(request)?.[1]);
      assert.ok(from > MIB / 2 && from < body.length, request);
    }
  });

  test(`a server without ranges is read anew up to where it broke, ${how} the cache`, async () => {
    const body = ggufBytes(2 * MIB, 10);
    const want = put("/restart.gguf", { body, ranges: false, drop: [MIB + 11, 1000] });
    assert.deepEqual(await hashes("/restart.gguf", { cache }), { "restart.gguf": want });
    assert.equal(ranges().filter((r) => r.startsWith("/restart")).length, 3);
  });
}

test("a connection that keeps breaking ends in an error, and the next visit goes on where it ended", async () => {
  const body = ggufBytes(2 * MIB, 11);
  const want = put("/frail.gguf", { body, etag: '"1"', drop: [MIB], dropAlways: 0 });
  const failed = await load("/frail.gguf");
  assert.equal(failed.code, "Fetch");
  assert.match(failed.message, /frail\.gguf.*broke at byte \d+ of 2097152/);
  const [entry] = await cacheList();
  assert.equal(entry.complete, false);
  assert.ok(entry.bytes > MIB / 2 && entry.bytes <= MIB);
  Object.assign(files["/frail.gguf"], { dropAlways: undefined });
  await visit(page);
  assert.deepEqual(await hashes("/frail.gguf"), { "frail.gguf": want });
  assert.deepEqual(
    ranges().filter((r) => r.startsWith("/frail")),
    [`/frail.gguf bytes=${entry.bytes}-`],
  );
  assert.equal((await cacheList())[0].complete, true);
});

test("a connection that falls silent is taken up as well", async () => {
  const want = put("/silent.gguf", { body: ggufBytes(MIB, 16), stall: 300_000 });
  assert.deepEqual(await hashes("/silent.gguf"), { "silent.gguf": want });
  const asked = ranges().filter((r) => r.startsWith("/silent"));
  assert.equal(asked.length, 2);
  assert.match(asked[1], /bytes=[1-9]\d*-$/);
});

test("a part of another version is thrown away", async () => {
  put("/version.gguf", { body: ggufBytes(2 * MIB, 12), etag: '"1"', drop: [MIB], dropAlways: 0 });
  assert.equal((await load("/version.gguf")).code, "Fetch");
  const want = put("/version.gguf", { body: ggufBytes(2 * MIB, 13), etag: '"2"' });
  await visit(page);
  assert.deepEqual(await hashes("/version.gguf"), { "version.gguf": want });
  await visit(page);
  delete files["/version.gguf"];
  assert.deepEqual(await hashes("/version.gguf"), { "version.gguf": want });
  put("/version.gguf", { body: ggufBytes(2 * MIB, 17), etag: '"3"', drop: [MIB], dropAlways: 0 });
  await page.evaluate(() => ink.cache.clear());
  assert.equal((await load("/version.gguf")).code, "Fetch");
  const shorter = put("/version.gguf", { body: ggufBytes(MIB / 4, 18), etag: '"4"' });
  assert.deepEqual(await hashes("/version.gguf"), { "version.gguf": shorter });
  // A file that changes while it is being read can't be mended.
  put("/moving.gguf", { body: ggufBytes(2 * MIB, 14), etag: '"1"', drop: [MIB] });
  const pending = load("/moving.gguf");
  while (files["/moving.gguf"].drop.length) await new Promise((resolve) => setTimeout(resolve, 5));
  files["/moving.gguf"].etag = '"2"';
  assert.match((await pending).message, /has changed on the server/);
  assert.ok((await cacheList()).every(({ source }) => !source.includes("moving")));
});

test("sizes that servers hide are found out", async () => {
  const body = ggufBytes(MIB, 15);
  const zipped = put("/zipped.gguf", { body: Buffer.concat([body, Buffer.alloc(MIB)]), gzip: true });
  assert.deepEqual(await hashes("/zipped.gguf"), { "zipped.gguf": zipped });
  const chunked = put("/chunked.gguf", { body, chunked: true });
  assert.deepEqual(await hashes("/chunked.gguf"), { "chunked.gguf": chunked });
  const spooled = put("/spooled.gguf", { body, chunked: true, ranges: false });
  assert.deepEqual(await hashes("/spooled.gguf"), { "spooled.gguf": spooled });
  assert.deepEqual(
    (await cacheList()).map(({ complete }) => complete),
    [true, true, true],
  );
  // Across origins a compressed answer looks like one of the compressed size.
  other.files["/hidden.gguf"] = {
    body: Buffer.concat([body, Buffer.alloc(MIB)]),
    gzip: true,
    cors: true,
    ranges: false,
  };
  const { code, message } = await load(`${other.url}/hidden.gguf`);
  assert.equal(code, "Fetch");
  assert.match(message, /uncompressed/);
});

for (const ranges of [true, false]) {
  test(`a dozen shards need few connections at a time, ${ranges ? "with" : "without"} ranges`, async () => {
    const want = {};
    const record = {};
    for (let i = 0; i < 12; i++) {
      const name = `model-${i}.safetensors`;
      want[name] = put(`/shards/${name}`, { body: ggufBytes(3 * MIB, 20 + i), ranges });
      record[name] = `/shards/${name}`;
    }
    assert.deepEqual(await hashes(record, { cache: false }), want);
    assert.deepEqual(await hashes(record), want);
    assert.equal((await cacheList())[0].bytes, 36 * MIB);
    await visit(page);
    assert.deepEqual(await hashes(record), want);
    assert.deepEqual(
      server.requests().filter(({ path }) => path.startsWith("/shards")),
      [],
    );
  });
}

test("without room the model loads all the same", async () => {
  const want = put("/large.gguf", { body: ggufBytes(3 * MIB, 40) });
  const cdp = await context.newCDPSession(page);
  await cdp.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: MIB });
  assert.deepEqual(await hashes("/large.gguf"), { "large.gguf": want });
  assert.deepEqual(await cacheList(), []);
});

test("two tabs that load the same model don't disturb each other", async () => {
  const want = put("/both.gguf", { body: ggufBytes(2 * MIB, 41), pace: [64 * 1024, 60] });
  const tab = await context.newPage();
  await visit(tab);
  const one = load("/both.gguf");
  await new Promise((resolve) => setTimeout(resolve, 150));
  // Another tab may not throw away what is being written.
  const refused = await tab.evaluate(() => attempt(() => ink.cache.delete("/both.gguf")));
  assert.equal(refused.code, "Unsupported");
  const two = await tab.evaluate(() => load("/both.gguf"));
  assert.deepEqual(two.value.hashes, { "both.gguf": want });
  assert.deepEqual((await one).value.hashes, { "both.gguf": want });
  assert.equal(await tab.evaluate(() => ink.cache.bytes()), 2 * MIB);
  await page.evaluate(() => ink.cache.clear());
  assert.equal(await tab.evaluate(() => ink.cache.bytes()), 0);
});

test("a store that a crash left in disorder is put in order", async () => {
  const want = put("/store.gguf", { body: ggufBytes(300_000, 42) });
  await hashes("/store.gguf");
  const spoil = (what) =>
    page.evaluate(async (what) => {
      const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("inkstone");
      for await (const folder of root.values()) {
        if (what === "manifest") await folder.getFileHandle("stray.bin", { create: true });
        for await (const file of folder.values()) {
          if ((what === "data") === (file.name === "manifest.json")) continue;
          const writable = await file.createWritable();
          const text =
            what === "note" ? (await (await file.getFile()).text()).replace('"done":true', '"done":false') : "{cut off";
          await writable.write(text);
          await writable.close();
        }
      }
    }, what);
  for (const what of ["manifest", "data", "note"]) {
    await visit(page);
    await spoil(what);
    assert.deepEqual(await hashes("/store.gguf"), { "store.gguf": want });
    // A file that is whole is whole, noted or not.
    assert.equal(ranges().filter((r) => r.startsWith("/store")).length, what === "note" ? 0 : 1, what);
    assert.deepEqual(
      (await cacheList()).map(({ bytes, complete }) => [bytes, complete]),
      [[300_000, true]],
    );
    assert.deepEqual(await page.evaluate(stored), ["0.bin", "manifest.json"]);
  }
});

async function stored() {
  const names = [];
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("inkstone");
  for await (const folder of root.values()) for await (const name of folder.keys()) names.push(name);
  return names.sort();
}

test("an estimate reads the head only and knows what is already here", async () => {
  put("/estimate.gguf", { body: ggufBytes(8 * MIB, 43), pace: [64 * 1024, 30] });
  const first = await page.evaluate(() => ink.estimate("/estimate.gguf", { contextLength: 512 }));
  assert.equal(first.download, 8 * MIB);
  assert.equal(first.options.contextLength, 512);
  assert.ok(files["/estimate.gguf"].sent < 4 * MIB, "it waited for the whole file");
  delete files["/estimate.gguf"].pace;
  await hashes("/estimate.gguf");
  server.requests();
  assert.equal((await page.evaluate(() => ink.estimate("/estimate.gguf"))).download, 0);
  assert.deepEqual(server.requests(), []);
});
