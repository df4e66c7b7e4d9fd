// A golden case of tests/models/families as a folder of the kind that transformers writes, and what that made of it.
// Weights and tokens come from the formula of tools/golden/models.py (tests/support/models/weights.rs has it, too).

import { readFileSync } from "node:fs";
import { safetensors } from "./library-folder.mjs";
import { byteLetters } from "./tiny-model.mjs";

const FOLDER = new URL("../models/families/", import.meta.url);
const SPECIAL = ["<s>", "</s>"];

const u64 = (x) => BigInt.asUintN(64, x);

/** The sequence that belongs to a name: splitmix64 started at the FNV-1a hash of the name. */
function hashes(name) {
  let start = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(name)) start = u64((start ^ BigInt(byte)) * 0x100000001b3n);
  return (i) => {
    let z = u64(BigInt(i + 1) * 0x9e3779b97f4a7c15n + start);
    z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  };
}

/** [middle, half-width] of a tensor's values: by the first of the case's rules that fits, or as models.py says. */
function spread(name, shape, rules) {
  const rule = rules.find(([ending]) => name.endsWith(ending));
  if (rule) return rule.slice(1);
  if (/[qk]_norm\.weight$/.test(name)) return [1.25, 0.25];
  if (name.endsWith("norm.weight")) return [1, 0.25];
  if (name.endsWith(".bias")) return [0, 0.25];
  if (name.endsWith("embed_tokens.weight")) return [0, 0.5];
  if (shape.length === 1) return [1, 0.25];
  const part = name.split(".").at(-2);
  const gain = part === "k_proj" ? 0.5 : ["o_proj", "down_proj", "lm_head"].includes(part) ? 2 : 1;
  const inputs = shape.slice(1).reduce((a, b) => a * b, 1);
  return [0, 2 ** Math.round(Math.log2(Math.sqrt(3 / inputs))) * gain];
}

function values(name, shape, rules) {
  const hash = hashes(name);
  const [middle, half] = spread(name, shape, rules);
  const count = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: count }, (_, i) => middle + half * ((Number(hash(i) >> 48n) - 32768) / 32768));
}

/** Tokens are two special ones, then bytes, the printable ones first. */
function tokenizer(vocab) {
  const letters = byteLetters().sort((a, b) => a.codePointAt() - b.codePointAt());
  const words = [...SPECIAL, ...letters].slice(0, vocab);
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      fuse_unk: false,
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      merges: [],
    },
  };
}

/** `{ files, tokens, logits, vocab }`: file name -> Buffer, the tokens to run, and their logits, `[tokens, vocab]`. */
export function goldenCase(name) {
  const description = JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER)));
  const { config, dtype, rows, spread: rules, tensors, tokens } = description;
  if (dtype !== "F32" || rows.first !== 0 || rows.step !== 1) throw new Error(`${name} keeps some rows alone`);
  const vocab = config.vocab_size;
  const hash = hashes(`tokens ${tokens.seed}`);
  const golden = readFileSync(new URL(`${name}.f32`, FOLDER));
  const json = (value) => Buffer.from(JSON.stringify(value));
  const data = (name, shape) => Buffer.from(values(name, shape, rules).buffer);
  return {
    files: {
      "config.json": json(config),
      "tokenizer.json": json(tokenizer(vocab)),
      "model.safetensors": safetensors(tensors.map(([name, shape]) => ({ name, shape, data: data(name, shape) }))),
    },
    tokens: Array.from({ length: tokens.count }, (_, i) => Number((hash(i) >> 32n) % BigInt(vocab))),
    logits: new Float32Array(golden.buffer.slice(golden.byteOffset, golden.byteOffset + golden.length)),
    vocab,
  };
}
