//! Every kind of tokenizer against Hugging Face's `tokenizers`: the same ids, types and texts for random strings.

mod made;
mod second_format;
mod strings;

use crate::metadata;
use inkstone::text::{Encoding, Tokenizer, Truncation, TruncationStrategy};
use serde_json::{Value, json};
use std::time::Instant;
use strings::{Random, texts};
use support::assets::asset;
use support::vocabulary;
use tokenizers::{PostProcessor, TruncationDirection, TruncationParams};

/// The reference, once as it comes and once taking special tokens in text for text.
struct Reference {
    as_is: tokenizers::Tokenizer,
    plain: tokenizers::Tokenizer,
}

impl Reference {
    fn new(file: &[u8]) -> Self {
        let mut as_is = tokenizers::Tokenizer::from_bytes(file).unwrap();
        // What a file says of these is not applied unasked by ours.
        as_is.with_truncation(None).unwrap();
        as_is.with_padding(None);
        let mut plain = as_is.clone();
        plain.set_encode_special_tokens(true);
        Reference { as_is, plain }
    }
}

fn encoding(theirs: tokenizers::Encoding) -> Encoding {
    Encoding { ids: theirs.get_ids().to_vec(), type_ids: theirs.get_type_ids().to_vec() }
}

/// What is compared of a tokenizer besides ids.
#[derive(Clone, Copy, Default)]
struct Compared {
    /// Texts that come back.
    decoded: bool,
    /// Also of ids in any order; not where bytes have tokens of their own, since the reference shows a U+FFFD for every
    /// byte of a sequence that is not UTF-8 and ours one for each that is broken.
    any_ids: bool,
    /// Special tokens and pairs as the file frames them.
    framed: bool,
    /// Texts with special tokens are not compared as plain text: in a GGUF file these are no text, for the reference they
    /// are pieces like others.
    special_apart: bool,
}

/// Counts the strings that were compared.
fn compare(name: &str, ours: &Tokenizer, theirs: &Reference, texts: &[String], compared: Compared) -> usize {
    let start = Instant::now();
    let mut random = Random(0x5EED_0F1D_5EED_0F1D);
    let mut truncated = theirs.as_is.clone();
    let special: Vec<String> =
        theirs.as_is.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
    for (i, text) in texts.iter().enumerate() {
        if !(compared.special_apart && special.iter().any(|token| text.contains(token))) {
            let want = theirs.plain.encode_fast(text.as_str(), false).unwrap();
            assert_eq!(ours.encode(text, false), want.get_ids(), "{name}: {text:?} as plain text");
        }
        let want = encoding(theirs.as_is.encode_fast(text.as_str(), compared.framed).unwrap());
        let got = ours.encode_pair(text, None, None).unwrap();
        if compared.framed {
            assert_eq!(got, want, "{name}: {text:?}");
            assert_eq!(ours.encode(text, true), want.ids, "{name}: {text:?}");
        } else {
            let around = got.ids.len() - want.ids.len();
            let inside = (0..=around).any(|start| got.ids[start..].starts_with(&want.ids));
            assert!(inside && around <= 2, "{name}: {text:?}");
        }
        // The reference cannot decode nothing with every decoder.
        if compared.decoded && !want.ids.is_empty() {
            let shown = theirs.as_is.decode(&want.ids, false).unwrap();
            assert_eq!(ours.decode(&want.ids), shown, "{name}: {:?}", want.ids);
        }
        if compared.any_ids {
            let ids: Vec<u32> = (0..=i % 7).map(|_| random.below(ours.vocab()) as u32).collect();
            assert_eq!(ours.decode(&ids), theirs.as_is.decode(&ids, false).unwrap(), "{name}: {ids:?}");
        }
        let second = &texts[(i * 7 + 1) % texts.len()];
        if compared.framed {
            let want = encoding(theirs.as_is.encode((text.as_str(), second.as_str()), true).unwrap());
            assert_eq!(ours.encode_pair(text, Some(second), None).unwrap(), want, "{name}: {text:?}, {second:?}");
            // The reference panics where there is no room for special tokens.
            let special = theirs.as_is.get_post_processor().map_or(0, |p| p.added_tokens(true));
            let max_length = special + random.below(24);
            let params = TruncationParams { max_length, ..TruncationParams::default() };
            truncated.with_truncation(Some(params)).unwrap();
            let want = encoding(truncated.encode_fast(text.as_str(), true).unwrap());
            let got = ours.encode_pair(text, None, Some(max_length)).unwrap();
            assert_eq!(got, want, "{name}: {max_length} of {text:?}");
            let strategy = i % 4;
            let params = TruncationParams {
                max_length,
                strategy: match strategy {
                    1 => tokenizers::TruncationStrategy::OnlyFirst,
                    2 => tokenizers::TruncationStrategy::OnlySecond,
                    _ => tokenizers::TruncationStrategy::LongestFirst,
                },
                direction: if i % 5 == 0 { TruncationDirection::Left } else { TruncationDirection::Right },
                stride: 0,
            };
            truncated.with_truncation(Some(params)).unwrap();
            let want = truncated.encode((text.as_str(), second.as_str()), true);
            let strategy = match strategy {
                1 => TruncationStrategy::OnlyFirst,
                2 => TruncationStrategy::OnlySecond,
                _ => TruncationStrategy::LongestFirst,
            };
            let how = Truncation { max_length, strategy, left: i % 5 == 0 };
            let got = ours.encode_cut(text, Some(second), Some(&how));
            let case = format!("{name}: {how:?} of {text:?}, {second:?}");
            let lengths = [text, second].map(|text| theirs.as_is.encode_fast(text.as_str(), false).unwrap().len());
            let room = max_length - special;
            if how.left
                && strategy == TruncationStrategy::LongestFirst
                && room % 2 == 1
                && lengths[0].min(lengths[1]) > room / 2
            {
                // The odd token goes to the longer text, which the reference tells by what it has encoded so far from the
                // end, a whole word at a time.
                assert_eq!(got.unwrap().ids.len(), want.unwrap().len(), "{case}");
                continue;
            }
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, encoding(want), "{case}"),
                (got, want) => assert_eq!(got.is_ok(), want.is_ok(), "{case}"),
            }
        }
    }
    println!("{name}: {} strings, 0 wrong ids, {:.1} s", texts.len(), start.elapsed().as_secs_f32());
    texts.len()
}

