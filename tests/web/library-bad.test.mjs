// Crafted files that lie about themselves, one lie each, through the package as it is published: each is refused with the
// code of its fault and a sentence that names it, and right after it the worker still answers with a good model.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { tinyFolder } from "./library-folder.mjs";
import { misbehaviour } from "./library-server.mjs";
import { tinyModel } from "./tiny-model.mjs";

const files = {};
const GGUF = tinyModel({ type: "f32", layers: 1 });
const FOLDER = tinyFolder();
let browser, page;

before(async () => {
  browser = await openBrowser({
    routes: {
      "/m/": misbehaviour(files, []),
      "/blank": (_, response) =>
        response
          .writeHead(200, { "content-type": "text/html" })
          .end("<!doctype html><link rel=icon href=data:,><title>t</title>"),
    },
  });
  page = await browser.newPage("/blank");
  files["/m/good.gguf"] = { body: GGUF };
  for (const [name, body] of Object.entries(FOLDER)) files[`/m/good/${name}`] = { body };
  await page.evaluate(async () => {
    window.ink = await import("/dist/inkstone.js");
    window.good = await ink.LanguageModel.load("/m/good.gguf", { cache: false });
    window.say = async (model) => (await model.generate("a", { raw: true, maxTokens: 2 })).text;
    window.attempt = async (job) => {
      try {
        return { value: await job() };
      } catch (error) {
        if (!(error instanceof ink.InkstoneError)) throw error;
        return { code: error.code, message: error.message };
      }
    };
    /** Loads what is bad, then speaks with what is good. */
    window.tryOut = async (source) => {
      const { value, code, message } = await attempt(() => ink.LanguageModel.load(source, { cache: false }));
      const said = value && (await attempt(() => say(value)));
      await value?.dispose();
      return { code, message, said, after: await say(good) };
    };
  });
});

after(() => browser?.close());

/** Tries every source: name -> [source, code, what the sentence says]. */
async function refused(table) {
  const got = await page.evaluate(
    async (sources) => {
      const got = {};
      for (const [name, source] of sources) got[name] = await tryOut(source);
      return got;
    },
    Object.entries(table).map(([name, [source]]) => [name, source]),
  );
  for (const [name, [, code, words]] of Object.entries(table)) {
    const { after, message } = got[name];
    assert.equal(got[name].code, code, `${name}: ${JSON.stringify(got[name])}`);
    assert.match(message, words, name);
    assert.equal(after, "bc", `after ${name}`);
  }
  console.log(
    `${Object.keys(table).length} refused: ${[...new Set(Object.values(got).map(({ code }) => code))].join(", ")}`,
  );
  await stillWell();
}

/** No panic was heard of, and both kinds of good files still load and answer. */
async function stillWell() {
  assert.deepEqual(page.problems.splice(0), []);
  const folder = Object.fromEntries(Object.keys(FOLDER).map((name) => [name, `/m/good/${name}`]));
  for (const source of ["/m/good.gguf", folder]) {
    const { code, message, said } = await page.evaluate((source) => tryOut(source), source);
    assert.equal(code, undefined, message);
    assert.equal(said.value, "bc");
  }
}

let count = 0;

/** The address of a file with this content. */
function address(body, ending) {
  const path = `/m/bad/${count++}.${ending}`;
  files[path] = { body };
  return path;
}

// ---- GGUF ----------------------------------------------------------------------------------------------------------

/** A copy of the good file after `edit(copy)`. */
function gguf(edit) {
  const copy = Buffer.from(GGUF);
  return address(edit(copy) ?? copy, "gguf");
}

/** Where a string of the header ends, which begins with its length. */
function endOf(text) {
  const start = Buffer.alloc(8 + text.length);
  start.writeBigUInt64LE(BigInt(text.length));
  start.write(text, 8);
  const at = GGUF.indexOf(start);
  assert.ok(at > 0 && GGUF.indexOf(start, at + 1) < 0, `${text} is there once`);
  return at + start.length;
}

/** Where a matrix's description has its columns, rows, type and offset. */
function description(name) {
  const rank = endOf(name);
  assert.equal(GGUF.readUInt32LE(rank), 2);
  return { rank, columns: rank + 4, rows: rank + 12, type: rank + 20, offset: rank + 24 };
}

const u32 = (at, value) => gguf((file) => void file.writeUInt32LE(value, at));
const u64 = (at, value) => gguf((file) => void file.writeBigUInt64LE(BigInt(value), at));

