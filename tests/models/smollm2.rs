//! The demo model, SmolLM2-135M-Instruct in Q4_1: its greedy answers are those of float32 `transformers`, on every tier.
//!
//! The file comes from `node tools/assets.mjs smollm2` (which keeps it in a cache), or `INKSTONE_SMOLLM2` says where it is.

use inkstone::gpu::{Choice, Family, Tier};
use inkstone::language::{FinishReason, GenerateOptions, LanguageModel};
use inkstone::load::DiskFiles;
use serde_json::Value;
use std::path::{Path, PathBuf};
use support::assets::asset;
use support::models::case;
use support::models::run::{Bench, best, generate, logits};
use support::tolerance::{Tolerance, check};

/// A margin below this is a tie. Keys and values rounded to f16 move margins by up to `noise`, a quarter of it.
const TIE: f64 = 0.05;

/// Where the model is.
fn file() -> PathBuf {
    if let Some(path) = std::env::var_os("INKSTONE_SMOLLM2") {
        return path.into();
    }
    asset("smollm2")
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn load(bench: &Bench, path: &Path) -> LanguageModel {
    bench.load_from(&DiskFiles::open(path).unwrap(), 256).unwrap()
}

/// Logits after the last of `tokens`.
fn last_row(model: &LanguageModel, tokens: &[u32]) -> Vec<f32> {
    let all = logits(model, tokens);
    all[all.len() - all.len() / tokens.len()..].to_vec()
}

/// Greedy answers to the first `chats` prompts, each compared up to its first tie or its end.
fn answers(model: &LanguageModel, golden: &Value, chats: usize) {
    for chat in &golden["chats"].as_array().unwrap()[..chats] {
        let (prompt, margins, answer) = (ids(&chat["prompt"]), floats(&chat["margins"]), ids(&chat["answer"]));
        assert_eq!(model.tokenizer().encode_chat(chat["text"].as_str().unwrap()), prompt, "the prompt's tokens");
        let ends = |id: &u32| model.tokenizer().stop_tokens().contains(id);
        let sure = margins.iter().position(|&m| m < TIE).unwrap_or(margins.len());
        let end = answer[..sure].iter().position(ends);
        let want = &answer[..end.unwrap_or(sure)];
        // Where transformers ended its answer, ours must end by itself too.
        let room = if end.is_some() { 256 - prompt.len() } else { sure };
        let options = GenerateOptions { max_tokens: Some(room), ..GenerateOptions::default() };
        let got = generate(model, &chat["messages"], &options);
        assert_eq!(got.usage.prompt_tokens, prompt.len());
        assert_eq!(got.tokens, want, "{:?} instead of {}", got.text, chat["answer_text"]);
        assert_eq!(got.finish_reason, if end.is_some() { FinishReason::Stop } else { FinishReason::Length });
        println!("{:?}: {} tokens equal to transformers'", got.text, want.len());
    }
}

/// Logits of one chat's likeliest tokens, and of a few after a long prompt.
fn likeliest(model: &LanguageModel, golden: &Value, tolerance: Tolerance) {
    let chat = &golden["chats"][1];
    let row = last_row(model, &ids(&chat["prompt"]));
    let top = ids(&chat["top_ids"]);
    assert_eq!(best(&row), top[0]);
    let got: Vec<f32> = top.iter().map(|&id| row[id as usize]).collect();
    let d = check("the likeliest tokens", &floats(&chat["top_logits"]), &got, tolerance);
    println!("the likeliest tokens: NMSE {:.1e}", d.nmse);

    let long = &golden["long"];
    let prompt = ids(&long["prompt"]);
    assert_eq!(model.tokenizer().encode_chat(long["text"].as_str().unwrap()), prompt);
    let row = last_row(model, &prompt);
    let got: Vec<f32> = ids(&long["ids"]).iter().map(|&id| row[id as usize]).collect();
    let d = check("logits after a long prompt", &floats(&long["logits"]), &got, tolerance);
    println!("logits after {} tokens: NMSE {:.1e}, worst element {:.1e}", prompt.len(), d.nmse, d.peak);
}

fn golden() -> Value {
    let golden: Value = serde_json::from_slice(&std::fs::read(case::folder().join("smollm2.json")).unwrap()).unwrap();
    assert!(golden["noise"].as_f64().unwrap() * 4.0 < TIE);
    golden
}

#[test]
fn smollm2_answers_as_transformers_does() {
    let (golden, path, bench) = (golden(), file(), Bench::open());
    let model = load(&bench, &path);
    answers(&model, &golden, 3);
    likeliest(&model, &golden, Tolerance::LogitsF16);
}

#[test]
fn smollm2_says_the_same_on_every_tier() {
    let (golden, path) = (golden(), file());
    let best = Bench::at(None).gpu.adapter().tier;
    for tier in [Tier::Base, Tier::Subgroups, Tier::F16].into_iter().filter(|t| *t <= best) {
        let bench = Bench::at(Some(tier));
        assert_eq!(bench.gpu.adapter().tier, tier);
        answers(&load(&bench, &path), &golden, 1);
    }
}

/// The kernels of GPUs, with what may be chosen if a model's caller allows it.
#[test]
fn smollm2_with_products_of_eight_bits() {
    let (golden, path, bench) = (golden(), file(), Bench::of(Some(Tier::Base), Some(Family::Generic)));
    bench.gpu.choose(Choice::Int8Prompts, true);
    bench.gpu.choose(Choice::Int8Tokens, true);
    let model = load(&bench, &path);
    assert_eq!(model.info().choices, ["int8 prompts", "int8 tokens"]);
    likeliest(&model, &golden, Tolerance::LogitsInt8);
    // The first chat's first token is nearly a tie.
    for chat in &golden["chats"].as_array().unwrap()[1..] {
        let (margins, answer) = (floats(&chat["margins"]), ids(&chat["answer"]));
        assert!(margins[0] > 2.0);
        let options = GenerateOptions { max_tokens: Some(1), ..GenerateOptions::default() };
        assert_eq!(generate(&model, &chat["messages"], &options).tokens, answer[..1]);
    }
}
