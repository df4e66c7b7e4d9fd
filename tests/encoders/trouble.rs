//! What is wrong with files, options and calls, said in a sentence; the model stays usable.

use super::case::Case;
use crate::{embed, folder, load, open};
use inkstone::language::embedding::{EmbedOptions, EmbeddingModel};
use inkstone::language::{LanguageModel, LoadOptions};
use inkstone::load::{Abort, MemoryFiles, Quantize};
use pollster::block_on;
use serde_json::json;
use std::collections::BTreeMap;
use support::tolerance::{Tolerance, check};

/// A change of a folder's files.
type Edit = fn(&mut BTreeMap<String, Vec<u8>>);

fn text(value: serde_json::Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Whole folders with one thing wrong, and words of the error.
const FOLDERS: [(&str, &str, Edit); 12] = [
    ("bert_mean", "modules.json names this file's folder, but it is missing", |f| {
        f.remove("1_Pooling/config.json");
    }),
    ("bert_dense_tanh", "there is no such file", |f| {
        f.remove("2_Dense/model.safetensors");
    }),
    ("bert_mean", "a module `WordEmbeddings` at this place is not supported", |f| {
        f.insert(
            "modules.json".into(),
            text(json!([{"idx": 0, "path": "", "type": "sentence_transformers.models.WordEmbeddings"}])),
        );
    }),
    ("bert_mean", "this JSON cannot be used", |f| {
        f.insert("modules.json".into(), b"[{".to_vec());
    }),
    ("bert_dense_tanh", "takes vectors of 35 elements, not of 36", |f| {
        f.insert("2_Dense/config.json".into(), text(json!({"in_features": 35, "out_features": 20})));
    }),
    ("bert_dense_tanh", "activation `torch.nn.Softmax` is not supported", |f| {
        let config = json!({"in_features": 36, "out_features": 20, "activation_function": "torch.nn.Softmax"});
        f.insert("2_Dense/config.json".into(), text(config));
    }),
    ("bert_dense_tanh", "linear.weight", |f| {
        f.insert("2_Dense/config.json".into(), text(json!({"in_features": 36, "out_features": 21})));
    }),
    ("bert_mean", "pooling `sum` is not supported", |f| {
        f.insert("1_Pooling/config.json".into(), text(json!({"pooling_mode": "sum"})));
    }),
    ("bert_mean", "tokenizer.json", |f| {
        f.remove("tokenizer.json");
    }),
    ("bert_mean", "config.json", |f| {
        f.remove("config.json");
    }),
    ("mpnet_mean", "distances up to 128 in 7 buckets cannot be", |f| {
        let mut config: serde_json::Value = serde_json::from_slice(&f["config.json"]).unwrap();
        config["relative_attention_num_buckets"] = 7.into();
        f.insert("config.json".into(), text(config));
    }),
    ("bert_mean", "position embeddings of type `relative_key` are not supported", |f| {
        let mut config: serde_json::Value = serde_json::from_slice(&f["config.json"]).unwrap();
        config["position_embedding_type"] = "relative_key".into();
        f.insert("config.json".into(), text(config));
    }),
];

#[test]
fn folders_are_refused_in_a_sentence() {
    let gpu = open();
    for (name, says, edit) in FOLDERS {
        let mut files = Case::read(name).folder();
        edit(&mut files);
        let error = load(&gpu, &MemoryFiles(files), Quantize::None).err().unwrap_or_else(|| panic!("{name}: {says}"));
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
}

/// What sentence-transformers assumes of a folder without modules: the mean for an encoder.
#[test]
fn folders_without_modules_say_what_is_assumed() {
    let gpu = open();
    let plain = folder(&gpu, &Case::read("bert_plain"));
    assert_eq!((plain.info().pooling.as_str(), plain.info().embeds, plain.info().reranks), ("mean", true, false));
    let mut files = Case::read("qwen3_last").folder();
    files.remove("modules.json");
    let decoder = load(&gpu, &MemoryFiles(files), Quantize::None).expect("a decoder");
    assert_eq!((decoder.info().pooling.as_str(), decoder.info().embeds), ("lasttoken", true));
}

#[test]
fn models_say_what_they_cannot_do() {
    let gpu = open();
    let embedder = folder(&gpu, &Case::read("bert_mean"));
    let reranker = folder(&gpu, &Case::read("rerank_bert"));
    let abort = Abort::default();
    let options = EmbedOptions::default();
    let texts = vec!["a text".to_string()];
    let error = block_on(embedder.rerank("a", &texts, &|_, _| {}, &abort)).unwrap_err();
    assert!(error.to_string().contains("use `embed`"), "{error}");
    let error = block_on(reranker.embed(&texts, &options, &|_, _| {}, &abort)).unwrap_err();
    assert!(error.to_string().contains("use `rerank`"), "{error}");
    for wrong in [0, 37] {
        let options = EmbedOptions { dimensions: Some(wrong), ..EmbedOptions::default() };
        let error = block_on(embedder.embed(&texts, &options, &|_, _| {}, &abort)).unwrap_err();
        assert!(error.to_string().contains("give 1 to 36"), "{error}");
    }
    let error = EmbedOptions::from_json(json!({"normalise": true})).unwrap_err();
    assert!(error.to_string().contains("normalise"), "{error}");
    // An encoder does not write, and says who reads it.
    let files = MemoryFiles(Case::read("bert_mean").folder());
    let options = LoadOptions::default();
    let loaded = block_on(LanguageModel::load(&gpu, &files, &options, &(), &abort));
    let error = loaded.err().expect("an encoder").to_string();
    assert!(error.contains("EmbeddingModel"), "{error}");
}

#[test]
fn texts_are_read_no_further_than_asked() {
    let gpu = open();
    let case = Case::read("bert_mean");
    for (asked, read) in [(10, 10), (1000, 48)] {
        let options = LoadOptions { context_length: Some(asked), ..LoadOptions::default() };
        let files = MemoryFiles(case.folder());
        let model = block_on(EmbeddingModel::load(&gpu, &files, &options, &(), &Abort::default())).unwrap();
        assert_eq!(model.info().max_tokens, read);
        assert_eq!(model.tokenize(&case.texts[6]).unwrap().len(), read, "a long text");
    }
}

#[test]
fn an_abort_leaves_the_model_usable() {
    let gpu = open();
    let case = Case::read("modernbert_cls");
    let model = folder(&gpu, &case);
    let many: Vec<String> = (0..200).map(|i| format!("{} {i}", case.texts[i % case.texts.len()])).collect();
    let options = EmbedOptions::default();
    let want = embed(&model, &many, &options);
    for after in [0, 1, 3] {
        let abort = Abort::default();
        let heard = std::cell::Cell::new(0);
        if after == 0 {
            abort.abort();
        }
        let hear = |done: usize, total: usize| {
            assert!(done <= total && total == 200);
            heard.set(heard.get() + 1);
            if heard.get() == after {
                abort.abort();
            }
        };
        let error = block_on(model.embed(&many, &options, &hear, &abort)).unwrap_err();
        assert_eq!(error.code(), "Cancelled");
        let label = format!("after an abort at report {after}");
        check(&label, &want, &embed(&model, &many, &options), Tolerance::LogitsF32);
    }
}
