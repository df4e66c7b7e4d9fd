//! The load option `quantize`: floats that become blocks while they stream. The logits are those of the same model with,
//! as f32, the numbers that such blocks stand for; encoding and decoding here are loops of their own, after
//! `gguf/quants.py` of the `gguf` package, in its order of operations.

use inkstone::language::{LanguageModel, LoadOptions};
use inkstone::load::{Abort, MemoryFiles, Quantize};
use pollster::block_on;
use support::models::case::Case;
use support::models::folder::{self, Files};
use support::models::gguf::{self, Without};
use support::models::run::{Bench, logits};
use support::models::weights::{Stored, rounded};
use support::tolerance::{Tolerance, check, measure};

/// A number as f16 holds it.
fn half(x: f32) -> f32 {
    half::f16::from_f32(x).to_f32()
}

/// What 32 weights are after eight bits each.
fn eight(block: &mut [f32]) {
    let d = block.iter().fold(0.0f32, |most, w| most.max(w.abs())) / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    // Half away from zero, as C's roundf.
    let round = |x: f32| x.signum() * (x.abs() + 0.5).floor();
    block.iter_mut().for_each(|w| *w = half(d) * round(*w * inverse));
}

/// What 32 weights are after four bits each: the largest maps to -8.
fn four(block: &mut [f32]) {
    let mut most = 0.0f32;
    for &w in block.iter() {
        if w.abs() > most.abs() {
            most = w;
        }
    }
    let d = most / -8.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    block.iter_mut().for_each(|w| *w = half(d) * ((*w * inverse + 8.5).trunc().clamp(0.0, 15.0) - 8.0));
}

/// The case as a GGUF file of f32, whose matrices have been through blocks of eight or, but for embeddings and output,
/// four bits. Returns how many matrices have rows that are no whole blocks, and stay.
fn through_blocks(case: &Case, bits: usize) -> (Files, usize) {
    let mut stay = 0;
    let mut tensors = gguf::tensors(case, case.stored);
    for (name, shape, kind, bytes) in &mut tensors {
        if shape.len() < 2 {
            continue; // already f32
        }
        let mut floats: Vec<f32> =
            rounded(bytes, case.stored).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let spared = ["token_embd.weight", "output.weight"].contains(&name.as_str());
        if shape[1] % 32 == 0 {
            floats.chunks_exact_mut(32).for_each(if bits == 8 || spared { eight } else { four });
        } else {
            stay += 1;
        }
        *bytes = floats.iter().flat_map(|w| w.to_le_bytes()).collect();
        *kind = Stored::F32.gguf();
    }
    (Files::from([("model.gguf".to_string(), gguf::with_tensors(case, Without::default(), &tensors))]), stay)
}

fn load(bench: &Bench, files: Files, quantize: Quantize) -> LanguageModel {
    let options = LoadOptions { quantize: Some(quantize), context_length: Some(256), background: false };
    block_on(LanguageModel::load(&bench.gpu, &MemoryFiles(files), &options, &(), &Abort::default())).unwrap()
}

#[test]
fn floats_that_become_eight_or_four_bits_are_the_weights_of_such_blocks() {
    let bench = Bench::open();
    // Tied and not, F32 and BF16, one file and shards, matrices of whole blocks and some that stay as they are.
    for (name, shards, stays) in [("smollm2_tiny", 1, 0), ("llama_bf16", 2, 3)] {
        let case = Case::read(name);
        let tokens = &case.tokens[..32];
        let files = || if shards == 1 { folder::whole(&case) } else { folder::sharded(&case, shards) };
        let plain = load(&bench, files(), Quantize::None);
        let exact = logits(&plain, tokens);
        for (quantize, bits, kind) in [(Quantize::Q8, 8, "Q8_0"), (Quantize::Q4, 4, "Q4_0")] {
            let (reference, stay) = through_blocks(&case, bits);
            assert_eq!(stay, stays, "{name}: matrices whose rows are no whole blocks");
            let want = logits(&load(&bench, reference, Quantize::None), tokens);
            let model = load(&bench, files(), quantize);
            assert_eq!(model.info().quantization, kind, "{name}");
            assert!(model.info().bytes.weights < plain.info().bytes.weights, "{name}: {kind} is smaller");
            let what = format!("{name} as {kind}");
            let got = logits(&model, tokens);
            let d = check(&what, &want, &got, Tolerance::LogitsF16);
            // The blocks matter: without them the comparison would fail.
            let change = measure(&exact, &got).unwrap().nmse;
            assert!(change > 2.0 * Tolerance::LogitsF16.nmse(), "{what}: {change:e} from the floats themselves");
            println!("{what}: NMSE {:.1e} from its blocks, {change:.1e} from the floats", d.nmse);
        }
    }
}
