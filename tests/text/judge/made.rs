//! Small tokenizer.json files that together use every kind of model and step.

use super::strings::{Random, texts};
use crate::metadata;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use support::assets::asset;
use support::vocabulary::charsmap;

/// Pieces of text: characters, and short parts of words.
fn pieces(count: usize, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let mut found: BTreeSet<String> = (' '..='~').step_by(2).map(String::from).collect();
    let strings = texts(400, seed, &[]);
    while found.len() < count {
        let text = &strings[random.below(strings.len())];
        let chars: Vec<char> = text.chars().collect();
        let start = random.below(chars.len());
        let end = (start + 1 + random.below(5)).min(chars.len());
        let piece: String = chars[start.min(end)..end].iter().collect();
        if !piece.is_empty() {
            found.insert(piece);
        }
    }
    // Unordered, since the order of a vocabulary should not matter.
    let mut pieces: Vec<String> = found.into_iter().collect();
    for i in (1..pieces.len()).rev() {
        pieces.swap(i, random.below(i + 1));
    }
    pieces
}

/// A map of words to ids from 0 up.
fn vocab<'w>(words: impl IntoIterator<Item = &'w str>) -> Map<String, Value> {
    let mut map = Map::new();
    for word in words {
        let id = map.len();
        map.entry(word).or_insert_with(|| id.into());
    }
    map
}

const SPECIAL: [&str; 5] = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"];

fn wordpiece(prefix: &str, most_chars: usize) -> Value {
    let pieces = pieces(900, 11);
    let continued: Vec<String> = pieces.iter().rev().take(700).map(|piece| format!("{prefix}{piece}")).collect();
    let words =
        SPECIAL.into_iter().chain(pieces.iter().map(String::as_str)).chain(continued.iter().map(String::as_str));
    json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": prefix,
        "max_input_chars_per_word": most_chars, "vocab": vocab(words)})
}

fn wordlevel() -> Value {
    let pieces = pieces(1500, 12);
    let words = SPECIAL.into_iter().chain(["hello", "world", "the", "un", "Ġthe"]);
    json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocab(words.chain(pieces.iter().map(String::as_str)))})
}

fn unigram(byte_fallback: bool, mark: &str) -> Value {
    let mut random = Random(13);
    let mut vocab: Vec<Value> = SPECIAL.iter().map(|word| json!([word, 0.0])).collect();
    if byte_fallback {
        vocab.extend((0..256).map(|byte| json!([format!("<0x{byte:02X}>"), -20.0])));
    }
    let mut marked: BTreeSet<String> = BTreeSet::new();
    for piece in pieces(1200, 14) {
        marked.insert(piece.replace(' ', mark));
        marked.insert(format!("{mark}{}", piece.trim()));
    }
    marked.insert(mark.repeat(2));
    vocab.extend(marked.into_iter().map(|piece| json!([piece, -(random.below(12_000) as f64) / 1000.0 - 1.0])));
    json!({"type": "Unigram", "unk_id": 0, "byte_fallback": byte_fallback, "vocab": vocab})
}

/// Merges that build each word from its left, over characters that have a prefix, but for the first.
fn bpe(prefix: &str, suffix: &str, options: Value) -> Value {
    let mut words: Vec<String> = SPECIAL.map(String::from).to_vec();
    words.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    let mut merges = Vec::new();
    for word in pieces(500, 15) {
        let chars: Vec<char> = word.chars().collect();
        let mut left = String::new();
        for (i, c) in chars.iter().enumerate() {
            let end = if i + 1 == chars.len() { suffix } else { "" };
            let right = format!("{}{c}{end}", if i > 0 { prefix } else { "" });
            words.extend([right.clone(), format!("{prefix}{c}"), format!("{prefix}{c}{suffix}"), c.to_string()]);
            if i > 0 && !right.contains(' ') && !left.contains(' ') {
                let joined = format!("{left}{c}{end}");
                words.push(joined.clone());
                if !merges.contains(&json!([left, right])) {
                    merges.push(json!([left, right]));
                }
                left = joined;
            } else {
                left = right;
            }
        }
    }
    let mut model = json!({"type": "BPE", "unk_token": "[UNK]", "continuing_subword_prefix": prefix,
        "end_of_word_suffix": suffix, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocab(words.iter().map(String::as_str)), "merges": merges});
    for (key, value) in options.as_object().unwrap() {
        model[key] = value.clone();
    }
    model
}