/// The tokens that a file adds, to be written in the strings.
fn added(file: &Value) -> Vec<String> {
    let list = file["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|token| token["content"].as_str()).take(40).map(String::from).collect()
}

fn judge(name: &str, file: &Value, count: usize, compared: Compared) -> usize {
    let bytes = serde_json::to_vec(file).unwrap();
    let ours = Tokenizer::from_json(&bytes, None, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    compare(name, &ours, &Reference::new(&bytes), &texts(count, 0xC0FFEE, &added(file)), compared)
}

#[test]
fn published_files() {
    for name in ["llama3", "qwen3", "gemma3"] {
        let bytes = std::fs::read(asset("tokenizers-npm").join(name).join("tokenizer.json")).unwrap();
        let ours = Tokenizer::from_json(&bytes, None, None).unwrap();
        let theirs = Reference::new(&bytes);
        let special: Vec<String> =
            theirs.as_is.get_added_tokens_decoder().into_values().map(|token| token.content).take(40).collect();
        let compared = Compared { decoded: true, any_ids: name != "gemma3", framed: true, special_apart: false };
        compare(name, &ours, &theirs, &texts(600, 0xBEEF, &special), compared);
    }
}

#[test]
fn made_files() {
    let mut strings = 0;
    let files = made::files();
    for (name, file) in &files {
        let bytes_fall_back = file.to_string().contains("ByteFallback");
        let compared = Compared { decoded: true, any_ids: !bytes_fall_back, framed: true, special_apart: false };
        strings += judge(name, file, 400, compared);
    }
    println!("{} files, {strings} strings", files.len());
    assert!(files.len() >= 40 && strings >= 400 * files.len());
}

/// What the crate's next version writes is read as the same tokenizer; the present one refuses it.
#[test]
fn second_format() {
    let mut count = 0;
    for (name, file) in made::files() {
        let Some(second) = second_format::second_format(&file) else { continue };
        let bytes = [&file, &second].map(|file| serde_json::to_vec(file).unwrap());
        assert!(tokenizers::Tokenizer::from_bytes(&bytes[1]).is_err());
        let [first, second] = bytes
            .map(|bytes| Tokenizer::from_json(&bytes, None, None).unwrap_or_else(|error| panic!("{name}: {error}")));
        for pair in texts(60, 0xD0D0, &added(&file)).windows(2) {
            let [want, got] = [&first, &second].map(|tokenizer| tokenizer.encode_pair(&pair[0], Some(&pair[1]), None));
            let (want, got) = (want.unwrap(), got.unwrap());
            assert_eq!(got, want, "{name}: {pair:?}");
            assert_eq!(second.decode(&want.ids), first.decode(&want.ids), "{name}");
        }
        count += 1;
    }
    println!("{count} files in both formats");
    assert!(count >= 50);
    let file = json!({"version": "3.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}});
    let error = Tokenizer::from_json(file.to_string().as_bytes(), None, None).unwrap_err();
    assert_eq!(error.code(), "Unsupported");
    assert!(error.to_string().contains("version `3.0`"), "{error}");
}

fn vocabularies(names: &[&str]) {
    for name in names {
        let metadata = metadata(&asset("vocabs").join(format!("ggml-vocab-{name}.gguf")));
        let ours = Tokenizer::from_gguf(&metadata).unwrap();
        let file = vocabulary::file(&metadata, |id| ours.is_special(id));
        let theirs = Reference::new(&serde_json::to_vec(&file).unwrap());
        let mut strings = texts(400, 0xFACADE, &added(&file));
        if *name == "falcon" {
            // Its vocabulary lacks bytes, which ours drops behind the merges, as llama.cpp does, and theirs before.
            strings.retain(|text| text.is_ascii() && !text.contains(|c: char| c.is_control() && c != '\n'));
            assert!(strings.len() > 40, "{}", strings.len());
        }
        let encoder = ["bert-bge", "nomic-bert-moe"].contains(name);
        let special_apart = ["llama-spm", "phi-3", "baichuan", "nomic-bert-moe", "gemma-4"].contains(name);
        let compared = Compared { decoded: encoder, any_ids: encoder, framed: encoder, special_apart };
        compare(name, &ours, &theirs, &strings, compared);
    }
}

#[test]
fn gguf_byte_level() {
    vocabularies(&["gpt-2", "llama-bpe", "qwen2", "qwen35", "deepseek-llm", "deepseek-coder", "starcoder"]);
}

#[test]
fn gguf_more_byte_level() {
    vocabularies(&["command-r", "falcon", "mpt", "refact", "gpt-neox", "aquila"]);
}

#[test]
fn gguf_pieces_with_scores() {
    vocabularies(&["llama-spm", "phi-3", "baichuan"]);
}

#[test]
fn gguf_encoders_and_gemma_4() {
    vocabularies(&["bert-bge", "nomic-bert-moe", "gemma-4"]);
}
