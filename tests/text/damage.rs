//! Damaged tokenizer files: each an error, never a panic.

use crate::random;
use inkstone::format::gguf::{Array, Metadata, Value};
use inkstone::text::Tokenizer;
use serde_json::json;
use std::collections::BTreeMap;

/// A small tokenizer.json that uses every part of the format.
fn file() -> serde_json::Value {
    json!({
        "version": "1.0",
        "added_tokens": [
            {"id": 8, "content": "<s>", "special": true, "lstrip": false, "rstrip": true},
            {"id": 9, "content": "zz", "special": false, "normalized": true},
        ],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"},
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Metaspace", "replacement": "▁", "add_prefix_space": true},
            {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|[^x]"}, "behavior": "Contiguous", "invert": false},
            {"type": "Digits", "individual_digits": true}, {"type": "Punctuation"}, {"type": "WhitespaceSplit"},
        ]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [8], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true,
            "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "▁": 4, "▁ab": 5, "<0x0A>": 6, "c": 7, "<s>": 8},
            "merges": ["a b", ["▁", "ab"]]},
    })
}

fn use_it(tokenizer: &Tokenizer) {
    let ids = tokenizer.encode("<s> ab zz\ncé12", true);
    let text = tokenizer.decode(&ids);
    assert!(text.len() < 1000);
    tokenizer.encode_chat("ab");
}

#[test]
fn the_undamaged_file_works() {
    let bytes = serde_json::to_vec(&file()).unwrap();
    let tokenizer = Tokenizer::from_json(&bytes, None, None).unwrap();
    assert_eq!(tokenizer.encode("ab ab", true), [8, 5, 5]);
    assert_eq!(tokenizer.encode("ABa", false), [5, 1]);
    assert_eq!(tokenizer.decode(&[8, 5, 5, 6]), "<s> ab ab\n");
    assert_eq!(tokenizer.decode(&[5, 5]), "ab ab");
    use_it(&tokenizer);
}

/// Every place of the file replaced by every kind of value: an error or a tokenizer that works.
#[test]
fn any_value_anywhere() {
    fn places(value: &serde_json::Value, at: String, out: &mut Vec<String>) {
        out.push(at.clone());
        if let Some(list) = value.as_array() {
            list.iter().enumerate().for_each(|(i, v)| places(v, format!("{at}/{i}"), out));
        }
        for (key, v) in value.as_object().into_iter().flatten() {
            places(v, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
        }
    }
    let mut all = Vec::new();
    places(&file(), String::new(), &mut all);
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(4294967295u32),
        json!(1e300),
        json!(""),
        json!("("),
        json!([]),
        json!({}),
        json!([[[]]]),
    ];
    let (mut errors, mut works) = (0, 0);
    for place in &all {
        for value in &values {
            let mut damaged = file();
            *damaged.pointer_mut(place).unwrap() = value.clone();
            let bytes = serde_json::to_vec(&damaged).unwrap();
            match Tokenizer::from_json(&bytes, Some(&bytes), Some(&bytes)) {
                Ok(tokenizer) => {
                    use_it(&tokenizer);
                    works += 1;
                }
                Err(error) => {
                    assert!(["Format", "Unsupported"].contains(&error.code()), "{error:?}");
                    errors += 1;
                }
            }
        }
    }
    println!("{errors} errors, {works} working tokenizers");
    assert!(errors > 200 && works > 200, "{errors} {works}");
}

#[test]
fn cut_and_flipped_files() {
    let bytes = serde_json::to_vec(&file()).unwrap();
    for length in 0..bytes.len() {
        assert!(Tokenizer::from_json(&bytes[..length], None, None).is_err(), "{length} bytes");
    }
    let mut seed = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..2000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random(&mut seed) % 3 {
            let at = random(&mut seed) as usize % damaged.len();
            damaged[at] ^= 1 << (random(&mut seed) % 8);
        }
        if let Ok(tokenizer) = Tokenizer::from_json(&damaged, None, None) {
            use_it(&tokenizer);
        }
    }
    let html = b"<!DOCTYPE html><title>404</title>";
    assert_eq!(Tokenizer::from_json(html, None, None).unwrap_err().code(), "Format");
    assert_eq!(Tokenizer::from_json(&bytes, Some(html), None).unwrap_err().code(), "Format");
    assert_eq!(Tokenizer::from_json(&bytes, None, Some(html)).unwrap_err().code(), "Format");
}

