//! GGUF files of quantized weights, loaded and run as a whole: the logits are those of the same file with, as f32, the very
//! numbers that its blocks stand for.
//!
//! The blocks are random bytes, but for their scales. What they stand for comes from the plain loops below, which are held
//! to the numbers of the `gguf` package (`tests/quants/*.bin`); models of f32 weights are held to `transformers`.

use super::decode::{compare, continued, letters};
use inkstone::gpu::{Gpu, GpuOptions};
use inkstone::language::LanguageModel;
use inkstone::load::MemoryFiles;
use pollster::block_on;
use serde_json::json;
use support::models::case::Case;
use support::models::folder::Files;
use support::models::gguf::{self, Tensor, Without, gguf_name};
use support::models::run::{Bench, logits, tolerance};
use support::models::weights::{Made, Stored, hash, spread, tokens};
use support::tolerance::{Tolerance, check};

/// An encoding: its name, its number in GGUF files, weights and bytes of a block, where its scale is, and where the
/// minimum is (if it has one) with the multiple of the scale that moves the middle of the values to zero.
#[derive(Clone, Copy)]
struct Encoding {
    name: &'static str,
    number: u32,
    len: usize,
    bytes: usize,
    scale: usize,
    least: Option<(usize, f64)>,
    /// Weight `e` of a block.
    weight: fn(&[u8], usize) -> f64,
}

const fn encoding(
    name: &'static str,
    number: u32,
    (len, bytes): (usize, usize),
    scale: usize,
    weight: fn(&[u8], usize) -> f64,
) -> Encoding {
    Encoding { name, number, len, bytes, scale, least: None, weight }
}

/// The same with a minimum.
const fn with_least(e: Encoding, at: usize, middle: f64) -> Encoding {
    Encoding { least: Some((at, middle)), ..e }
}

const Q4_0: Encoding = encoding("Q4_0", 2, (32, 18), 0, q4_0);
const Q4_1: Encoding = with_least(encoding("Q4_1", 3, (32, 20), 0, q4_1), 2, -7.5);
const Q5_0: Encoding = encoding("Q5_0", 6, (32, 22), 0, q5_0);
const Q5_1: Encoding = with_least(encoding("Q5_1", 7, (32, 24), 0, q5_1), 2, -15.5);
const Q2_K: Encoding = with_least(encoding("Q2_K", 10, (256, 84), 80, q2_k), 82, 1.5);
const Q3_K: Encoding = encoding("Q3_K", 11, (256, 110), 108, q3_k);
const Q4_K: Encoding = with_least(encoding("Q4_K", 12, (256, 144), 0, q4_k), 2, 7.5);
const Q5_K: Encoding = with_least(encoding("Q5_K", 13, (256, 176), 0, q5_k), 2, 15.5);
const Q6_K: Encoding = encoding("Q6_K", 14, (256, 210), 208, q6_k);
const IQ4_NL: Encoding = encoding("IQ4_NL", 20, (32, 18), 0, iq4_nl);
const IQ4_XS: Encoding = encoding("IQ4_XS", 23, (256, 136), 0, iq4_xs);
const ALL: [Encoding; 11] = [Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS];

// ---- what blocks stand for: the formulas of ggml-quants.c, a weight at a time ------------------------------------------

fn float(block: &[u8], at: usize) -> f64 {
    half::f16::from_le_bytes([block[at], block[at + 1]]).to_f64()
}

/// Nibble `e` of 16 bytes that hold 32: the low ones first.
fn nibble(bytes: &[u8], e: usize) -> u8 {
    bytes[e % 16] >> (e / 16 * 4) & 15
}

/// Bit `e` of these bytes.
fn bit(bytes: &[u8], e: usize) -> u8 {
    bytes[e / 8] >> (e % 8) & 1
}

fn q4_0(b: &[u8], e: usize) -> f64 {
    float(b, 0) * (f64::from(nibble(&b[2..], e)) - 8.0)
}

fn q4_1(b: &[u8], e: usize) -> f64 {
    float(b, 0) * f64::from(nibble(&b[4..], e)) + float(b, 2)
}

