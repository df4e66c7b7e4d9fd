//! A made-up model as a GGUF file, as llama.cpp's converter would write it.

use super::case::{Case, count};
use super::folder::vocabulary;
use super::weights::{Made, Stored, rounded};
use serde_json::Value;

/// The start of a GGUF file being written.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    entries: u64,
}

impl Writer {
    fn text(&mut self, text: &str) {
        self.bytes.extend((text.len() as u64).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn entry(&mut self, key: &str, kind: u32) {
        self.text(key);
        self.bytes.extend(kind.to_le_bytes());
        self.entries += 1;
    }

    /// Begins a list of `count` values of a kind.
    fn list(&mut self, key: &str, kind: u32, count: usize) {
        self.entry(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((count as u64).to_le_bytes());
    }

    fn u32(&mut self, key: &str, value: usize) {
        self.entry(key, 4);
        self.bytes.extend((value as u32).to_le_bytes());
    }

    fn f32(&mut self, key: &str, value: f64) {
        self.entry(key, 6);
        self.bytes.extend((value as f32).to_le_bytes());
    }

    fn str(&mut self, key: &str, value: &str) {
        self.entry(key, 8);
        self.text(value);
    }

    fn strings(&mut self, key: &str, values: &[String]) {
        self.list(key, 8, values.len());
        values.iter().for_each(|v| self.text(v));
    }

    fn i32s(&mut self, key: &str, values: &[i32]) {
        self.list(key, 5, values.len());
        values.iter().for_each(|v| self.bytes.extend(v.to_le_bytes()));
    }

    /// An entry whose type is named as in a manifest of `families/`: `u32`, `f32`, `bool`, `str`, a list with an s.
    pub fn named(&mut self, key: &str, name: &str, value: &Value) {
        let scalar = name.strip_suffix('s').unwrap_or(name);
        let kind = match scalar {
            "u8" => 0,
            "u32" => 4,
            "i32" => 5,
            "f32" => 6,
            "bool" => 7,
            "str" => 8,
            other => panic!("{key} has the type {other}"),
        };
        let values = match value {
            Value::Array(values) if name != scalar => {
                self.list(key, kind, values.len());
                values.as_slice()
            }
            value => {
                self.entry(key, kind);
                std::slice::from_ref(value)
            }
        };
        for value in values {
            match kind {
                0 => self.bytes.push(value.as_u64().unwrap() as u8),
                4 => self.bytes.extend((value.as_u64().unwrap() as u32).to_le_bytes()),
                5 => self.bytes.extend((value.as_i64().unwrap() as i32).to_le_bytes()),
                6 => self.bytes.extend((value.as_f64().unwrap() as f32).to_le_bytes()),
                7 => self.bytes.push(u8::from(value.as_bool().unwrap())),
                _ => self.text(value.as_str().unwrap()),
            }
        }
    }

    /// The tests' tokenizer.
    pub fn tokenizer(&mut self, vocab: usize) {
        let words = vocabulary(vocab);
        let kinds: Vec<i32> = words.iter().enumerate().map(|(i, _)| if i < 2 { 3 } else { 1 }).collect();
        self.str("tokenizer.ggml.model", "gpt2");
        self.str("tokenizer.ggml.pre", "gpt-2");
        self.strings("tokenizer.ggml.tokens", &words);
        self.i32s("tokenizer.ggml.token_type", &kinds);
        self.strings("tokenizer.ggml.merges", &[]);
        self.u32("tokenizer.ggml.bos_token_id", 0);
        self.u32("tokenizer.ggml.eos_token_id", 1);
    }

    /// The whole file: what has been written, and these tensors.
    pub fn finish(self, tensors: &[Tensor]) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((tensors.len() as u64).to_le_bytes());
        file.extend(self.entries.to_le_bytes());
        let mut table = Writer { bytes: self.bytes, entries: 0 };
        let mut offset = 0u64;
        for (name, shape, kind, bytes) in tensors {
            table.text(name);
            table.bytes.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&d| table.bytes.extend((d as u64).to_le_bytes()));
            table.bytes.extend(kind.to_le_bytes());
            table.bytes.extend(offset.to_le_bytes());
            offset += bytes.len().next_multiple_of(32) as u64;
        }
        file.extend(table.bytes);
        file.resize(file.len().next_multiple_of(32), 0);
        for (.., bytes) in tensors {
            file.extend(bytes);
            file.resize(file.len().next_multiple_of(32), 0);
        }
        file
    }
}

/// What a GGUF file may be made without, to see what the loader says.
#[derive(Clone, Copy, Default)]
pub struct Without {
    /// No tokenizer.
    pub tokenizer: bool,
    /// Not the tensor with this GGUF name.
    pub tensor: &'static str,
}

/// The GGUF name of a transformers tensor.
pub fn gguf_name(name: &str) -> String {
    let mut name = name.replace("model.layers.", "blk.");
    for (from, to) in [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ] {
        name = name.replace(from, to);
    }
    name
}

/// The divisors that the converter computes from Llama 3's rope scaling and stores as a tensor.
fn llama3_factors(config: &Value, scaling: &Value, dims: usize) -> Vec<f32> {
    let number = |key: &str| scaling[key].as_f64().unwrap();
    let base = scaling["rope_theta"].as_f64().or(config["rope_theta"].as_f64()).unwrap();
    let (factor, low, high) = (number("factor"), number("low_freq_factor"), number("high_freq_factor"));
    let context = number("original_max_position_embeddings");
    (0..dims / 2)
        .map(|i| {
            let wavelength = std::f64::consts::TAU * base.powf(2.0 * i as f64 / dims as f64);
            if wavelength < context / high {
                return 1.0;
            }
            if wavelength > context / low {
                return factor as f32;
            }
            let smooth = (context / wavelength - low) / (high - low);
            (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
        })
        .collect()
}

/// A tensor of a file: its GGUF name, its shape, outermost dimension first, the number of its encoding, its bytes.
pub type Tensor = (String, Vec<usize>, u32, Vec<u8>);

/// The whole file of a case whose matrices are stored as `stored`: the same weights, so the same logits.
pub fn file(case: &Case, stored: Stored, without: Without) -> Vec<u8> {
    let mut all = tensors(case, stored);
    all.retain(|t| t.0 != without.tensor);
    with_tensors(case, without, &all)
}

/// The file of a case with other tensors.
pub fn with_tensors(case: &Case, without: Without, tensors: &[Tensor]) -> Vec<u8> {
    metadata(case, without).finish(tensors)
}

/// What the converter names a case's family, and its rope scaling with the kind of it.
fn family_and_rope(case: &Case) -> (&str, &Value, &str) {
    let c = &case.config;
    // The converter makes Mistral models "llama", which computes the same (but knows no sliding window).
    let family = if case.family() == "mistral" { "llama" } else { case.family() };
    let scaling = if c["rope_parameters"].is_object() { &c["rope_parameters"] } else { &c["rope_scaling"] };
    (family, scaling, scaling["rope_type"].as_str().or(scaling["type"].as_str()).unwrap_or("default"))
}

/// Whether files of this family have the rows of queries and keys as neighbouring pairs.
fn interleaved(family: &str) -> bool {
    matches!(family, "llama" | "smollm3")
}

fn metadata(case: &Case, without: Without) -> Writer {
    let c = &case.config;
    let (heads, kv, size) = case.heads();
    let (family, scaling, kind) = family_and_rope(case);
    let mut w = Writer::default();
    let key = |k: &str| format!("{family}.{k}");
    w.str("general.architecture", family);
    w.str("general.name", &case.name);
    w.u32("general.quantization_version", 2);
    w.u32(&key("block_count"), count(c, "num_hidden_layers"));
    w.u32(&key("context_length"), count(c, "max_position_embeddings"));
    w.u32(&key("embedding_length"), count(c, "hidden_size"));
    w.u32(&key("feed_forward_length"), count(c, "intermediate_size"));
    w.u32(&key("attention.head_count"), heads);
    w.u32(&key("attention.head_count_kv"), kv);
    w.f32(&key("attention.layer_norm_rms_epsilon"), c["rms_norm_eps"].as_f64().unwrap());
    w.f32(&key("rope.freq_base"), scaling["rope_theta"].as_f64().or(c["rope_theta"].as_f64()).unwrap_or(10_000.0));
    if c["head_dim"].is_u64() {
        w.u32(&key("attention.key_length"), size);
        w.u32(&key("attention.value_length"), size);
    }
    if interleaved(family) {
        w.u32(&key("rope.dimension_count"), size);
        w.u32(&key("vocab_size"), case.vocab());
    }
    if let "linear" | "yarn" = kind {
        w.str(&key("rope.scaling.type"), kind);
        w.f32(&key("rope.scaling.factor"), scaling["factor"].as_f64().unwrap());
    }
    if kind == "yarn" {
        w.u32(&key("rope.scaling.original_context_length"), count(scaling, "original_max_position_embeddings"));
    }
    if !without.tokenizer {
        w.tokenizer(case.vocab());
    }
    w
}

/// The tensors of a case whose matrices are stored as `stored`, as the converter writes them.
pub fn tensors(case: &Case, stored: Stored) -> Vec<Tensor> {
    let (heads, kv, size) = case.heads();
    let (family, scaling, kind) = family_and_rope(case);
    let mut tensors = Vec::new();
    if kind == "llama3" {
        let factors = llama3_factors(&case.config, scaling, size);
        let bytes = factors.iter().flat_map(|f| f.to_le_bytes()).collect();
        tensors.push(("rope_freqs.weight".to_string(), vec![factors.len()], Stored::F32.gguf(), bytes));
    }
    for made in case.tensors() {
        let made: Made = match () {
            () if interleaved(family) && made.name.contains("q_proj") => made.interleaved(heads),
            () if interleaved(family) && made.name.contains("k_proj") => made.interleaved(kv),
            () => made,
        };
        let bytes = made.bytes(stored);
        let (kind, bytes) = match made.shape.len() {
            1 => (Stored::F32, rounded(&bytes, stored)),
            _ => (stored, bytes),
        };
        tensors.push((gguf_name(&made.name), made.shape, kind.gguf(), bytes));
    }
    tensors
}