/// Byte-level merges: all bytes, and what some words are made of.
fn byte_level() -> Value {
    let printable = |b: u8| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = 0x100u32..;
    let alphabet: Vec<char> = (0..=255u8)
        .map(|b| if printable(b) { b as char } else { char::from_u32(others.next().unwrap()).unwrap() })
        .collect();
    let mut words: Vec<String> = SPECIAL.map(String::from).to_vec();
    words.extend(alphabet.iter().map(char::to_string));
    let mut merges = Vec::new();
    for word in pieces(500, 16) {
        let bytes: Vec<String> = word.bytes().map(|b| alphabet[b as usize].to_string()).collect();
        let mut left = bytes[0].clone();
        for right in &bytes[1..] {
            let merge = json!([left, right]);
            if !merges.contains(&merge) {
                merges.push(merge);
            }
            left += right;
            words.push(left.clone());
        }
    }
    json!({"type": "BPE", "unk_token": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocab(words.iter().map(String::as_str)), "merges": merges})
}

fn template(single: &[&str], pair: &[&str]) -> Value {
    let part = |part: &&str| {
        let (name, type_id) = part.split_once(':').unwrap();
        let type_id: u32 = type_id.parse().unwrap();
        match name {
            "A" | "B" => json!({"Sequence": {"id": name, "type_id": type_id}}),
            _ => json!({"SpecialToken": {"id": name, "type_id": type_id}}),
        }
    };
    let tokens = SPECIAL.iter().enumerate();
    let special: Map<String, Value> =
        tokens.map(|(id, name)| (name.to_string(), json!({"id": name, "ids": [id], "tokens": [name]}))).collect();
    json!({"type": "TemplateProcessing", "single": single.iter().map(part).collect::<Vec<_>>(),
        "pair": pair.iter().map(part).collect::<Vec<_>>(), "special_tokens": special})
}

fn sequence(list: &str, steps: Vec<Value>) -> Value {
    json!({"type": "Sequence", list: steps})
}

