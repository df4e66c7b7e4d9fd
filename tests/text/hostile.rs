//! Damaged and hostile files of encoders' tokenizers: an error or a tokenizer that works, in little memory and time.

use crate::random;
use inkstone::text::Tokenizer;
use serde_json::Value;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The system's allocator, which notes the largest block that a thread asks for.
struct Noting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // A thread that is ending has no cell any more, and nothing to note either.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call is passed on unchanged; noting allocates nothing.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// The most ids that a vocabulary may have take 32 MiB; nothing that a small file asks for takes more.
const LARGEST_BLOCK: usize = 40 << 20;

fn files() -> [Value; 4] {
    let special = json!([
        {"id": 0, "content": "[UNK]", "special": true, "normalized": false},
        {"id": 1, "content": "[CLS]", "special": true, "lstrip": true},
        {"id": 2, "content": "[SEP]", "special": true, "rstrip": true},
        {"id": 90, "content": "Zz", "special": false, "normalized": true, "single_word": true},
    ]);
    let template = json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"ids": [2], "type_id": 1}, {"seq": "B", "type_id": 1}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}}});
    let truncation = json!({"max_length": 128, "strategy": "LongestFirst", "direction": "Right", "stride": 0});
    let padding = json!({"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": 8, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "[PAD]"});
    // One unit of a trie that leads back to itself, and a replacement.
    let charsmap = "CAAAAEEAAABBAQAAYWIA";
    [
        json!({"version": "1.0", "added_tokens": special, "truncation": truncation, "padding": padding,
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "ab": 4, "##b": 5, "##": 6, "é": 7, "##ab": 8}}}),
        json!({"version": "1.0", "added_tokens": special, "truncation": null, "padding": padding,
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": charsmap}, {"type": "Nmt"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "UnicodeScripts"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}]},
            "post_processor": template,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}]},
            "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["[UNK]", 0.0], ["[CLS]", 0.0],
                ["[SEP]", 0.0], ["▁", -2.0], ["a", -3.5], ["ab", -3.0], ["▁ab", -1e300], ["<0xC3>", -9], ["b", 1e9]]}}),
        json!({"version": "2.0", "added_tokens": special, "post_processor": template,
            "normalizer": {"type": "MetaspaceNormalizer", "replacement": "▁", "prepend": "first",
                "drop_whitespace": true},
            "pre_tokenizer": {"type": "FixedLength", "length": 2},
            "decoder": {"type": "CTC", "pad_token": "[UNK]", "word_delimiter_token": "|", "cleanup": true},
            "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3,
                "▁a": 4, "ab": 5}}}),
        json!({"version": "1.0", "added_tokens": special, "normalizer": {"type": "ByteLevel"},
            "post_processor": {"type": "RobertaProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Strip", "content": "a", "start": 1, "stop": 1},
                {"type": "Replace", "pattern": {"Regex": "b+"}, "content": "c"}, {"type": "BPEDecoder"}]},
            "model": {"type": "BPE", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "fuse_unk": true,
                "end_of_word_suffix": "</w>", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4,
                "ab": 5, "##b</w>": 6, "ab</w>": 7}, "merges": [["a", "##b"], "a ##b</w>"]}}),
    ]
}

fn use_it(tokenizer: &Tokenizer) {
    let text = "[CLS] ab Zz\nabé  [SEP]ab中ab\u{b}";
    let ids = tokenizer.encode(text, true);
    assert!(tokenizer.decode(&ids).len() < 10_000);
    let mut encoding = tokenizer.encode_pair(text, Some("a[SEP]b"), None).unwrap();
    assert_eq!(encoding.ids.len(), encoding.type_ids.len());
    if let Ok(cut) = tokenizer.encode_cut(text, Some("ab ab"), tokenizer.truncation()) {
        assert!(tokenizer.truncation().is_none_or(|how| cut.ids.len() <= how.max_length));
    }
    if let Some(padding) = tokenizer.padding().filter(|padding| padding.multiple < 1000) {
        encoding.pad(padding, padding.fixed.unwrap_or(0).min(1000));
    }
    let mut stream = tokenizer.stream();
    ids.iter().for_each(|&id| drop(stream.push(tokenizer, id)));
}

