//! One token at a time gives what all at once gives, whatever was in the cache before.

use inkstone::dtype::DType;
use inkstone::gpu::{Buffer, Family, Gpu, GpuOptions, Graph, Tier, Weight, WeightStore};
use inkstone::language::{GenerateOptions, GenerationResult, LanguageModel};
use inkstone::ops::RmsNorm;
use inkstone::shape::Shape;
use pollster::block_on;
use std::rc::Rc;
use support::models::case::Case;
use support::models::folder;
use support::models::run::{Bench, best, generate, logits, tolerance};
use support::tolerance::check;

/// Cases with all the kinds of attention there are: grouped, with biases, windows, norms of heads, no positions.
const CASES: [&str; 7] =
    ["llama3_gqa", "llama_biases", "mistral_window", "qwen2_yarn", "qwen3", "smollm2_tiny", "smollm3"];

/// Continues a text greedily by `count` tokens, with the log-probabilities of the likeliest.
pub fn continued(model: &LanguageModel, text: &str, count: usize) -> GenerationResult {
    let options = GenerateOptions {
        max_tokens: Some(count),
        raw: true,
        ignore_eos: true,
        logprobs: Some(TOP),
        ..GenerateOptions::default()
    };
    generate(model, &text.into(), &options)
}

/// How many alternatives to look at.
const TOP: usize = 8;

/// The natural logarithms of the probabilities that these logits stand for.
fn log_softmax(row: &[f32]) -> Vec<f64> {
    let most = row.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x.into()));
    let sum: f64 = row.iter().map(|&x| (f64::from(x) - most).exp()).sum();
    row.iter().map(|&x| f64::from(x) - most - sum.ln()).collect()
}

/// Compares an answer with the logits of prompt and answer computed at once. Returns the prompt's tokens.
#[track_caller]
pub fn compare(model: &LanguageModel, case: &Case, text: &str, answer: &GenerationResult, what: &str) {
    let (prompt, vocab) = (model.tokenizer().encode(text, true), case.vocab());
    assert_eq!(answer.usage.prompt_tokens, prompt.len(), "{what}: tokens of the prompt");
    let tokens: Vec<u32> = prompt.iter().chain(&answer.tokens).copied().collect();
    let all = logits(model, &tokens);
    let logprobs = answer.logprobs.as_ref().expect("log-probabilities were asked for");
    assert_eq!(logprobs.len(), answer.tokens.len(), "{what}: log-probabilities");
    let (mut want, mut got) = (Vec::new(), Vec::new());
    for (i, said) in logprobs.iter().enumerate() {
        let row = prompt.len() - 1 + i;
        let row = &all[row * vocab..(row + 1) * vocab];
        let expected = log_softmax(row);
        assert_eq!(said.token, answer.tokens[i], "{what}: token {i}");
        assert_eq!(said.top.len(), TOP, "{what}: alternatives of token {i}");
        let has_best = said.top.iter().any(|t| t.token == best(row));
        assert!(said.token == said.top[0].token && has_best, "{what}: token {i}, {said:?}, but {} is best", best(row));
        want.push(expected[said.token as usize]);
        got.push(said.logprob);
        for other in &said.top {
            want.push(expected[other.token as usize]);
            got.push(other.logprob);
        }
    }
    check(what, &want, &got, tolerance(case));
}

/// A text of `length` letters that every case's vocabulary has as tokens of their own.
pub fn letters(length: usize, step: usize) -> String {
    (0..length).map(|i| char::from(b'!' + ((i * step + i * i / 7) % 58) as u8)).collect()
}

#[test]
fn decoding_one_by_one_gives_the_logits_of_all_at_once() {
    let bench = Bench::open();
    for name in CASES {
        let case = Case::read(name);
        let model = bench.load(folder::whole(&case)).unwrap();
        for length in [1, 30, 70] {
            let text = letters(length, 5);
            let answer = continued(&model, &text, 40);
            assert_eq!(answer.tokens.len(), 40, "{name}");
            compare(&model, &case, &text, &answer, &format!("{name}, 40 tokens after {length}"));
        }
    }
}

#[test]
fn what_an_earlier_call_left_in_the_cache_changes_no_answer() {
    let bench = Bench::open();
    for name in ["llama3_gqa", "mistral_window", "qwen3", "smollm3"] {
        let case = Case::read(name);
        let model = bench.load(folder::whole(&case)).unwrap();
        let fresh = bench.load(folder::whole(&case)).unwrap();
        let start = letters(90, 3);
        let first = continued(&model, &start, 12);
        assert_eq!(first.usage.cached_tokens, 0, "{name}: nothing was there before");
        // The same again, a longer one, an edit in the middle, a shorter one, another altogether.
        for (what, text, least) in [
            ("the same", start.clone(), 89),
            ("with its answer", format!("{start}{}", model.tokenizer().decode(&first.tokens)), 90),
            ("another end", format!("{}{}", &start[..60], letters(50, 11)), 60),
            ("shorter", start[..40].to_string(), 39),
            ("another", letters(45, 7), 0),
        ] {
            let answer = continued(&model, &text, 12);
            let cached = answer.usage.cached_tokens;
            // Windows keep what their latest positions see: they come back from an answer, but not to far before.
            let least = if name == "mistral_window" && least < 89 { 0 } else { least };
            assert!(cached >= least && cached < answer.usage.prompt_tokens, "{name}, {what}: {cached} tokens reused");
            compare(&fresh, &case, &text, &answer, &format!("{name}, {what}"));
        }
    }
}

/// The kernels that a device gets for the sum of a row, by their names.
fn kernels(gpu: &Rc<Gpu>) -> Vec<String> {
    let store = WeightStore::new(gpu);
    let slice = store.reserve(DType::F32, 0, 1, 256, 0);
    block_on(store.commit()).expect("memory for a vector");
    let graph = Graph::new(gpu);
    let row = graph.given(&Buffer::storage(gpu, "a row", 256).region(), [1, 64]);
    let norm = RmsNorm { weight: Some(Weight::new(Shape::from([64]), vec![slice])), eps: 1e-5 };
    row.rms_norm(&norm, None).keep();
    graph.variants().iter().map(|v| v.label()).collect()
}

/// The kernels of an adapter that computes on the CPU are the same on every tier; those of a GPU are not, and yet they
/// say the same.
#[test]
fn every_tier_says_the_same_with_kernels_of_its_own() {
    let best = Bench::at(None).gpu.adapter().tier;
    let mut seen = Vec::new();
    let case = Case::read("llama3_gqa");
    for tier in [Tier::Base, Tier::Subgroups].into_iter().filter(|t| *t <= best) {
        let options = GpuOptions { tier: Some(tier), family: Some(Family::Generic), ..GpuOptions::default() };
        let bench = Bench { gpu: block_on(Gpu::open(&options)).expect("a Vulkan driver is there") };
        assert_eq!((bench.gpu.adapter().tier, bench.gpu.adapter().family), (tier, Family::Generic));
        let model = bench.load(folder::whole(&case)).unwrap();
        bench.compare(&model, &case, &format!("({}, generic)", tier.name()));
        let kernels = kernels(&bench.gpu);
        println!("{}: {kernels:?}", tier.name());
        seen.push((kernels, continued(&model, &letters(30, 5), 12).tokens));
    }
    for pair in seen.windows(2) {
        assert_ne!(pair[0].0, pair[1].0, "two tiers got the same kernels");
        assert_eq!(pair[0].1, pair[1].1, "two tiers say different tokens");
    }
}
