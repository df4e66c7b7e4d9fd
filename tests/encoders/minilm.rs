//! The real all-MiniLM-L6-v2, from the files that a registry carries, against sentence-transformers.

use super::case::{cosine, furthest};
use crate::{embed, load, open};
use inkstone::language::embedding::EmbedOptions;
use inkstone::load::{DiskFiles, Quantize};
use serde_json::Value;
use std::time::Instant;
use support::assets::asset;
use support::tolerance::{Tolerance, check};

const TEXTS: usize = 12;
const COLUMNS: usize = 384;

#[test]
fn minilm_gives_the_vectors_of_sentence_transformers() {
    let golden = support::root().join("tests/encoders");
    let said: Value = serde_json::from_slice(&std::fs::read(golden.join("minilm.json")).unwrap()).unwrap();
    let rows = bytemuck::pod_collect_to_vec::<u8, f32>(&std::fs::read(golden.join("minilm.f32")).unwrap());
    let (raw, encoded) = rows.split_at(TEXTS * COLUMNS);
    let texts: Vec<String> =
        said["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_string()).collect();
    let gpu = open();
    let model = load(&gpu, &DiskFiles::open(&asset("minilm")).unwrap(), Quantize::None).expect("MiniLM");
    assert_eq!((model.info().dimensions, model.info().max_tokens, model.info().dispatches), (COLUMNS, 256, 8 * 6 + 5));
    for (text, ids) in texts.iter().zip(said["ids"].as_array().unwrap()) {
        let want: Vec<u32> = ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(model.tokenize(text).unwrap(), want, "{text}");
    }
    let plain = EmbedOptions { normalize: Some(false), ..EmbedOptions::default() };
    let begun = Instant::now();
    let got = embed(&model, &texts, &plain);
    println!("{TEXTS} texts in {:.1} s", begun.elapsed().as_secs_f64());
    let difference = check("minilm, raw", raw, &got, Tolerance::LogitsF32);
    println!("minilm: NMSE {:.1e}", difference.nmse);
    let got = embed(&model, &texts, &EmbedOptions::default());
    for (i, (want, got)) in encoded.chunks_exact(COLUMNS).zip(got.chunks_exact(COLUMNS)).enumerate() {
        assert!(cosine(want, got) >= 0.99999 && furthest(want, got) <= 1e-4, "text {i}");
    }
    // A question is nearest to its answer.
    let near = |i: usize| cosine(&got[COLUMNS..2 * COLUMNS], &got[i * COLUMNS..(i + 1) * COLUMNS]);
    assert!((0..TEXTS).filter(|&i| i != 1 && i != 2).all(|i| near(i) < near(2)));
}

#[test]
fn minilm_in_eight_bits() {
    let golden = support::root().join("tests/encoders");
    let rows = bytemuck::pod_collect_to_vec::<u8, f32>(&std::fs::read(golden.join("minilm.f32")).unwrap());
    let said: Value = serde_json::from_slice(&std::fs::read(golden.join("minilm.json")).unwrap()).unwrap();
    let texts: Vec<String> =
        said["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_string()).collect();
    let gpu = open();
    let model = load(&gpu, &DiskFiles::open(&asset("minilm")).unwrap(), Quantize::Q8).expect("MiniLM");
    let got = embed(&model, &texts, &EmbedOptions::default());
    let least = (rows[TEXTS * COLUMNS..].chunks_exact(COLUMNS).zip(got.chunks_exact(COLUMNS)))
        .map(|(want, got)| cosine(want, got))
        .fold(1.0, f64::min);
    println!("the least cosine is {least:.6}");
    assert!(least >= 0.999, "{least}");
}