fn q5_0(b: &[u8], e: usize) -> f64 {
    float(b, 0) * (f64::from(nibble(&b[6..], e) | bit(&b[2..6], e) << 4) - 16.0)
}

fn q5_1(b: &[u8], e: usize) -> f64 {
    float(b, 0) * f64::from(nibble(&b[8..], e) | bit(&b[4..8], e) << 4) + float(b, 2)
}

/// Two bits of four interleaved quarters of 32 in each half of a block.
fn two_bits(bytes: &[u8], e: usize) -> u8 {
    bytes[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2) & 3
}

fn q2_k(b: &[u8], e: usize) -> f64 {
    let s = b[e / 16];
    float(b, 80) * f64::from(s & 15) * f64::from(two_bits(&b[16..], e)) - float(b, 82) * f64::from(s >> 4)
}

fn q3_k(b: &[u8], e: usize) -> f64 {
    let (high, scales, i) = (&b[..32], &b[96..108], e / 16);
    let low = if i < 8 { scales[i] & 15 } else { scales[i - 8] >> 4 };
    let scale = low | (scales[8 + i % 4] >> (i / 4 * 2) & 3) << 4;
    let quant = f64::from(two_bits(&b[32..], e)) - if high[e % 32] >> (e / 32) & 1 == 1 { 0.0 } else { 4.0 };
    float(b, 108) * (f64::from(scale) - 32.0) * quant
}

/// Scale and minimum `i` of eight, six bits each.
fn scale_and_least(s: &[u8], i: usize) -> (f64, f64) {
    let (scale, least) = match i {
        0..4 => (s[i] & 63, s[i + 4] & 63),
        _ => (s[i + 4] & 15 | s[i - 4] >> 6 << 4, s[i + 4] >> 4 | s[i] >> 6 << 4),
    };
    (scale.into(), least.into())
}

/// A nibble of 32 bytes for every 64 weights.
fn wide_nibble(bytes: &[u8], e: usize) -> u8 {
    bytes[e / 64 * 32 + e % 32] >> (e % 64 / 32 * 4) & 15
}

fn q4_k(b: &[u8], e: usize) -> f64 {
    let (scale, least) = scale_and_least(&b[4..16], e / 32);
    float(b, 0) * scale * f64::from(wide_nibble(&b[16..], e)) - float(b, 2) * least
}

fn q5_k(b: &[u8], e: usize) -> f64 {
    let (scale, least) = scale_and_least(&b[4..16], e / 32);
    let quant = wide_nibble(&b[48..], e) | (b[16 + e % 32] >> (e / 32) & 1) << 4;
    float(b, 0) * scale * f64::from(quant) - float(b, 2) * least
}

fn q6_k(b: &[u8], e: usize) -> f64 {
    let (half, within) = (e / 128, e % 128);
    let low = b[half * 64 + within % 64] >> (within / 64 * 4) & 15;
    let quant = low | two_bits(&b[128..192], e) << 4;
    float(b, 208) * f64::from(b[192 + e / 16] as i8) * (f64::from(quant) - 32.0)
}

const LEVELS: [f64; 16] = [-127., -104., -83., -65., -49., -35., -22., -10., 1., 13., 25., 38., 53., 69., 89., 113.];

fn iq4_nl(b: &[u8], e: usize) -> f64 {
    float(b, 0) * LEVELS[nibble(&b[2..], e) as usize]
}

fn iq4_xs(b: &[u8], e: usize) -> f64 {
    let i = e / 32;
    let high = u16::from_le_bytes([b[2], b[3]]) >> (2 * i) & 3;
    let scale = u16::from(b[4 + i / 2] >> (i % 2 * 4) & 15) | high << 4;
    float(b, 0) * (f64::from(scale) - 32.0) * LEVELS[nibble(&b[8 + i * 16..], e % 32) as usize]
}

impl Encoding {
    /// The numbers that these blocks stand for, as f32.
    fn weights(&self, blocks: &[u8]) -> Vec<f32> {
        let blocks = blocks.chunks_exact(self.bytes);
        blocks.flat_map(|b| (0..self.len).map(|e| (self.weight)(b, e) as f32)).collect()
    }

