// The model of tiny-model.mjs once more, as a folder of the kind that transformers writes.

import { tinyModel } from "./tiny-model.mjs";

const NAMES = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** Metadata and tensors of a GGUF file, as far as tinyModel's float32 files go. */
export function readGguf(file) {
  let at = 8;
  const u32 = () => file.readUInt32LE((at += 4) - 4);
  const u64 = () => Number(file.readBigUInt64LE((at += 8) - 8));
  const text = () => {
    const length = u64();
    return file.toString("utf8", at, (at += length));
  };
  const readers = {
    4: u32,
    5: () => u32() | 0,
    6: () => file.readFloatLE((at += 4) - 4),
    7: () => file[at++] === 1,
    8: text,
  };
  readers[9] = () => {
    const read = readers[u32()];
    return Array.from({ length: u64() }, () => read());
  };
  const [nTensors, nValues] = [u64(), u64()];
  const metadata = Object.fromEntries(Array.from({ length: nValues }, () => [text(), readers[u32()]()]));
  const infos = Array.from({ length: nTensors }, () => ({
    name: text(),
    shape: Array.from({ length: u32() }, u64).reverse(),
    type: u32(),
    offset: u64(),
  }));
  const start = Math.ceil(at / 32) * 32;
  for (const info of infos) {
    const bytes = 4 * info.shape.reduce((a, b) => a * b, 1);
    info.data = file.subarray(start + info.offset, start + info.offset + bytes);
  }
  return { metadata, tensors: infos, start };
}

/** File name -> Buffer. `shards`: into how many files the weights go. */
export function tinyFolder({ shards = 1 } = {}) {
  const { metadata: m, tensors } = readGguf(tinyModel({ type: "f32" }));
  const heads = { attn_q: m["llama.attention.head_count"], attn_k: m["llama.attention.head_count_kv"] };
  const renamed = tensors.map(({ name, shape, data }) => {
    const [, layer, short] = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name) ?? [];
    if (!short) {
      const whole = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
      };
      return { name: whole[name], shape, data };
    }
    return {
      name: `model.layers.${layer}.${NAMES[short]}.weight`,
      shape,
      data: heads[short] ? halves(data, shape, heads[short]) : data,
    };
  });
  const json = (value) => Buffer.from(JSON.stringify(value));
  const tokens = m["tokenizer.ggml.tokens"];
  const special = tokens.flatMap((content, id) => (m["tokenizer.ggml.token_type"][id] === 3 ? [{ id, content }] : []));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const files = {
    "config.json": json({
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_act: "silu",
      hidden_size: m["llama.embedding_length"],
      intermediate_size: m["llama.feed_forward_length"],
      num_hidden_layers: m["llama.block_count"],
      num_attention_heads: m["llama.attention.head_count"],
      num_key_value_heads: m["llama.attention.head_count_kv"],
      vocab_size: tokens.length,
      max_position_embeddings: m["llama.context_length"],
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
    }),
    "tokenizer.json": json({
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: special.map((token) => ({ ...token, ...flags })),
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        fuse_unk: false,
        vocab: Object.fromEntries(tokens.map((t, i) => [t, i])),
        merges: [],
      },
    }),
    "tokenizer_config.json": json({
      eos_token: tokens[2],
      bos_token: tokens[1],
      chat_template: m["tokenizer.chat_template"],
    }),
    "generation_config.json": json({ eos_token_id: 2 }),
  };
  if (shards === 1) return { ...files, "model.safetensors": safetensors(renamed) };
  const index = {};
  for (let i = 0; i < shards; i++) {
    const name = `model-${String(i + 1).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}.safetensors`;
    const part = renamed.filter((_, n) => n % shards === i);
    for (const tensor of part) index[tensor.name] = name;
    files[name] = safetensors(part);
  }
  return { ...files, "model.safetensors.index.json": json({ metadata: {}, weight_map: index }) };
}

/** Rows as transformers wants them: rotary pairs a half of a head apart, not side by side. */
function halves(data, [rows, columns], heads) {
  const head = rows / heads;
  const out = Buffer.alloc(data.length);
  for (let row = 0; row < rows; row++) {
    const within = row % head;
    const target = row - within + (within % 2) * (head / 2) + Math.floor(within / 2);
    data.copy(out, target * columns * 4, row * columns * 4, (row + 1) * columns * 4);
  }
  return out;
}

/** A file of float32 tensors: `{ name, shape, data }`. */
export function safetensors(tensors) {
  let at = 0;
  const header = {};
  for (const { name, shape, data } of tensors)
    header[name] = { dtype: "F32", shape, data_offsets: [at, (at += data.length)] };
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, Buffer.from(text), ...tensors.map(({ data }) => data)]);
}