/// All places of a value, as JSON pointers.
fn places(value: &Value, at: String, out: &mut Vec<String>) {
    out.push(at.clone());
    for (i, v) in value.as_array().into_iter().flatten().enumerate() {
        places(v, format!("{at}/{i}"), out);
    }
    for (key, v) in value.as_object().into_iter().flatten() {
        places(v, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
    }
}

#[test]
fn ten_thousand_damaged_files() {
    let files = files();
    for file in &files {
        use_it(&Tokenizer::from_json(file.to_string().as_bytes(), None, None).unwrap());
    }
    let mut seed = 0xDA3A_6EDF_11E5_0001;
    let values: Vec<Value> =
        "null true -1 0 1 3 7 4000000 4194304 4294967295 18446744073709551615 1e300 -1e300 0.5 \"\" \"a\" \
                              \"[UNK]\" \"é\" \"(\" \"AAAA\" \"/////w==\" [] {} [[]] [1] [\"a\",1] {\"type\":\"NFD\"}"
            .split(' ')
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
    let (mut refused, mut works) = (0, 0);
    LARGEST.set(0);
    for round in 0..10_000 {
        let mut file = files[round % files.len()].clone();
        for _ in 0..1 + random(&mut seed) % 2 {
            let mut all = Vec::new();
            places(&file, String::new(), &mut all);
            let place = &all[random(&mut seed) as usize % all.len()];
            let value = match random(&mut seed) % 4 {
                0 => file.pointer(&all[random(&mut seed) as usize % all.len()]).unwrap().clone(),
                _ => values[random(&mut seed) as usize % values.len()].clone(),
            };
            *file.pointer_mut(place).unwrap() = value;
        }
        let mut bytes = file.to_string().into_bytes();
        if round % 5 == 0 {
            let at = random(&mut seed) as usize % bytes.len();
            bytes[at] ^= 1 << (random(&mut seed) % 8);
        }
        match Tokenizer::from_json(&bytes, None, None) {
            Ok(tokenizer) => {
                use_it(&tokenizer);
                works += 1;
            }
            Err(error) => {
                assert!(["Format", "Unsupported"].contains(&error.code()), "{error}");
                refused += 1;
            }
        }
        assert!(LARGEST.get() <= LARGEST_BLOCK, "a block of {} bytes: {}", LARGEST.get(), file);
    }
    println!("{refused} refused, {works} work, the largest block is of {} bytes", LARGEST.get());
    assert!(refused > 2000 && works > 1500, "{refused} refused, {works} work");
}

/// 100 kB without a space against pieces of up to 10 kB: so long as linear work takes, and no longer.
#[test]
fn long_pieces_and_words() {
    let nested: Vec<String> = (1..=200).map(|length| "a".repeat(length)).chain(["a".repeat(10_000)]).collect();
    let broken = format!("{}b", "a".repeat(10_000));
    let words: Vec<&str> = nested.iter().map(String::as_str).chain([broken.as_str(), "[UNK]", "c"]).collect();
    let scored: Vec<Value> = words.iter().map(|word| json!([word, -1.0])).collect();
    let unknown = words.len() - 2;
    let continued = words.iter().map(|word| format!("##{word}"));
    let vocab: serde_json::Map<String, Value> = words
        .iter()
        .map(|word| word.to_string())
        .chain(continued)
        .enumerate()
        .map(|(id, word)| (word, id.into()))
        .collect();
    let unigram = json!({"model": {"type": "Unigram", "unk_id": unknown, "vocab": scored}});
    let wordpiece = json!({"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocab,
        "max_input_chars_per_word": 1_000_000}});
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
    for (name, file) in [("Unigram", unigram), ("WordPiece", wordpiece)] {
        let tokenizer = Tokenizer::from_json(file.to_string().as_bytes(), None, None).unwrap();
        for (kind, text, count) in [
            ("one letter", "a".repeat(100_000), 10),
            ("nearly the longest", format!("{}c", "a".repeat(9_999)).repeat(10), 0),
            ("another letter", "c".repeat(100_000), 100_000),
            ("unknown letters", "x".repeat(100_000), 1),
        ] {
            let start = Instant::now();
            let ids = tokenizer.encode(&text, false);
            let took = start.elapsed();
            println!("{name}: {kind} to {} tokens in {took:?}", ids.len());
            assert!(count == 0 || ids.len() == count, "{name}: {kind} to {} tokens", ids.len());
            assert!(took < limit, "{name}: {kind} took {took:?}");
        }
    }
}