    /// `count` weights: random bytes, whose scales give the weights about this standard deviation.
    fn blocks(&self, name: &str, count: usize, deviation: f64) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count / self.len * self.bytes).map(|i| (hash(name, i) >> 56) as u8).collect();
        let scales = format!("{name} scale");
        let mut set = |unit: f64| {
            for (i, b) in bytes.chunks_exact_mut(self.bytes).enumerate() {
                let scale = unit * (0.5 + (hash(&scales, i) >> 54) as f64 / 1024.0);
                b[self.scale..][..2].copy_from_slice(&half::f16::from_f64(scale).to_le_bytes());
                if let Some((at, middle)) = self.least {
                    b[at..][..2].copy_from_slice(&half::f16::from_f64(scale * middle).to_le_bytes());
                }
            }
            let weights = self.weights(&bytes);
            let power: f64 = weights.iter().map(|w| f64::from(w * w)).sum();
            (power / weights.len() as f64).sqrt()
        };
        let of_unit = set(1.0);
        set(deviation / of_unit);
        bytes
    }
}

#[test]
fn the_loops_say_what_the_gguf_package_says() {
    for e in ALL {
        let path = format!("{}/tests/quants/{}.bin", env!("CARGO_MANIFEST_DIR"), e.name.to_lowercase());
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let (blocks, want) = bytes.split_at(bytes.len() / (e.bytes + 4 * e.len) * e.bytes);
        let want: Vec<f32> = want.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        check(e.name, &want, &e.weights(blocks), Tolerance::Exact);
    }
}

// ---- whole models ----------------------------------------------------------------------------------------------------

/// A llama of rows of whole blocks: 256 and 512 columns. It has no golden logits.
fn case(name: &str) -> Case {
    let config = json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false,
    });
    let none = (Vec::new(), Vec::new(), Vec::new());
    // The tolerance is that of all quantized files.
    Case {
        name: name.into(),
        config,
        stored: Stored::Q8_0,
        tokens: tokens(1, 45, 300),
        rows: none.0,
        logits: none.1,
        top1: none.2,
        listed: None,
        rules: Vec::new(),
    }
}

/// Two files of a case: its matrices in the encodings that `choose` gives them, and the same numbers as f32.
fn files(case: &Case, choose: impl Fn(&str) -> Encoding) -> [Files; 2] {
    let (mut encoded, mut floats): (Vec<Tensor>, Vec<Tensor>) = Default::default();
    for made in case.tensors() {
        let name = gguf_name(&made.name);
        let Made { shape, .. } = &made;
        if let [rows, cols] = shape[..] {
            let e = choose(&name);
            let (_, half) = spread(&made.name, shape, &[]);
            let blocks = e.blocks(&made.name, rows * cols, f64::from(half) / 3f64.sqrt());
            let weights = e.weights(&blocks).iter().flat_map(|w| w.to_le_bytes()).collect();
            encoded.push((name.clone(), shape.clone(), e.number, blocks));
            floats.push((name, shape.clone(), Stored::F32.gguf(), weights));
        } else {
            let tensor = (name, shape.clone(), Stored::F32.gguf(), made.bytes(Stored::F32));
            encoded.push(tensor.clone());
            floats.push(tensor);
        }
    }
    [encoded, floats]
        .map(|t| Files::from([("model.gguf".to_string(), gguf::with_tensors(case, Without::default(), &t))]))
}

/// As llama.cpp mixes them in its files of medium size: what matters most has six bits.
fn medium(name: &str) -> Encoding {
    match name {
        "output.weight" | "blk.0.attn_v.weight" | "blk.0.ffn_down.weight" => Q6_K,
        _ => Q4_K,
    }
}