pub fn files() -> Vec<(String, Value)> {
    let nomic = metadata(&asset("vocabs").join("ggml-vocab-nomic-bert-moe.gguf"));
    let charsmap = json!({"type": "Precompiled", "precompiled_charsmap": charsmap(&nomic)});
    let split = |pattern: Value, behavior: &str, invert: bool| json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert});
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
    let bert = |clean: bool, chinese: bool, strip: Value, lower: bool| {
        json!({"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip,
            "lowercase": lower})
    };
    let replace = |pattern: Value, by: &str| json!({"type": "Replace", "pattern": pattern, "content": by});
    let bytes = |prefix: bool, regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex});
    let kind = |kind: &str| json!({"type": kind});
    let words = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
    let untidy = json!({"type": "WordPiece", "prefix": "##", "cleanup": false});
    let cls_sep = json!({"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]});
    let roberta = json!({"type": "RobertaProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1], "trim_offsets": true,
        "add_prefix_space": false});
    let types = template(&["[CLS]:0", "A:0", "[SEP]:0"], &["[CLS]:0", "A:0", "[SEP]:0", "B:1", "[SEP]:1"]);
    let xlnet = template(
        &["A:0", "[SEP]:0", "[CLS]:2"],
        &["A:0", "[SEP]:0", "B:1", "[SEP]:1", "[MASK]:1", "[MASK]:1", "[CLS]:2"],
    );
    let swapped = template(&["A:3", "[SEP]:0"], &["B:1", "[SEP]:0", "A:0"]);
    let none = Value::Null;
    let token = |id: usize, content: &str, flags: [bool; 5]| {
        let [special, normalized, single_word, lstrip, rstrip] = flags;
        json!({"id": id, "content": content, "special": special, "normalized": normalized, "single_word": single_word,
            "lstrip": lstrip, "rstrip": rstrip})
    };
    let plain: Vec<Value> =
        SPECIAL.iter().enumerate().map(|(id, word)| token(id, word, [true, false, false, false, false])).collect();
    let flagged = |model: &Value, cafe: &str| {
        let mut list = plain.clone();
        list[4] = token(4, "[MASK]", [true, false, false, true, false]);
        // A token that the vocabulary has keeps its id; others are numbered from its end.
        let listed = |(id, entry): (usize, &Value)| Some((entry[0].as_str()?.to_string(), id));
        let known: Map<String, Value> = match &model["vocab"] {
            Value::Object(map) => map.clone(),
            list => {
                list.as_array().unwrap().iter().enumerate().filter_map(listed).map(|(w, id)| (w, id.into())).collect()
            }
        };
        let mut next = known.len();
        for (text, flags) in [
            ("Hello", [false, true, false, false, true]),
            ("the", [false, false, true, false, false]),
            (cafe, [false, true, true, false, false]),
            ("  ", [false, false, false, false, false]),
            ("<|X|>", [true, false, false, true, true]),
        ] {
            let id = known.get(text).map_or(next, |id| id.as_u64().unwrap() as usize);
            next += usize::from(id == next);
            list.push(token(id, text, flags));
        }
        json!(list)
    };
    let mut files: Vec<(String, Value)> = Vec::new();
    let mut add = |name: &str, model: &Value, steps: [&Value; 4]| {
        let [normalizer, pre_tokenizer, post_processor, decoder] = steps;
        // Half of the files have added tokens of every kind.
        let added = if files.len().is_multiple_of(2) {
            json!(plain)
        } else {
            {
                // A ByteLevel decoder takes even the text of an added token for the byte alphabet; ours does not.
                flagged(model, if decoder["type"] == "ByteLevel" { "Cafe" } else { "Café" })
            }
        };
        let number = files.len();
        files.push((
            format!("{number} {name}"),
            json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
                "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
                "decoder": decoder, "model": model}),
        ));
    };

    let model = wordpiece("##", 100);
    let pre = kind("BertPreTokenizer");
    for (clean, chinese, strip, lower) in [
        (true, true, none.clone(), true),
        (true, true, none.clone(), false),
        (true, false, json!(true), false),
        (false, true, json!(false), true),
    ] {
        add("WordPiece, BERT", &model, [&bert(clean, chinese, strip, lower), &pre, &cls_sep, &words]);
    }
    add("WordPiece, no normalizer", &model, [&none, &kind("Whitespace"), &types, &untidy]);
    add("WordPiece, whole text", &model, [&kind("Lowercase"), &none, &xlnet, &none]);
    add("WordPiece, short words", &wordpiece("##", 3), [&none, &kind("WhitespaceSplit"), &swapped, &words]);
    add("WordPiece, no prefix", &wordpiece("", 100), [&none, &pre, &roberta, &words]);

    let model = wordlevel();
    let punctuation = |behavior: &str| json!({"type": "Punctuation", "behavior": behavior});
    let splitters = [
        kind("Whitespace"),
        kind("WhitespaceSplit"),
        kind("UnicodeScripts"),
        punctuation("Isolated"),
        punctuation("Contiguous"),
        punctuation("MergedWithPrevious"),
        punctuation("MergedWithNext"),
        json!({"type": "Digits", "individual_digits": true}),
        json!({"type": "Digits", "individual_digits": false}),
        json!({"type": "FixedLength", "length": 3}),
        json!({"type": "CharDelimiterSplit", "delimiter": "a"}),
        split(json!({"String": " "}), "Removed", false),
        split(json!({"Regex": "\\w+|[^\\w\\s]+"}), "Removed", true),
        split(json!({"Regex": "[\\p{L}\\p{M}]+"}), "MergedWithNext", false),
        sequence("pretokenizers", vec![kind("UnicodeScripts"), kind("WhitespaceSplit"), punctuation("Removed")]),
        sequence("pretokenizers", vec![metaspace("first", true), json!({"type": "Digits", "individual_digits": true})]),
    ];
    for splitter in &splitters {
        add("WordLevel, a pre-tokenizer", &model, [&none, splitter, &types, &none]);
    }
    let one = json!({"type": "FixedLength", "length": 1});
    let normalizers = [
        kind("Nmt"),
        charsmap.clone(),
        kind("NFC"),
        kind("NFD"),
        kind("NFKC"),
        kind("NFKD"),
        sequence("normalizers", vec![kind("NFD"), kind("StripAccents"), kind("Lowercase")]),
        json!({"type": "Strip", "strip_left": true, "strip_right": false}),
        replace(json!({"Regex": "[aeiou]+"}), "o"),
        sequence("normalizers", vec![kind("Nmt"), kind("NFKC"), replace(json!({"String": "  "}), " ")]),
        json!({"type": "Prepend", "prepend": "un"}),
    ];
    for normalizer in &normalizers {
        add("WordLevel, a normalizer", &model, [normalizer, &one, &cls_sep, &none]);
    }
    let ctc =
        |cleanup: bool| json!({"type": "CTC", "pad_token": "[PAD]", "word_delimiter_token": "|", "cleanup": cleanup});
    let decoders = [
        ctc(true),
        ctc(false),
        replace(json!({"Regex": "[a-f]+|\\s"}), "_"),
        replace(json!({"String": "e"}), ""),
        sequence("decoders", vec![kind("Fuse"), replace(json!({"Regex": "[ ]{2,}"}), " ")]),
        sequence("decoders", vec![kind("Fuse"), json!({"type": "Strip", "content": " ", "start": 2, "stop": 0})]),
        json!({"type": "Strip", "content": "e", "start": 1, "stop": 0}),
        kind("Fuse"),
    ];
    for decoder in &decoders {
        add("WordLevel, a decoder", &model, [&none, &one, &none, decoder]);
    }

    let xlm = sequence("normalizers", vec![charsmap.clone(), replace(json!({"Regex": " {2,}"}), " ")]);
    let fall = sequence("decoders", vec![kind("ByteFallback"), metaspace("always", true)]);
    for (fallback, scheme, whole) in [(false, "always", true), (true, "first", true), (true, "never", false)] {
        let model = unigram(fallback, "▁");
        let decoder = if fallback { fall.clone() } else { metaspace(scheme, whole) };
        add("Unigram, Metaspace", &model, [&xlm, &metaspace(scheme, whole), &roberta, &decoder]);
        add("Unigram, whole text", &model, [&kind("NFKC"), &none, &types, &decoder]);
    }
    let t5 = sequence("pretokenizers", vec![kind("WhitespaceSplit"), metaspace("always", true)]);
    add("Unigram, T5", &unigram(false, "▁"), [&charsmap, &t5, &types, &metaspace("always", true)]);
    let shown = bytes(false, true);
    add("Unigram, bytes", &unigram(false, "Ġ"), [&none, &bytes(false, true), &types, &shown]);

    let suffix = json!({"type": "BPEDecoder", "suffix": "</w>"});
    let bytes_then = sequence("decoders", vec![kind("ByteFallback"), kind("Fuse")]);
    add("BPE, prefix", &bpe("##", "", json!({})), [&none, &kind("Whitespace"), &cls_sep, &untidy]);
    add("BPE, prefix and fused", &bpe("@@", "", json!({"fuse_unk": true})), [&none, &pre, &cls_sep, &kind("Fuse")]);
    add("BPE, suffix", &bpe("", "</w>", json!({})), [&kind("Lowercase"), &kind("Whitespace"), &types, &suffix]);
    add("BPE, both", &bpe("##", "</w>", json!({})), [&none, &kind("WhitespaceSplit"), &types, &suffix]);
    add("BPE, fallback", &bpe("", "", json!({"byte_fallback": true})), [&none, &none, &types, &bytes_then]);
    add("BPE, whole first", &bpe("", "", json!({"ignore_merges": true})), [&none, &pre, &types, &kind("Fuse")]);
    let model = byte_level();
    for pre in [bytes(false, true), bytes(true, true), bytes(true, false)] {
        add("BPE, bytes", &model, [&none, &pre, &roberta, &shown]);
    }
    let qwen = split(json!({"Regex": "\\p{N}|[^\\s]+|\\s+"}), "Isolated", false);
    add("BPE, bytes by a normalizer", &model, [&kind("ByteLevel"), &none, &types, &shown]);
    let both = sequence("normalizers", vec![kind("NFC"), kind("ByteLevel")]);
    add("BPE, bytes and a pattern", &model, [&both, &qwen, &types, &shown]);
    files
}
