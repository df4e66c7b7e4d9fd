//! Vectors and scores of texts against sentence-transformers (tests/encoders/README.md says how its numbers were made).
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another, `INKSTONE_FAMILY` other kernels.

mod encoders {
    pub mod case;
    mod gguf;
    mod minilm;
    mod trouble;
}

use encoders::case::{Case, Rows, cosine, furthest};
use inkstone::Error;
use inkstone::gpu::{Family, Gpu, GpuOptions};
use inkstone::language::LoadOptions;
use inkstone::language::embedding::{EmbedOptions, EmbeddingModel};
use inkstone::load::{Abort, ByteSource, MemoryFiles, Quantize};
use pollster::block_on;
use std::cell::Cell;
use std::rc::Rc;
use support::models::weights::Stored;
use support::tolerance::{Tolerance, check, compare};

/// Cases that are refused, in these words.
const REFUSED: [(&str, &str); 2] =
    [("gemma2_text", "`embedding_gemma2_text` is not supported"), ("rerank_bert_labels", "a classifier of 3 labels")];

/// Opens the platform's device, with its own kernels or those that `INKSTONE_FAMILY` names.
pub fn open() -> Rc<Gpu> {
    let family = std::env::var("INKSTONE_FAMILY").ok().map(|name| Family::from_name(&name).expect("a family's name"));
    block_on(Gpu::open(&GpuOptions { family, ..GpuOptions::default() })).expect("a Vulkan driver is there")
}

/// Loads a model whose float weights are kept as asked.
pub fn load(gpu: &Rc<Gpu>, files: &dyn ByteSource, quantize: Quantize) -> Result<EmbeddingModel, Error> {
    let options = LoadOptions { quantize: Some(quantize), ..LoadOptions::default() };
    block_on(EmbeddingModel::load(gpu, files, &options, &(), &Abort::default()))
}