test("a GGUF file that lies about its tensors", async () => {
  const [gate, up, k] = ["ffn_gate", "ffn_up", "attn_k"].map((name) => description(`blk.0.${name}.weight`));
  const offset = GGUF.readBigUInt64LE(gate.offset);
  const renamed = (from, to) => gguf((file) => void file.write(to, endOf(from) - from.length, "latin1"));
  await refused({
    "one tensor upon another": [u64(up.offset, offset), "Format", /overlap|share/],
    "half upon another": [u64(up.offset, offset + 4096n), "Format", /overlap|share/],
    "an offset past the end": [u64(up.offset, 1n << 40n), "Format", /blk\.0\.ffn_up\.weight/],
    "an offset at the end of 64 bits": [u64(up.offset, (1n << 64n) - 32n), "Format", /blk\.0\.ffn_up\.weight/],
    "an offset between words": [u64(up.offset, offset + 8n), "Format", /blk\.0\.ffn_up\.weight.*aligned/],
    "a million times a million weights": [
      gguf((file) => {
        file.writeBigUInt64LE(1n << 20n, gate.columns);
        file.writeBigUInt64LE(1n << 20n, gate.rows);
      }),
      "Format",
      /blk\.0\.ffn_gate\.weight/,
    ],
    "more weights than 64 bits count": [
      gguf((file) => {
        file.writeBigUInt64LE(1n << 40n, gate.columns);
        file.writeBigUInt64LE(1n << 40n, gate.rows);
      }),
      "Format",
      /blk\.0\.ffn_gate\.weight/,
    ],
    "no weights at all": [u64(gate.rows, 0), "Format", /blk\.0\.ffn_gate\.weight/],
    "five dimensions": [u32(gate.rank, 5), "Format", /5 dimensions/],
    "an encoding nobody knows": [u32(gate.type, 200), "Unsupported", /blk\.0\.ffn_gate\.weight.*200.*Q4_K/],
    "an encoding of three bits and little more": [u32(gate.type, 18), "Unsupported", /IQ3_XXS.*Q4_K/],
    "a tensor of another name": [
      renamed("blk.0.ffn_up.weight", "blk.0.ffn_uq.weight"),
      "Missing",
      /blk\.0\.ffn_up\.weight/,
    ],
    "no embeddings": [renamed("token_embd.weight", "token_embe.weight"), "Missing", /token_embd\.weight/],
    "a tensor that comes twice": [
      renamed("blk.0.attn_q.weight", "blk.0.attn_k.weight"),
      "Format",
      /two tensors are named `blk\.0\.attn_k\.weight`/,
    ],
    "rows for columns": [
      gguf((file) => {
        file.writeBigUInt64LE(32n, k.columns);
        file.writeBigUInt64LE(64n, k.rows);
      }),
      "Shape",
      /blk\.0\.attn_k\.weight.*\[64, 32\].*\[32, 64\]/,
    ],
  });
});

test("a GGUF file that lies about itself", async () => {
  const value = (key) => endOf(key) + 4;
  const tokens = value("tokenizer.ggml.tokens");
  const text = (at, bytes) => gguf((file) => void Buffer.from(bytes).copy(file, at));
  const name = value("general.name");
  await refused({
    "a thousand billion tensors": [u64(8, 1n << 40n), "Format", /header/],
    "four thousand million tensors": [u64(8, 1n << 32n), "Format", /header/],
    "all the entries there can be": [u64(16, (1n << 64n) - 1n), "Format", /header/],
    "one entry more than there are": [u64(16, GGUF.readBigUInt64LE(16) + 1n), "Format", /./],
    "a vocabulary of gigabytes": [u64(tokens + 4, 1n << 31n), "Format", /header/],
    "a vocabulary of exabytes": [u64(tokens + 4, 1n << 60n), "Format", /header/],
    "a string longer than the file": [u64(name, 1n << 30n), "Format", /header/],
    "a string of 64 bits' length": [u64(name, (1n << 64n) - 1n), "Format", /header/],
    "a type of metadata nobody knows": [u32(name - 4, 99), "Format", /general\.name.*99/],
    "a name that is no UTF-8": [text(name + 8, [0xc3, 0x28]), "Format", /general\.name.*UTF-8/],
    "a token that is no UTF-8": [text(tokens + 12 + 8, [0xff, 0xfe]), "Format", /tokenizer\.ggml\.tokens.*UTF-8/],
    "a key that is no UTF-8": [text(endOf("general.name") - 4, [0x80]), "Format", /key.*UTF-8/],
    "a tensor's name that is no UTF-8": [text(endOf("blk.0.ffn_up.weight") - 6, [0xf8]), "Format", /name.*UTF-8/],
    "a thousand million layers": [u32(value("llama.block_count"), 1 << 30), "Format", /layers/],
    "a thousand layers": [u32(value("llama.block_count"), 1000), "Missing", /blk\.1\./],
    "a dimension of gigabytes": [u32(value("llama.embedding_length"), 1 << 30), "Format", /hidden size/],
    "a dimension of another model": [u32(value("llama.embedding_length"), 128), "Shape", /token_embd/],
    "a feed-forward of gigabytes": [u32(value("llama.feed_forward_length"), 1 << 20), "Shape", /ffn/],
    "no heads": [u32(value("llama.attention.head_count"), 0), "Format", /head/],
    "more heads than dimensions": [u32(value("llama.attention.head_count"), 1 << 30), "Format", /head/],
    "no layers": [u32(value("llama.block_count"), 0), "Format", /block_count|layers/],
  });
});

