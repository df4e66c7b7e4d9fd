//! Models that load though something is wrong with them: they speak, or say why not, and leave nothing behind.

use super::bad::good;
use inkstone::Error;
use inkstone::language::{GenerateOptions, GenerationResult, LanguageModel};
use inkstone::load::Abort;
use pollster::block_on;
use support::models::case::Case;
use support::models::folder::{self, Files};
use support::models::gguf::{self, Without};
use support::models::run::Bench;
use support::models::weights::{Stored, hash};

/// Two tokens after a text, or why not.
fn speak(model: &LanguageModel, options: GenerateOptions) -> Result<GenerationResult, Error> {
    let options = GenerateOptions { max_tokens: Some(2), raw: true, ignore_eos: true, ..options };
    block_on(model.generate(&"HELLO".into(), &options, &|_, _| (), &Abort::default()))
}

/// Bits flipped in headers and weights: much of that loads, since nobody can see that a weight is another one.
#[test]
fn what_loads_though_it_is_damaged_speaks_or_says_why_not() {
    let (bench, case) = (Bench::open(), Case::read("qwen3_wide"));
    let gguf = gguf::file(&Case::read("llama_q8_0"), Stored::Q8_0, Without::default());
    let whole = folder::whole(&case);
    let weights = &whole["model.safetensors"];
    let (mut spoke, mut mute, mut refused) = (0, 0, 0);
    let before = bench.live_bytes();
    for i in 0..60 {
        let folder = i % 2 == 1;
        let mut bytes = if folder { weights.clone() } else { gguf.clone() };
        // The heads are short; what lies behind them is as likely to be hit as they are.
        let end = if i % 4 < 2 { 3000 } else { bytes.len() };
        for n in 0..=i % 3 {
            let random = hash(&format!("flip {n}"), i);
            bytes[random as usize % end] ^= 1 << (random >> 61);
        }
        let mut files = Files::from([("bad.gguf".to_string(), bytes)]);
        if folder {
            let bytes = files.remove("bad.gguf").unwrap();
            files = whole.clone();
            files.insert("model.safetensors".to_string(), bytes);
        }
        match bench.load(files).map(|model| (speak(&model, GenerateOptions::default()), model.info().vocabulary)) {
            Ok((Ok(answer), vocab)) => {
                assert!(
                    answer.tokens.len() == 2 && answer.tokens.iter().all(|&t| (t as usize) < vocab),
                    "{i}: {answer:?}"
                );
                spoke += 1;
            }
            Ok((Err(e), _)) => {
                assert!(e.to_string().len() > 10, "{i}: {e:?}");
                mute += 1;
            }
            Err(e) => {
                assert!(e.to_string().len() > 10 && e.code() != "Gpu", "{i}: {e:?}");
                refused += 1;
            }
        }
        assert_eq!(bench.live_bytes(), before, "{i}: bytes are left on the GPU");
    }
    println!("of 60 damaged files {refused} were refused, {spoke} spoke, {mute} said why not");
    assert!(spoke > 15 && refused > 15);
    good(&bench, &case);
}

/// A file whose weights are not numbers is what a broken conversion leaves.
#[test]
fn weights_that_are_no_numbers_are_an_error_when_it_speaks() {
    let (bench, case) = (Bench::open(), Case::read("smollm2_tiny"));
    let whole = folder::whole(&case);
    let head = 8 + u64::from_le_bytes(whole["model.safetensors"][..8].try_into().unwrap()) as usize;
    for (what, value) in [("NaN", f32::NAN), ("infinity", f32::INFINITY)] {
        let mut files = whole.clone();
        let bytes = files.get_mut("model.safetensors").unwrap();
        bytes[head..].chunks_exact_mut(4).for_each(|b| b.copy_from_slice(&value.to_le_bytes()));
        let model = bench.load(files).unwrap_or_else(|e| panic!("{what}: {e}"));
        let hot = GenerateOptions { temperature: 1.0, top_k: 5, top_p: 0.9, ..GenerateOptions::default() };
        let looked_at = GenerateOptions { logprobs: Some(2), frequency_penalty: 0.5, ..GenerateOptions::default() };
        for options in [GenerateOptions::default(), hot, looked_at] {
            match speak(&model, options) {
                Ok(answer) => panic!("weights of {what} said {:?} {:?}", answer.text, answer.tokens),
                Err(e) => assert!(e.code() == "Format" && e.to_string().contains("no token"), "{what}: {e:?}"),
            }
        }
    }
    good(&bench, &case);
}
