//! Image models, from their parts to finished pictures, against `diffusers` (tests/images/README.md says how its numbers
//! were made).
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another.

mod images {
    mod adapters;
    mod calls;
    mod counts;
    mod layouts;
    mod memory;
    mod paint;
    mod parts;
    mod tiny;
    mod trouble;
}

use std::collections::BTreeSet;
use support::images::case::{self, Model};
use support::images::folder;

/// What stands in the golden files is whole: a test that reads less, or something else, shows here.
#[test]
fn golden_files_hold_what_they_say() {
    let (mut bytes, mut runs) = (0, 0);
    for name in Model::names() {
        let model = Model::read(&name);
        let mut ends = BTreeSet::from([0]);
        for run in &model.runs {
            for kept in run.kept() {
                let what = format!("{}, {kept}", run.title);
                let result = run.result(kept);
                let n = result.values.len();
                let mean = result.values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
                let squares = result.values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n as f64;
                assert!((squares.sqrt() / result.deviation - 1.0).abs() < 1e-3, "{what}: deviation {}", squares.sqrt());
                assert!(result.rounding < 3e-4, "{what}: rounding {}", result.rounding);
                let at = run.json["results"][kept]["at"].as_u64().unwrap();
                let size = if run.json["results"][kept]["type"] == "u16" { 2 } else { 4 };
                assert!(ends.remove(&at), "{what} begins at {at}, where nothing ended");
                ends.insert((at + n as u64 * size).next_multiple_of(4));
            }
            runs += 1;
        }
        let [end] = Vec::from_iter(ends)[..] else { panic!("{name}.bin has gaps") };
        let file = case::read(&format!("{name}.bin")).len();
        assert_eq!(end, file as u64, "{name}.bin");
        bytes += file + case::read(&format!("{name}.json")).len();
    }
    println!("{runs} runs on {} models in {bytes} bytes", Model::names().len());
    assert!(bytes < 1_500_000, "golden files for pictures have {bytes} bytes");
}

#[test]
fn folders_have_a_file_for_every_part() {
    for name in Model::names() {
        let model = Model::read(&name);
        let files = folder::whole(&model);
        for part in ["unet", "vae", "text_encoder", "text_encoder_2"] {
            let weights = files.keys().filter(|f| f.starts_with(&format!("{part}/")) && f.ends_with(".safetensors"));
            let config = files.contains_key(&format!("{part}/config.json"));
            assert_eq!(weights.count(), usize::from(config), "{name}: {part}");
        }
        if files.contains_key("model_index.json") {
            for (tokenizer, text) in [("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2")] {
                let vocab = files.get(&format!("{tokenizer}/vocab.json"));
                let Some(vocab) = vocab else { continue };
                let vocab: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(vocab).unwrap();
                let config: serde_json::Value = serde_json::from_slice(&files[&format!("{text}/config.json")]).unwrap();
                assert_eq!(vocab.len() as u64, config["vocab_size"].as_u64().unwrap(), "{name}: {tokenizer}");
            }
        }
    }
}
