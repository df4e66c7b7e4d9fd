//! The GGUF files that llama.cpp's converter makes of the cases.

use super::case::Case;
use crate::{embed, load, open, tolerance, wrong_scores};
use inkstone::language::embedding::{EmbedOptions, EmbeddingModel};
use inkstone::load::{MemoryFiles, Quantize};
use std::collections::BTreeMap;
use support::models::family_gguf::converted;
use support::tolerance::compare;

/// Cases that are refused, in these words: the converter leaves out a layer, or keeps two rows of the output matrix.
const REFUSED: [(&str, &str); 2] =
    [("rerank_bert", "leaves out a layer"), ("rerank_qwen3", "pooling type 4 is not supported")];

/// Cases whose file says less than the folder: what it leaves out, and so whose vectors differ.
const LESS: [(&str, &str); 1] = [("t5_mean", "the linear layer behind the pooling")];

#[test]
fn vectors_of_gguf_files_are_those_of_the_folders() {
    let gpu = open();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for case in Case::all() {
        let Some(manifest) = case.manifest() else { continue };
        let file = converted(&manifest, &case.tensors(), case.stored, false);
        let files = MemoryFiles(BTreeMap::from([("model.gguf".to_string(), file)]));
        let model = match load(&gpu, &files, Quantize::None) {
            Ok(model) => model,
            Err(e) if REFUSED.iter().any(|(name, says)| *name == case.name && e.to_string().contains(says)) => continue,
            Err(e) => {
                wrong.push(format!("{}: {e}", case.name));
                continue;
            }
        };
        tried += 1;
        if case.kind == "rerank" {
            wrong.extend(wrong_scores(&model, &case, false).map(|e| format!("(gguf) {e}")));
            continue;
        }
        let same = same_texts(&model, &case, &mut wrong);
        if LESS.iter().any(|less| less.0 == case.name) {
            continue;
        }
        let texts: Vec<String> = same.iter().map(|&i| case.texts[i].clone()).collect();
        let options = EmbedOptions { normalize: Some(false), ..EmbedOptions::default() };
        let got = embed(&model, &texts, &options);
        let raw = &case.rows[0].raw;
        let width = raw.len() / case.texts.len();
        let want: Vec<f32> = same.iter().flat_map(|&i| &raw[i * width..(i + 1) * width]).copied().collect();
        match compare(&want, &got, tolerance(&case)) {
            Ok(difference) => println!("{} (gguf): {} texts, NMSE {:.1e}", case.name, texts.len(), difference.nmse),
            Err(e) => wrong.push(format!("{} (gguf): {e}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(tried >= 12, "{tried} files were tried");
}

/// Compares the ids of those texts that the file can read as the folder does, and lists them: it does not say that texts are
/// cut before the context ends, that XLM-R's runs of spaces count as one, nor that texts are composed (NFC) first.
fn same_texts(model: &EmbeddingModel, case: &Case, wrong: &mut Vec<String>) -> Vec<usize> {
    let ids = &case.rows[0].ids;
    let longest = ids.iter().map(Vec::len).max().unwrap();
    let spaces = |text: &str| text.trim() != text || text.contains("  ") || text.is_empty();
    let composes = ["modernbert", "qwen3"].iter().any(|start| case.name.starts_with(start));
    let mut same = Vec::new();
    for (i, (text, want)) in case.texts.iter().zip(ids).enumerate() {
        let got = model.tokenize(text).expect("tokens");
        let cut = want.len() == longest && got.len() > longest;
        if cut || case.name == "xlmr_cls" && spaces(text) || composes && text.contains('\u{301}') {
            continue;
        }
        match got == *want {
            true => same.push(i),
            false => wrong.push(format!("{} (gguf): {text:?} has other ids: {got:?}, not {want:?}", case.name)),
        }
    }
    assert!(same.len() >= 4, "{}: {} texts", case.name, same.len());
    same
}
