// A language model small enough to make on the spot, of which every answer is known beforehand: a GGUF file of a Llama
// with 64 dimensions that continues the alphabet. The row of `output` that belongs to the successor of a token is that
// token's embedding, and the layers in between add too little to change which logit is the largest: all kernels of a
// real model run, and greedy text can be predicted.
//
//   raw "a" -> "bcdefghijklmnopqrstuvwxyzabc..." without an end;   any chat -> REPLY, then <|im_end|>.

/** What the model answers to every conversation, greedily. */
export const REPLY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ.";

const [DIM, HEADS, KV_HEADS, FFN] = [64, 4, 2, 128];
const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const IM_END = 2;
const TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** The token of a byte. */
const byteToken = (byte) => SPECIAL.length + byte;

/** What the byte-level vocabularies call a byte: itself if it can be printed, else a letter from U+0100 on. */
export function byteLetters() {
  const printable = (b) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

/** Token -> the one that follows it. */
function successors() {
  const next = Array.from({ length: SPECIAL.length + 256 }, (_, token) => Math.max(token, SPECIAL.length));
  const chain = (text, end) =>
    [...text].forEach((letter, i) => {
      const follower = text[i + 1];
      next[byteToken(letter.charCodeAt(0))] = follower ? byteToken(follower.charCodeAt(0)) : end;
    });
  chain("abcdefghijklmnopqrstuvwxyz", byteToken("a".charCodeAt(0)));
  chain(`\n${REPLY}`, IM_END);
  return next;
}

/** A repeatable source of numbers, roughly normal. */
function numbers(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return () => (uniform() + uniform() + uniform() + uniform()) * Math.sqrt(3);
}

/** The sizes of a model, and how many tokens it knows. */
const TINY = { dim: DIM, heads: HEADS, kvHeads: KV_HEADS, ffn: FFN };
const VOCAB = SPECIAL.length + 256;

/** Every tensor's name and shape, in the order of the file. */
function shapes(layers, { dim, heads, kvHeads, ffn }) {
  const head = dim / heads;
  const all = [
    ["token_embd.weight", [VOCAB, dim]],
    ["output_norm.weight", [dim]],
    ["output.weight", [VOCAB, dim]],
  ];
  for (let n = 0; n < layers; n++) {
    all.push(
      [`blk.${n}.attn_norm.weight`, [dim]],
      [`blk.${n}.attn_q.weight`, [heads * head, dim]],
      [`blk.${n}.attn_k.weight`, [kvHeads * head, dim]],
      [`blk.${n}.attn_v.weight`, [kvHeads * head, dim]],
      [`blk.${n}.attn_output.weight`, [dim, heads * head]],
      [`blk.${n}.ffn_norm.weight`, [dim]],
      [`blk.${n}.ffn_gate.weight`, [ffn, dim]],
      [`blk.${n}.ffn_up.weight`, [ffn, dim]],
      [`blk.${n}.ffn_down.weight`, [dim, ffn]],
    );
  }
  return all;
}

const metadataOf = (layers, context, { dim, heads, kvHeads, ffn }) => [
  ["general.architecture", "llama"],
  ["general.name", "Alphabet"],
  ["llama.block_count", layers],
  ["llama.context_length", context],
  ["llama.embedding_length", dim],
  ["llama.feed_forward_length", ffn],
  ["llama.attention.head_count", heads],
  ["llama.attention.head_count_kv", kvHeads],
  ["llama.rope.dimension_count", dim / heads],
  ["llama.vocab_size", VOCAB],
  ["llama.attention.layer_norm_rms_epsilon", new Float32Array([1e-5])],
  ["llama.rope.freq_base", new Float32Array([10_000])],
  ["tokenizer.ggml.model", "gpt2"],
  ["tokenizer.ggml.pre", "gpt-2"],
  ["tokenizer.ggml.tokens", [...SPECIAL, ...byteLetters()]],
  ["tokenizer.ggml.token_type", Int32Array.from({ length: VOCAB }, (_, id) => (id < SPECIAL.length ? 3 : 1))],
  ["tokenizer.ggml.merges", []],
  ["tokenizer.ggml.bos_token_id", 1],
  ["tokenizer.ggml.eos_token_id", IM_END],
  ["tokenizer.ggml.add_bos_token", false],
  ["tokenizer.chat_template", TEMPLATE],
];

/**
 * The file. `layers`, `context`: as wanted; `type`: "f32" or "q8_0", how the matrices are stored; `norm`: the weights of
 * the last norm.
 */
export function tinyModel({ layers = 2, context = 512, type = "q8_0", norm = 1 } = {}) {
  const random = numbers(1);
  const matrix = ([rows, columns], scale) => Float32Array.from({ length: rows * columns }, () => random() * scale);
  const embedding = matrix([VOCAB, DIM], 1);
  const values = (name, shape) => {
    if (name === "token_embd.weight") return embedding;
    if (shape.length === 1) return new Float32Array(DIM).fill(name === "output_norm.weight" ? norm : 1);
    if (name !== "output.weight") return matrix(shape, /attn_output|ffn_down/.test(name) ? 0.02 : 0.1);
    const output = new Float32Array(VOCAB * DIM);
    successors().forEach((next, token) => {
      const row = embedding.subarray(token * DIM, (token + 1) * DIM);
      row.forEach((x, i) => (output[next * DIM + i] += x / Math.sqrt(DIM)));
    });
    return output;
  };
  const tensors = shapes(layers, TINY).map(([name, shape]) => {
    const quantized = shape.length > 1 && type === "q8_0";
    const floats = values(name, shape);
    return { name, shape, type: quantized ? Q8_0 : FLOATS, body: quantized ? q8(floats) : Buffer.from(floats.buffer) };
  });
  const sized = tensors.map((tensor) => ({ ...tensor, bytes: tensor.body.length }));
  const bodies = tensors.flatMap(({ body }) => [body, padding(body.length)]);
  return Buffer.concat([head(metadataOf(layers, context, TINY), sized), ...bodies]);
}

/**
 * A model too large to be made on the spot: the head of its file, and how long that would be. Each layer has 65 MB of
 * Q8_0 in matrices that may be filled with anything.
 */
export function largeModel({ layers, context = 512 }) {
  const sizes = { dim: 2048, heads: 32, kvHeads: 8, ffn: 8192 };
  const tensors = shapes(layers, sizes).map(([name, shape]) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const [type, bytes] = shape.length > 1 ? [Q8_0, (length / 32) * 34] : [FLOATS, 4 * length];
    return { name, shape, type, bytes };
  });
  const start = head(metadataOf(layers, context, sizes), tensors);
  return { head: start, size: tensors.reduce((sum, { bytes }) => sum + bytes + padding(bytes).length, start.length) };
}