// ---- safetensors ---------------------------------------------------------------------------------------------------

/** The good folder with other files, as addresses by name; null leaves one out. */
function folder(others) {
  const source = {};
  for (const [name, body] of Object.entries({ ...FOLDER, ...others }))
    if (body !== null) source[name] = body === FOLDER[name] ? `/m/good/${name}` : address(body, name.split(".").at(-1));
  return source;
}

const WEIGHTS = FOLDER["model.safetensors"];
const HEADER = Number(WEIGHTS.readBigUInt64LE(0));

/** The folder with a header for its weights that `edit` has changed; it may give another text instead. */
function header(edit) {
  const json = JSON.parse(WEIGHTS.toString("utf8", 8, 8 + HEADER));
  const text = Buffer.from(edit(json) ?? JSON.stringify(json));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return folder({ "model.safetensors": Buffer.concat([length, text, WEIGHTS.subarray(8 + HEADER)]) });
}

/** The folder with a header of this length, whatever it has. */
function headerLength(length) {
  const copy = Buffer.from(WEIGHTS);
  copy.writeBigUInt64LE(BigInt(length));
  return folder({ "model.safetensors": copy });
}

test("safetensors that lie about their tensors", async () => {
  const [q, up] = ["self_attn.q_proj", "mlp.up_proj"].map((name) => `model.layers.0.${name}.weight`);
  const end = WEIGHTS.length - 8 - HEADER;
  const of = (name) => new RegExp(name.replaceAll(".", "\\."));
  await refused({
    "a header past the end": [headerLength(WEIGHTS.length - 7), "Format", /model\.safetensors|safetensors/],
    "a header of gigabytes": [headerLength(1n << 32n), "Format", /safetensors/],
    "a header of 64 bits' length": [headerLength((1n << 64n) - 1n), "Format", /safetensors/],
    "a header that ends too early": [headerLength(HEADER - 40), "Format", /safetensors/],
    "a header without an end": [header((json) => JSON.stringify(json).slice(0, -2)), "Format", /safetensors/],
    "a header that is a list": [header(() => "[]"), "Format", /safetensors/],
    "one tensor upon another": [
      header((json) => void (json[up].data_offsets = json["model.layers.0.mlp.gate_proj.weight"].data_offsets)),
      "Format",
      /overlap|share/,
    ],
    "an offset past the end": [
      header((json) => void (json[up].data_offsets = [end, end + 64 * 128 * 4])),
      "Format",
      of(up),
    ],
    "an offset at the end of 64 bits": [
      header((json) =>
        JSON.stringify(json).replace(
          /("model\.layers\.0\.mlp\.up_proj\.weight".*?data_offsets":)\[\d+,\d+\]/,
          "$1[0,18446744073709551615]",
        ),
      ),
      "Format",
      of(up),
    ],
    "offsets in the wrong order": [header((json) => void json[up].data_offsets.reverse()), "Format", of(up)],
    "an offset below zero": [header((json) => void (json[up].data_offsets[0] = -4)), "Format", /safetensors/],
    "fewer bytes than its shape": [header((json) => void (json[up].data_offsets[1] -= 4)), "Format", of(up)],
    "a shape of exabytes": [header((json) => void (json[up].shape = [2 ** 40, 2 ** 40])), "Format", of(up)],
    "eight-bit floats": [
      header((json) => void (json[up].dtype = "F8_E4M3")),
      "Unsupported",
      /mlp\.up_proj.*F8_E4M3.*GGUF/,
    ],
    "a tensor too few": [header((json) => void delete json[up]), "Missing", /ffn_up|up_proj/],
    "a tensor of another name": [
      header((json) => ((json["model.layers.0.mlp.up.weight"] = json[up]), void delete json[up])),
      "Missing",
      /ffn_up|up_proj/,
    ],
    "rows for columns": [header((json) => void json[up].shape.reverse()), "Shape", /\[64, 128\].*\[128, 64\]/],
    "a matrix for a vector": [header((json) => void (json["model.norm.weight"].shape = [32, 2])), "Shape", /norm/],
    "a tensor that comes twice": [
      header((json) => JSON.stringify(json).replace(q, q.replace("q_proj", "k_proj"))),
      "Format",
      /two tensors are named.*k_proj/,
    ],
  });
});

test("a folder whose files are cut, swapped or no text", async () => {
  const cut = (name, length) => folder({ [name]: FOLDER[name].subarray(0, length) });
  const config = (edit) => {
    const json = JSON.parse(FOLDER["config.json"]);
    edit(json);
    return folder({ "config.json": Buffer.from(JSON.stringify(json)) });
  };
  const noText = (name, word) => {
    const copy = Buffer.from(FOLDER[name]);
    copy[copy.indexOf(word) + 1] = 0xff;
    return folder({ [name]: copy });
  };
  const index = (map) =>
    folder({
      "model.safetensors.index.json": Buffer.from(JSON.stringify({ metadata: {}, weight_map: map })),
    });
  const table = {
    "no text in config.json": [noText("config.json", "llama"), "Format", /config\.json/],
    "no text in tokenizer.json": [noText("tokenizer.json", "ByteLevel"), "Format", /tokenizer\.json/],
    "no text in the template": [noText("tokenizer_config.json", "message"), "Format", /tokenizer_config\.json/],
    "half a config.json": [cut("config.json", 200), "Format", /config\.json/],
    "half a tokenizer.json": [cut("tokenizer.json", 2000), "Format", /tokenizer\.json/],
    "an empty config.json": [cut("config.json", 0), "Format", /config\.json/],
    "no tokenizer": [folder({ "tokenizer.json": null }), "Format", /tokenizer\.json/],
    "weights of another file": [folder({ "model.safetensors": GGUF }), "Format", /model\.safetensors|safetensors/],
    "two thousand million layers": [
      config((c) => (c.num_hidden_layers = 2 ** 31)),
      "Format",
      /num_hidden_layers|layers/,
    ],
    "a vocabulary of gigabytes": [config((c) => (c.vocab_size = 2 ** 23)), "Shape", /embd|embed/],
    "a layer more than there are": [config((c) => (c.num_hidden_layers = 3)), "Missing", /\.2\./],
    "another family": [
      config((c) => Object.assign(c, { model_type: "mamba", architectures: ["MambaForCausalLM"] })),
      "Unsupported",
      /[Mm]amba/,
    ],
    "an index out of the folder": [index({ "model.norm.weight": "../model.safetensors" }), "Format", /index/],
    "an index of nothing": [index({}), "Format", /index/],
    "half an index": [
      folder({ "model.safetensors.index.json": Buffer.from('{"weight_map":{"model.norm') }),
      "Format",
      /index/,
    ],
  };
  for (const length of [0, 4, 8, 9, 8 + HEADER / 2, 8 + HEADER, 8 + HEADER + 1, WEIGHTS.length / 2, WEIGHTS.length - 1])
    table[`weights cut to ${Math.floor(length)} bytes`] = [
      cut("model.safetensors", Math.floor(length)),
      "Format",
      /safetensors/,
    ];
  await refused(table);
});

test("flipped bits in safetensors: each is refused or loads, and what loads speaks or says why not", async () => {
  const got = await page.evaluate(
    async ([names, headEnd]) => {
      const bytes = async (name) => new Uint8Array(await (await fetch(`/m/good/${name}`)).arrayBuffer());
      const folder = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await bytes(name)])));
      const good = folder["model.safetensors"];
      const codes = {};
      const add = (what) => (codes[what] = (codes[what] ?? 0) + 1);
      let state = 4321;
      const random = (n) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n;
      for (let i = 0; i < 150; i++) {
        const damaged = good.slice();
        for (let n = 0; n <= i % 3; n++) damaged[random(i % 5 ? headEnd : good.length)] ^= 1 << random(8);
        const parts = { ...folder, "model.safetensors": damaged };
        const source = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, new Blob([part])]));
        const { code, message, said, after } = await tryOut(source);
        if (code && !(message.length > 10)) throw new Error(`no sentence: ${message}`);
        if (after !== "bc") throw new Error(`after ${i}: ${after}`);
        add(code ?? "loaded");
        if (said) add(said.code ? `answering: ${said.code}` : "answered");
      }
      return codes;
    },
    [Object.keys(FOLDER), 8 + HEADER],
  );
  console.log(`flipped safetensors: ${JSON.stringify(got)}`);
  assert.ok(got.Format > 60 && got.Missing > 0 && got.answered > 15, JSON.stringify(got));
  assert.equal(got.Gpu, undefined);
  await stillWell();
});