/// Loads a case's folder.
pub fn folder(gpu: &Rc<Gpu>, case: &Case) -> EmbeddingModel {
    load(gpu, &MemoryFiles(case.folder()), Quantize::None).unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

/// Makes vectors.
pub fn embed(model: &EmbeddingModel, texts: &[String], options: &EmbedOptions) -> Vec<f32> {
    block_on(model.embed(texts, options, &|_, _| {}, &Abort::default())).expect("vectors")
}

fn tolerance(case: &Case) -> Tolerance {
    if case.stored == Stored::F32 { Tolerance::LogitsF32 } else { Tolerance::LogitsHalf }
}

/// Returns what is wrong with the ids of a case's texts.
fn wrong_ids(model: &EmbeddingModel, case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    for rows in &case.rows {
        let prompt = case.prompt_text(rows.prompt.as_deref());
        for (text, want) in case.texts.iter().zip(&rows.ids) {
            let got = model.tokenize(&format!("{prompt}{text}")).expect("tokens");
            if got != *want {
                wrong.push(format!("{}: {text:?} has other ids: {got:?}, not {want:?}", case.name));
            }
        }
    }
    wrong
}

/// Returns what is wrong with the vectors of a case in both forms, and behind each of its prompts.
fn wrong_vectors(model: &EmbeddingModel, case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    for Rows { prompt, raw, encoded, .. } in &case.rows {
        for (normalize, want) in [(Some(false), raw), (None, encoded)] {
            let options = EmbedOptions { normalize, prompt: prompt.clone(), ..EmbedOptions::default() };
            let got = embed(model, &case.texts, &options);
            let label = format!("{}, prompt {prompt:?}, normalize {normalize:?}", case.name);
            match compare(want, &got, tolerance(case)) {
                Ok(difference) => println!("{label}: NMSE {:.1e}", difference.nmse),
                Err(e) => wrong.push(format!("{label}: {e}")),
            }
            let width = want.len() / case.texts.len();
            for (i, (want, got)) in want.chunks_exact(width).zip(got.chunks_exact(width)).enumerate() {
                let (cosine, furthest) = (cosine(want, got), furthest(want, got));
                if cosine < 0.99999 || furthest > 1e-4 {
                    wrong.push(format!("{label}, text {i}: cosine {cosine}, off by {furthest}"));
                }
            }
        }
    }
    wrong
}

/// Returns what is wrong with the scores of a case. `whole`: the model is a folder, which knows whether they pass the sigmoid,
/// that texts are cut before the context ends, and that XLM-R's runs of spaces count as one.
fn wrong_scores(model: &EmbeddingModel, case: &Case, whole: bool) -> Option<String> {
    // Each query by itself: its documents in one call.
    let mut got = vec![0.0; case.pairs.len()];
    let mut queries: Vec<&str> = case.pairs.iter().map(|pair| pair[0].as_str()).collect();
    queries.dedup();
    for query in queries {
        let which: Vec<usize> = (0..got.len()).filter(|&i| case.pairs[i][0] == query).collect();
        let documents: Vec<String> = which.iter().map(|&i| case.pairs[i][1].clone()).collect();
        let scores = block_on(model.rerank(query, &documents, &|_, _| {}, &Abort::default())).expect("scores");
        which.iter().zip(scores).for_each(|(&i, score)| got[i] = score);
    }
    let Rows { raw, encoded, .. } = &case.rows[0];
    let passed: Vec<f32> = raw.iter().map(|x| (1.0 / (1.0 + f64::from(-*x).exp())) as f32).collect();
    let outer = |i: usize| case.name == "rerank_xlmr" && case.pairs[i].iter().any(|text| text.trim() != text);
    let longest = case.rows[0].ids.iter().map(Vec::len).max();
    let cut = |i: usize| Some(case.rows[0].ids[i].len()) == longest;
    let said: Vec<usize> = (0..got.len()).filter(|&i| whole || !outer(i) && !cut(i)).collect();
    let of = |scores: &[f32]| -> Vec<f32> { said.iter().map(|&i| scores[i]).collect() };
    match compare(&of(if whole { encoded } else { &passed }), &of(&got), tolerance(case)) {
        Ok(difference) => {
            println!("{}: NMSE {:.1e}", case.name, difference.nmse);
            None
        }
        Err(e) => Some(format!("{}: {e}\n  {got:?}\n  {encoded:?}", case.name)),
    }
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    let gpu = open();
    let mut wrong = Vec::new();
    for case in Case::all().into_iter().filter(|case| case.kind == "embed") {
        let refused = REFUSED.iter().find(|r| r.0 == case.name);
        match (load(&gpu, &MemoryFiles(case.folder()), Quantize::None), refused) {
            (Ok(model), None) => {
                wrong.extend(wrong_ids(&model, &case));
                wrong.extend(wrong_vectors(&model, &case));
            }
            (Ok(_), Some(_)) => wrong.push(format!("{} is not refused any more", case.name)),
            (Err(e), Some((_, says))) if e.to_string().contains(says) => {}
            (Err(e), _) => wrong.push(format!("{}: {e}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn scores_are_those_of_cross_encoders() {
    let gpu = open();
    let mut wrong = Vec::new();
    for case in Case::all().into_iter().filter(|case| case.kind == "rerank") {
        let refused = REFUSED.iter().find(|r| r.0 == case.name);
        let model = match (load(&gpu, &MemoryFiles(case.folder()), Quantize::None), refused) {
            (Ok(model), None) => model,
            (Err(e), Some((_, says))) if e.to_string().contains(says) => continue,
            (Err(e), _) => {
                wrong.push(format!("{}: {e}", case.name));
                continue;
            }
            (Ok(_), Some(_)) => panic!("{} is not refused any more", case.name),
        };
        assert!(model.info().reranks, "{}", case.name);
        wrong.extend(wrong_scores(&model, &case, true));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// One of each kind of mixer, norm and pooling.
const KINDS: [&str; 5] = ["bert_mean", "mpnet_mean", "modernbert_cls", "gemma_mean", "qwen3_last"];

/// How texts are packed into batches is not to be seen in what comes back.
#[test]
fn a_batch_gives_what_single_texts_give() {
    let gpu = open();
    for name in KINDS {
        let case = Case::read(name);
        let model = folder(&gpu, &case);
        // Enough for several batches, and for plans of several sizes.
        let many: Vec<String> = (0..60).map(|i| format!("{} {i}", case.texts[i % case.texts.len()])).collect();
        let options = EmbedOptions::default();
        let together = embed(&model, &many, &options);
        let width = together.len() / many.len();
        for i in [0, 1, 6, 13, 44, 59] {
            let alone = embed(&model, &many[i..=i], &options);
            // Other kernels may run for other numbers of rows.
            check(&format!("{name}, text {i}"), &alone, &together[i * width..(i + 1) * width], tolerance(&case));
        }
        let again = embed(&model, &many, &options);
        check(&format!("{name}, the same again"), &together, &again, tolerance(&case));
        let reversed: Vec<String> = many.iter().rev().cloned().collect();
        let back = embed(&model, &reversed, &options);
        let back: Vec<f32> = back.chunks_exact(width).rev().flatten().copied().collect();
        check(&format!("{name}, in another order"), &together, &back, tolerance(&case));
        assert!(embed(&model, &[], &options).is_empty(), "{name}: no text");
    }
}

#[test]
fn vectors_of_fewer_elements_are_of_length_one_again() {
    let gpu = open();
    let case = Case::read("bert_mean");
    let model = folder(&gpu, &case);
    let whole = embed(&model, &case.texts, &EmbedOptions::default());
    let options = EmbedOptions { dimensions: Some(12), ..EmbedOptions::default() };
    let cut = embed(&model, &case.texts, &options);
    let width = whole.len() / case.texts.len();
    for (whole, cut) in whole.chunks_exact(width).zip(cut.chunks_exact(12)) {
        let length: f64 = cut.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        assert!((length - 1.0).abs() < 1e-6);
        assert!(cosine(&whole[..12], cut) > 0.999_999);
    }
    let plain = EmbedOptions { normalize: Some(false), ..options };
    let raw = embed(&model, &case.texts, &EmbedOptions { normalize: Some(false), ..EmbedOptions::default() });
    let expected: Vec<f32> = raw.chunks_exact(width).flat_map(|v| &v[..12]).copied().collect();
    assert_eq!(embed(&model, &case.texts, &plain), expected);
}

#[test]
fn eight_bits_turn_vectors_little() {
    let gpu = open();
    for name in ["bert_mean", "modernbert_cls", "t5_mean", "gemma_mean", "qwen3_last"] {
        let case = Case::read(name);
        let model = load(&gpu, &MemoryFiles(case.folder()), Quantize::Q8).expect("a model");
        let got = embed(&model, &case.texts, &EmbedOptions::default());
        let want = &case.rows[0].encoded;
        let width = want.len() / case.texts.len();
        for (i, (want, got)) in want.chunks_exact(width).zip(got.chunks_exact(width)).enumerate() {
            let cosine = cosine(want, got);
            assert!(cosine >= 0.999, "{name}, text {i}: cosine {cosine}");
        }
    }
}

/// Sizes of plans, and one call that makes none.
const SIZES: usize = 5;

/// Nothing is created in the loop; each batch is one submit and one read-back of its vectors.
#[test]
fn counts_of_a_batch() {
    let gpu = open();
    for (name, most) in [("bert_mean", 8), ("mpnet_mean", 8), ("modernbert_cls", 8), ("qwen3_last", 8), ("t5_mean", 8)]
    {
        let case = Case::read(name);
        let model = folder(&gpu, &case);
        let layers = case.layers();
        // Around the layers: embeddings, their norm, the last norm, pooling, linear layers.
        assert!(model.info().dispatches <= most * layers + 7, "{name}: {} dispatches", model.info().dispatches);
        let many: Vec<String> = (0..40).map(|i| case.texts[i % case.texts.len()].clone()).collect();
        let options = EmbedOptions::default();
        let width = embed(&model, &many, &options).len() / many.len();
        let c = gpu.counters();
        let created = || [&c.buffers, &c.bind_groups, &c.pipelines, &c.modules].map(Cell::get);
        let moved = || [&c.submits, &c.passes, &c.reads, &c.bytes_read].map(Cell::get);
        // A plan is made when the first batch of its size comes, and batches grow as the adapter proves quick.
        let mut before = created();
        for _ in 0..SIZES {
            embed(&model, &many, &options);
            if created() == std::mem::replace(&mut before, created()) {
                break;
            }
        }
        let before = (created(), moved());
        embed(&model, &many, &options);
        assert_eq!(created(), before.0, "{name}: something was created");
        let [submits, passes, reads, bytes] = std::array::from_fn(|i| moved()[i] - before.1[i]);
        println!("{name}: {} dispatches for {layers} layers, {submits} batches", model.info().dispatches);
        assert!(submits > 0 && submits == passes && submits == reads, "{name}: {submits}, {passes}, {reads}");
        assert_eq!(bytes, (many.len() * width.next_multiple_of(4) * 4) as u64, "{name}: bytes read");
    }
}

#[test]
fn no_case_is_forgotten() {
    let all = Case::all();
    assert!(REFUSED.iter().all(|r| all.iter().any(|case| case.name == r.0)));
    assert!(all.iter().all(|case| case.kind == "embed" || case.kind == "rerank"));
}