const [U32, F32, BOOL, STRING, ARRAY, I32] = [4, 6, 7, 8, 9, 5];
const [FLOATS, Q8_0] = [0, 8];
const ALIGNMENT = 32;

const padding = (length) => Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);

/**
 * What stands in front of the tensors' bytes in a GGUF file, version 3. Metadata: a number is a u32, a Float32Array of
 * one an f32, an array an array. Tensors: `{ name, shape, type, bytes }`.
 */
function head(metadata, tensors) {
  const parts = [];
  const u32 = (value) => parts.push(Buffer.from(new Uint32Array([value]).buffer));
  const u64 = (value) => parts.push(Buffer.from(new BigUint64Array([BigInt(value)]).buffer));
  const bytes = (array) => parts.push(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
  const text = (string) => {
    const encoded = Buffer.from(string);
    u64(encoded.length);
    parts.push(encoded);
  };
  const value = (content) => {
    if (typeof content === "string") u32(STRING), text(content);
    else if (typeof content === "number") u32(U32), u32(content);
    else if (typeof content === "boolean") u32(BOOL), parts.push(Buffer.from([Number(content)]));
    else if (content instanceof Float32Array) u32(F32), bytes(content);
    else if (content instanceof Int32Array) u32(ARRAY), u32(I32), u64(content.length), bytes(content);
    else u32(ARRAY), u32(STRING), u64(content.length), content.forEach(text);
  };

  parts.push(Buffer.from("GGUF"));
  u32(3);
  u64(tensors.length);
  u64(metadata.length);
  for (const [key, content] of metadata) text(key), value(content);
  let offset = 0;
  for (const { name, shape, type, bytes: length } of tensors) {
    text(name);
    u32(shape.length);
    for (const size of [...shape].reverse()) u64(size);
    u32(type);
    u64(offset);
    offset += length + padding(length).length;
  }
  parts.push(padding(parts.reduce((sum, part) => sum + part.length, 0)));
  return Buffer.concat(parts);
}

/** Q8_0: blocks of 32 weights, an f16 scale and 32 signed bytes each. */
function q8(values) {
  const blocks = Buffer.alloc((values.length / 32) * 34);
  for (let b = 0; b < values.length / 32; b++) {
    const block = values.subarray(b * 32, b * 32 + 32);
    // A power of two not below largest / 127: exact as a (normal) f16, and simple to write as one.
    const exponent = Math.max(-14, Math.ceil(Math.log2(Math.max(...block.map(Math.abs)) / 127)));
    blocks.writeUInt16LE((exponent + 15) << 10, b * 34);
    block.forEach((x, i) => blocks.writeInt8(Math.max(-127, Math.min(127, Math.round(x / 2 ** exponent))), b * 34 + 2 + i));
  }
  return blocks;
}