fn gguf(model: &str, change: impl FnOnce(&mut BTreeMap<String, Value>)) -> inkstone::Result<Tokenizer> {
    let strings = |list: &[&str]| Value::Array(Array::Strings(list.iter().collect()));
    let mut values = BTreeMap::from([
        ("tokenizer.ggml.model".to_string(), Value::String(model.into())),
        ("tokenizer.ggml.pre".to_string(), Value::String("gpt-2".into())),
        ("tokenizer.ggml.tokens".to_string(), strings(&["<unk>", "a", "b", "ab", "<0x0A>", "</s>"])),
        ("tokenizer.ggml.token_type".to_string(), Value::Array(Array::I32(vec![2, 1, 1, 1, 6, 3]))),
        ("tokenizer.ggml.scores".to_string(), Value::Array(Array::F32(vec![0.0, 0.0, 0.0, -1.0, 0.0, 0.0]))),
        ("tokenizer.ggml.merges".to_string(), strings(&["a b"])),
        ("tokenizer.ggml.eos_token_id".to_string(), Value::U32(5)),
    ]);
    change(&mut values);
    Tokenizer::from_gguf(&Metadata::new("test.gguf", values))
}

#[test]
fn damaged_gguf_metadata() {
    assert_eq!(gguf("gpt2", |_| {}).unwrap().encode("abba</s>", true), [3, 2, 1, 5]);
    assert_eq!(gguf("llama", |_| {}).unwrap().stop_tokens(), [5]);
    use_it(&gguf("llama", |_| {}).unwrap());
    let code = |result: inkstone::Result<Tokenizer>| result.map(|_| ()).unwrap_err().code();
    let without = |key: &'static str| {
        move |values: &mut BTreeMap<String, Value>| {
            values.remove(key);
        }
    };
    assert_eq!(code(gguf("gpt2", without("tokenizer.ggml.model"))), "Format");
    assert_eq!(code(gguf("gpt2", without("tokenizer.ggml.tokens"))), "Format");
    assert_eq!(code(gguf("gpt2", without("tokenizer.ggml.merges"))), "Format");
    assert_eq!(code(gguf("llama", without("tokenizer.ggml.scores"))), "Format");
    assert_eq!(code(gguf("rwkv", |_| {})), "Unsupported");
    // Kinds of encoders whose unknown token the vocabulary is too small for.
    assert_eq!(code(gguf("bert", |_| {})), "Format");
    let set = |key: &'static str, value: Value| {
        move |values: &mut BTreeMap<String, Value>| {
            values.insert(key.into(), value);
        }
    };
    assert_eq!(code(gguf("gpt2", set("tokenizer.ggml.pre", Value::String("new".into())))), "Unsupported");
    assert_eq!(code(gguf("gpt2", set("tokenizer.ggml.token_type", Value::Array(Array::I32(vec![1]))))), "Format");
    assert_eq!(code(gguf("llama", set("tokenizer.ggml.scores", Value::Array(Array::F32(vec![1.0]))))), "Format");
    assert_eq!(code(gguf("gpt2", set("tokenizer.ggml.tokens", Value::Bool(true)))), "Format");
    // Ids beyond the vocabulary, and scores that are no numbers, are survived.
    let far = gguf("gpt2", set("tokenizer.ggml.eos_token_id", Value::U32(u32::MAX))).unwrap();
    assert_eq!(far.stop_tokens(), [5]);
    let nan = Value::Array(Array::F32(vec![f32::NAN; 6]));
    use_it(&gguf("llama", set("tokenizer.ggml.scores", nan)).unwrap());
    let merges: Vec<&str> = vec!["", " ", "a", "ab", " a b", "a  b", "é é"];
    let merges = Value::Array(Array::Strings(merges.iter().collect()));
    use_it(&gguf("gpt2", set("tokenizer.ggml.merges", merges)).unwrap());
}
