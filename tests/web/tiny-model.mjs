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
function byteLetters() {
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

/** The file. `layers`, `context`: as wanted; `type`: "f32" or "q8_0", how the matrices are stored. */
export function tinyModel({ layers = 2, context = 512, type = "q8_0" } = {}) {
  const random = numbers(1);
  const vocab = SPECIAL.length + 256;
  const matrix = (rows, columns, scale) => Float32Array.from({ length: rows * columns }, () => random() * scale);
  const ones = () => new Float32Array(DIM).fill(1);
  const embedding = matrix(vocab, DIM, 1);
  const output = new Float32Array(vocab * DIM);
  successors().forEach((next, token) => {
    const row = embedding.subarray(token * DIM, (token + 1) * DIM);
    row.forEach((x, i) => (output[next * DIM + i] += x / Math.sqrt(DIM)));
  });

  const tensors = [
    ["token_embd.weight", [vocab, DIM], embedding],
    ["output_norm.weight", [DIM], ones()],
    ["output.weight", [vocab, DIM], output],
  ];
  const head = DIM / HEADS;
  const small = 0.02;
  for (let n = 0; n < layers; n++) {
    tensors.push(
      [`blk.${n}.attn_norm.weight`, [DIM], ones()],
      [`blk.${n}.attn_q.weight`, [HEADS * head, DIM], matrix(HEADS * head, DIM, 0.1)],
      [`blk.${n}.attn_k.weight`, [KV_HEADS * head, DIM], matrix(KV_HEADS * head, DIM, 0.1)],
      [`blk.${n}.attn_v.weight`, [KV_HEADS * head, DIM], matrix(KV_HEADS * head, DIM, 0.1)],
      [`blk.${n}.attn_output.weight`, [DIM, HEADS * head], matrix(DIM, HEADS * head, small)],
      [`blk.${n}.ffn_norm.weight`, [DIM], ones()],
      [`blk.${n}.ffn_gate.weight`, [FFN, DIM], matrix(FFN, DIM, 0.1)],
      [`blk.${n}.ffn_up.weight`, [FFN, DIM], matrix(FFN, DIM, 0.1)],
      [`blk.${n}.ffn_down.weight`, [DIM, FFN], matrix(DIM, FFN, small)],
    );
  }
  const metadata = [
    ["general.architecture", "llama"],
    ["general.name", "Alphabet"],
    ["llama.block_count", layers],
    ["llama.context_length", context],
    ["llama.embedding_length", DIM],
    ["llama.feed_forward_length", FFN],
    ["llama.attention.head_count", HEADS],
    ["llama.attention.head_count_kv", KV_HEADS],
    ["llama.rope.dimension_count", head],
    ["llama.vocab_size", vocab],
    ["llama.attention.layer_norm_rms_epsilon", new Float32Array([1e-5])],
    ["llama.rope.freq_base", new Float32Array([10_000])],
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", "gpt-2"],
    ["tokenizer.ggml.tokens", [...SPECIAL, ...byteLetters()]],
    ["tokenizer.ggml.token_type", Int32Array.from({ length: vocab }, (_, id) => (id < SPECIAL.length ? 3 : 1))],
    ["tokenizer.ggml.merges", []],
    ["tokenizer.ggml.bos_token_id", 1],
    ["tokenizer.ggml.eos_token_id", IM_END],
    ["tokenizer.ggml.add_bos_token", false],
    ["tokenizer.chat_template", TEMPLATE],
  ];
  return write(metadata, tensors, type);
}

const [U32, F32, BOOL, STRING, ARRAY, I32] = [4, 6, 7, 8, 9, 5];
const ALIGNMENT = 32;

/** A GGUF file, version 3. Metadata: a number is a u32, a Float32Array of one an f32, an array an array. */
function write(metadata, tensors, type) {
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
  const padding = (length) => Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);

  parts.push(Buffer.from("GGUF"));
  u32(3);
  u64(tensors.length);
  u64(metadata.length);
  for (const [key, content] of metadata) text(key), value(content);
  const stored = tensors.map(([, shape, values]) => (shape.length > 1 && type === "q8_0" ? q8(values) : Buffer.from(values.buffer)));
  let offset = 0;
  tensors.forEach(([name, shape], i) => {
    text(name);
    u32(shape.length);
    for (const size of [...shape].reverse()) u64(size);
    u32(shape.length > 1 && type === "q8_0" ? 8 : 0);
    u64(offset);
    offset += stored[i].length + padding(stored[i].length).length;
  });
  parts.push(padding(parts.reduce((sum, part) => sum + part.length, 0)));
  for (const content of stored) parts.push(content, padding(content.length));
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