/// All the others at once, each in the place of one matrix: what is one dispatch elsewhere is several here.
fn motley(name: &str) -> Encoding {
    match name {
        "token_embd.weight" => Q2_K,
        "output.weight" => Q4_0,
        "blk.0.attn_q.weight" => IQ4_XS,
        "blk.0.attn_k.weight" => Q5_1,
        "blk.0.attn_v.weight" => Q4_1,
        "blk.0.attn_output.weight" => Q5_0,
        "blk.0.ffn_gate.weight" => IQ4_NL,
        "blk.0.ffn_up.weight" => Q5_K,
        "blk.0.ffn_down.weight" => Q3_K,
        _ => Q4_K,
    }
}

/// A file by its name, what encodes its matrices, and what it says of itself.
type Mix = (&'static str, fn(&str) -> Encoding, &'static str);

/// Every pipeline costs a driver on the CPU a third of a second: the second file brings nine encodings in one place each.
/// Files of one encoding only are in [`UNIFORM`].
const MIXES: [Mix; 2] = [("Q4_K and Q6_K", medium, "Q4_K"), ("nine others", motley, "Q4_K")];

/// One encoding for all, as in the files of these names.
const UNIFORM: [Mix; 3] = [("Q3_K", |_| Q3_K, "Q3_K"), ("Q5_0", |_| Q5_0, "Q5_0"), ("IQ4_XS", |_| IQ4_XS, "IQ4_XS")];

/// The device at hand, with bindings of at most so many bytes.
fn with_bindings(like: &Bench, max_binding: u64) -> Bench {
    let adapter = like.gpu.adapter();
    let options = GpuOptions {
        tier: Some(adapter.tier),
        family: Some(adapter.family),
        max_binding: Some(max_binding),
        ..GpuOptions::default()
    };
    Bench { gpu: block_on(Gpu::open(&options)).expect("a Vulkan driver is there") }
}

/// Loads both files of a mix and compares them. Returns the model of quantized weights, its file, its logits.
fn compared(bench: &Bench, case: &Case, (name, choose, quantization): Mix) -> (LanguageModel, Files, Vec<f32>) {
    let [encoded, floats] = files(case, choose);
    let want = logits(&bench.load(floats).unwrap(), &case.tokens);
    let model = bench.load_from(&MemoryFiles(encoded.clone()), 64).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(model.info().quantization, quantization, "{name}");
    let got = logits(&model, &case.tokens);
    let d = check(name, &want, &got, tolerance(case));
    println!("{name:14} NMSE {:.1e}, worst element {:.1e} of {}", d.nmse, d.peak, want.len());
    (model, encoded, got)
}

/// Also a token at a time, which other kernels compute; and with bindings so small that every matrix is split by rows,
/// between blocks that begin in the middle of a word: that must change nothing.
#[test]
fn logits_of_files_of_mixed_encodings_are_those_of_the_weights_they_stand_for() {
    let bench = Bench::open();
    let small = with_bindings(&bench, 18_000);
    let text = letters(20, 5);
    for mix in MIXES {
        let (name, case) = (mix.0, case(mix.0));
        let (model, encoded, got) = compared(&bench, &case, mix);
        let said = continued(&model, &text, 6);
        compare(&model, &case, &text, &said, &format!("{name}, 6 tokens after 20"));
        let split = small.load_from(&MemoryFiles(encoded), 64).unwrap_or_else(|e| panic!("{name}, split: {e}"));
        let (few, many) = (model.info().dispatches, split.info().dispatches);
        assert!(many[0] > few[0] && many[1] > few[1], "{name}: {many:?} dispatches, {few:?} unsplit");
        assert_eq!(logits(&split, &case.tokens), got, "{name}: each row is computed as before");
        assert_eq!(continued(&split, &text, 6).tokens, said.tokens, "{name}");
    }
}

#[test]
fn logits_of_files_of_one_encoding_are_those_of_the_weights_they_stand_for() {
    let bench = Bench::open();
    // With kernels that were asked for by name one is enough: the others are in the mixed files.
    let count = if std::env::var_os("INKSTONE_FAMILY").is_some() { 1 } else { UNIFORM.len() };
    for mix in UNIFORM.into_iter().take(count) {
        compared(&bench, &case(mix.0), mix);
    }
}
