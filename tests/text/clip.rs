//! CLIP's tokenizer against that of `transformers`, and prompts with weights against another parser of their syntax
//! (`clip.json`, see tools/golden/clip.py); prompts and files that mean harm.

use crate::{golden, ids, random, random_text};
use inkstone::Result;
use inkstone::text::{Chunk, ClipTokenizer, WeightedPrompt, pad_chunks};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn bytes(value: &Value) -> Option<Vec<u8>> {
    (!value.is_null()).then(|| value.to_string().into_bytes())
}

/// A file of the demo model's tokenizer.
fn emoji_file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/www/models/emoji/tokenizer/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

/// The demo model's tokenizer, from either kind of files.
fn emoji() -> [ClipTokenizer; 2] {
    let [vocab, merges, file] = ["vocab.json", "merges.txt", "tokenizer.json"].map(emoji_file);
    let [config, map] = ["tokenizer_config.json", "special_tokens_map.json"].map(emoji_file);
    [
        ClipTokenizer::from_files(&vocab, &merges, Some(&config), Some(&map)).unwrap(),
        ClipTokenizer::from_json(&file, Some(&config), Some(&map)).unwrap(),
    ]
}

/// The small vocabulary of the golden data, and its merges.
fn small_files(golden: &Value) -> (Vec<u8>, Vec<u8>) {
    let small = &golden["small"];
    (bytes(&small["vocab"]).unwrap(), small["merges"].as_str().unwrap().into())
}

/// The `tokenizer.json` that transformers saves for a case of the small vocabulary.
fn small_json(golden: &Value, case: &Value) -> Value {
    let small = &golden["small"];
    let merges: Vec<&str> = small["merges"].as_str().unwrap().lines().skip(1).collect();
    let unknown = match &case["config"]["unk_token"] {
        Value::String(token) => token.as_str(),
        _ => "<|endoftext|>",
    };
    let mut file = json!({"version": "1.0", "model": {"type": "BPE", "dropout": null, "unk_token": unknown,
        "continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false,
        "ignore_merges": false, "vocab": small["vocab"], "merges": merges}});
    for part in [&small["file"], &case["file"]] {
        file.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    }
    file
}

/// From the vocabulary and its merges alone.
fn small() -> ClipTokenizer {
    let (vocab, merges) = small_files(&golden("clip.json"));
    ClipTokenizer::from_files(&vocab, &merges, None, None).unwrap()
}

fn encode(tokenizer: &ClipTokenizer, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    tokenizer.encode_into(text, &mut ids);
    ids
}

/// A text without syntax.
fn plain(text: &str) -> WeightedPrompt {
    let section = Some((text.to_string(), 1.0)).into_iter().filter(|(text, _)| !text.is_empty());
    WeightedPrompt { sections: vec![section.collect()], loras: Vec::new() }
}

/// What transformers says of `prompts`: the special tokens, the ids of each, and some of them padded and cut off.
fn agrees(tokenizer: &ClipTokenizer, prompts: &[&str], wanted: &Value, name: &str) {
    let of = [tokenizer.bos(), tokenizer.eos(), tokenizer.pad(), tokenizer.max_length() as u32];
    assert_eq!(of[..], ids(&wanted["special"]), "{name}");
    let lists = wanted["ids"].as_array().unwrap();
    assert_eq!(lists.len(), prompts.len(), "{name}");
    for (prompt, list) in prompts.iter().zip(lists) {
        assert_eq!(encode(tokenizer, prompt), ids(list), "{name}: {prompt:?}");
    }
    let padded = wanted["padded"].as_array().unwrap();
    assert_eq!(padded.len(), prompts.len().div_ceil(9), "{name}");
    for (prompt, list) in prompts.iter().step_by(9).zip(padded) {
        let chunks = plain(prompt).chunks(tokenizer);
        assert_eq!(chunks[0].ids, ids(list), "{name}: {prompt:?}");
        let room = tokenizer.max_length() - 2;
        assert_eq!(chunks.len(), encode(tokenizer, prompt).len().div_ceil(room).max(1), "{name}: {prompt:?}");
    }
    println!("{name}: {} prompts", prompts.len());
}

#[test]
fn the_demo_tokenizer_agrees_with_transformers() {
    let golden = golden("clip.json");
    let prompts: Vec<&str> = golden["prompts"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    assert!(prompts.len() > 200);
    for (tokenizer, name) in emoji().iter().zip(["vocab.json", "tokenizer.json"]) {
        agrees(tokenizer, &prompts, &golden["emoji"], name);
        assert_eq!(tokenizer.vocab(), 3072);
    }
}

#[test]
fn every_spelling_of_special_tokens_agrees_with_transformers() {
    let golden = golden("clip.json");
    let (vocab, merges) = small_files(&golden);
    let cases = golden["small"]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let which = ids(&case["which"]);
        let prompts: Vec<&str> = which.iter().map(|&i| golden["prompts"][i as usize].as_str().unwrap()).collect();
        let (config, map, name) = (bytes(&case["config"]), bytes(&case["map"]), case["name"].as_str().unwrap());
        let files = ClipTokenizer::from_files(&vocab, &merges, config.as_deref(), map.as_deref()).unwrap();
        agrees(&files, &prompts, case, name);
        let json = small_json(&golden, case).to_string();
        let json = ClipTokenizer::from_json(json.as_bytes(), config.as_deref(), map.as_deref()).unwrap();
        agrees(&json, &prompts, case, &format!("{name}, tokenizer.json"));
    }
}

/// Whatever the text, the two kinds of files say the same of it, and case and kinds of white space make no difference.
#[test]
fn both_kinds_of_files_agree_on_any_text() {
    let [files, json] = emoji();
    let mut seed = 0x2545_F491_4F6C_DD1D;
    for _ in 0..2_000 {
        let text = random_text(&mut seed);
        let ids = encode(&files, &text);
        assert_eq!(ids, encode(&json, &text), "{text:?}");
        assert!(ids.iter().all(|&id| (id as usize) < files.vocab()), "{text:?}");
    }
    assert_eq!(encode(&files, " A\t\nred\u{3000}CAT "), encode(&files, "a red cat"));
    assert_eq!(encode(&files, ""), [0; 0]);
}

#[test]
fn weights_and_breaks_agree_with_another_parser() {
    let golden = golden("clip.json");
    let cases = golden["syntax"].as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let text = case[0].as_str().unwrap();
        let prompt = WeightedPrompt::parse(text);
        let wanted = case[1].as_array().unwrap();
        assert_eq!(prompt.sections.len(), wanted.len(), "{text:?}");
        for (section, wanted) in prompt.sections.iter().zip(wanted) {
            let wanted: Vec<_> = wanted.as_array().unwrap().iter().map(|p| (&p[0], p[1].as_f64().unwrap())).collect();
            assert_eq!(section.len(), wanted.len(), "{text:?}: {section:?}");
            for ((text, weight), (wanted, by)) in section.iter().zip(wanted) {
                assert_eq!(text, wanted);
                assert!((f64::from(*weight) - by).abs() <= 1e-6 * by.abs(), "{text:?}: {weight}, not {by}");
            }
        }
        let weighted = wanted.iter().flat_map(|section| section.as_array().unwrap()).any(|p| p[1] != 1.0);
        assert_eq!((prompt.weighted(), prompt.loras.len()), (weighted, 0), "{text:?}");
    }
}

#[test]
fn loras_are_taken_out() {
    let read = |text: &str| {
        let prompt = WeightedPrompt::parse(text);
        let text: String = prompt.sections.concat().into_iter().map(|(text, _)| text).collect();
        (text, prompt.loras.into_iter().map(|(name, scale)| format!("{name} {scale}")).collect::<Vec<_>>())
    };
    for (text, rest, loras) in [
        ("a <lora:detail:0.8> cat", "a  cat", &["detail 0.8"][..]),
        ("<lora:a><lora:b:-1.5>", "", &["a 1", "b -1.5"]),
        ("<lora: my file v1.0 : .5 >x", "x", &["my file v1.0 0.5"]),
        ("(x<lora:a:2>:1.5)", "x", &["a 2"]),
        ("<lora:(b):1>y", "y", &["(b) 1"]),
        ("<lora:a:1", "<lora:a:1", &[]),
        ("<lora::1>", "<lora::1>", &[]),
        ("<lora:>", "<lora:>", &[]),
        ("<lora:a:x>", "<lora:a:x>", &[]),
        ("<lora:a:inf><lora:b:NaN><lora:c:1e99>", "<lora:a:inf><lora:b:NaN><lora:c:1e99>", &[]),
        ("<lora:a<lora:b:2>c", "<lora:ac", &["b 2"]),
        ("<Lora:a:1> < lora:a:1>", "<Lora:a:1> < lora:a:1>", &[]),
        ("<lora:é🐱:0>", "", &["é🐱 0"]),
    ] {
        assert_eq!(read(text), (rest.to_string(), loras.iter().map(|l| l.to_string()).collect()), "{text:?}");
    }
    assert_eq!(WeightedPrompt::parse("(x<lora:a:2>:1.5)").sections, [vec![("x".to_string(), 1.5)]]);
}

#[test]
fn chunks_are_full_weighted_and_equally_many() {
    let tokenizer = small();
    let (bos, eos, a) = (tokenizer.bos(), tokenizer.eos(), encode(&tokenizer, "a")[0]);
    assert_eq!((tokenizer.max_length(), encode(&tokenizer, "a a").len()), (77, 2));
    let words = |n: usize| vec!["a"; n].join(" ");
    let full = |n: usize| {
        let mut ids = vec![bos];
        ids.extend(vec![a; n]);
        ids.resize(77, eos);
        ids
    };
    for (n, wanted) in
        [(0, &[0][..]), (1, &[1]), (74, &[74]), (75, &[75]), (76, &[75, 1]), (150, &[75, 75]), (151, &[75, 75, 1])]
    {
        let chunks = WeightedPrompt::parse(&words(n)).chunks(&tokenizer);
        let found: Vec<&[u32]> = chunks.iter().map(|c| &c.ids[..]).collect();
        assert_eq!(found, wanted.iter().map(|&n| full(n)).collect::<Vec<_>>(), "{n} words");
        assert!(chunks.iter().all(|c| c.weights == [1.0; 77]));
    }
    // Weights go where their tokens go, over the end of a chunk too; what frames them has none.
    let chunks = WeightedPrompt::parse(&format!("a ({}:1.5) a", words(80))).chunks(&tokenizer);
    let weights: Vec<f32> = chunks.iter().flat_map(|c| c.weights[1..76].to_vec()).collect();
    assert_eq!(
        (chunks.len(), &weights[..2], &weights[2..81], &weights[81..]),
        (2, &[1.0, 1.5][..], &[1.5; 79][..], &[1.0; 69][..])
    );
    assert!(chunks.iter().all(|c| c.weights[0] == 1.0 && c.weights[76] == 1.0 && c.ids[76] == eos));
    // A break ends a chunk. Nothing before one is a chunk as well; nothing behind the last one is not.
    let sizes = |text: &str| -> Vec<usize> {
        let chunks = WeightedPrompt::parse(text).chunks(&tokenizer);
        chunks.iter().map(|c| c.ids.iter().filter(|&&id| id == a).count()).collect()
    };
    assert_eq!(sizes("a BREAK a a"), [1, 2]);
    assert_eq!(sizes(&format!("{} BREAK a", words(80))), [75, 5, 1]);
    assert_eq!(
        [sizes("BREAK a"), sizes("a BREAK"), sizes("BREAK"), sizes("a BREAK BREAK a")],
        [vec![0, 1], vec![1], vec![0], vec![1, 0, 1]]
    );
    let mut chunks = WeightedPrompt::parse("a").chunks(&tokenizer);
    pad_chunks(&mut chunks, 3, &tokenizer);
    let empty = Chunk { ids: full(0), weights: vec![1.0; 77] };
    assert_eq!(chunks, [Chunk { ids: full(1), weights: vec![1.0; 77] }, empty.clone(), empty]);
    pad_chunks(&mut chunks, 2, &tokenizer);
    assert_eq!(chunks.len(), 3);
    // An encoder with fewer positions, and another padding.
    let mut short = small();
    short.limit(5);
    short.set_pad(0);
    let chunks = WeightedPrompt::parse("a a a a").chunks(&short);
    assert_eq!(
        chunks.iter().map(|c| c.ids.clone()).collect::<Vec<_>>(),
        [vec![bos, a, a, a, eos], vec![bos, a, eos, 0, 0]]
    );
    short.limit(99);
    assert_eq!(short.max_length(), 5);
}

/// Long prompts of nothing but syntax take time in proportion to their length, and all weights are numbers.
#[test]
fn hostile_prompts() {
    let n = 200_000;
    let units = [
        "(",
        ")",
        "[",
        "]",
        "()",
        "[(])",
        "((x:2)",
        "(a:9e9)",
        ":1.1)",
        "(:",
        ":1",
        ": ",
        "1",
        "\\",
        "\\(",
        "BREAK",
        "BREAK ",
        " ",
        "aBREAK",
        "<lora:",
        "<lora:a:1",
        "<lora:a:1>",
        "<",
        ">",
        "(x:1e309)",
        "(🐱:-9)",
        "<|endoftext|>",
        "'s",
        "!",
    ];
    let mut texts: Vec<String> = units.iter().map(|unit| unit.repeat(n / unit.len())).collect();
    texts.extend(
        [("(", "x", ":9999)"), ("(", "x", ":-9999)"), ("[", "x", "]"), ("(", "x", ":0)"), ("(", "x", ")")]
            .map(|(open, x, close)| [&open.repeat(n / 8), x, &close.repeat(n / 8)].concat()),
    );
    texts.push(format!("(x:{})", "9".repeat(n)));
    texts.push(format!("(x:0.{}1)", "0".repeat(n)));
    texts.push(format!("(x:{}1)", "-".repeat(n)));
    texts.push(format!("<lora:{}:{}>", "a".repeat(n), "9".repeat(n)));
    let mut tokenizer = small();
    tokenizer.limit(77);
    for text in &texts {
        let head: String = text.chars().take(20).collect();
        let start = Instant::now();
        let prompt = WeightedPrompt::parse(text);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{head}: {took:?}");
        assert!(!prompt.sections.is_empty());
        assert!(
            prompt.sections.iter().flatten().all(|(text, weight)| !text.is_empty() && weight.is_finite()),
            "{head}"
        );
        assert!(prompt.sections.iter().all(|s| s.windows(2).all(|w| w[0].1 != w[1].1)), "{head}");
        assert!(prompt.loras.iter().all(|(name, scale)| !name.is_empty() && scale.is_finite()), "{head}");
        let start = Instant::now();
        let chunks = prompt.chunks(&tokenizer);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{head}: {took:?} for {} chunks", chunks.len());
        assert!(!chunks.is_empty() && chunks.iter().all(|c| c.ids.len() == 77 && c.weights.len() == 77), "{head}");
    }
    // Any text is a prompt.
    let mut seed = 0x9E37_79B9_7F4A_7C15;
    let parts = ["(", ")", "[", "]", ":", "1.3", "\\", "BREAK", "<lora:", ">", "a", " ", "-", "é", "🐱"];
    for _ in 0..5_000 {
        let text: String =
            (0..random(&mut seed) % 30).map(|_| parts[random(&mut seed) as usize % parts.len()]).collect();
        let prompt = WeightedPrompt::parse(&text);
        assert!(prompt.sections.iter().flatten().all(|(t, weight)| !t.is_empty() && weight.is_finite()), "{text:?}");
        prompt.chunks(&tokenizer);
    }
}

#[test]
fn damaged_files() {
    let golden = golden("clip.json");
    let (vocab, merges) = small_files(&golden);
    let refused = |result: Result<ClipTokenizer>, code: &str, says: &str| {
        let error = result.expect_err(says);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error} does not say {says:?}");
    };
    let from = |vocab: &[u8], merges: &[u8]| ClipTokenizer::from_files(vocab, merges, None, None);
    for bad in [
        "",
        "{",
        "[]",
        "7",
        "null",
        "<!doctype html>",
        r#"{"a":-1}"#,
        r#"{"a":"b"}"#,
        r#"{"a":4294967296}"#,
        "{\"a\":0.5}",
    ] {
        refused(from(bad.as_bytes(), &merges), "Format", "vocab.json");
    }
    let change = |change: &dyn Fn(&mut Value)| {
        let mut value = golden["small"]["vocab"].clone();
        change(&mut value);
        value.to_string().into_bytes()
    };
    refused(from(&change(&|v| v["zz"] = json!(u32::MAX)), &merges), "Format", "4294967295");
    for (token, key) in [("<|startoftext|>", "bos_token"), ("<|endoftext|>", "eos_token")] {
        let without = change(&|v| drop(v.as_object_mut().unwrap().remove(token)));
        refused(from(&without, &merges), "Format", key);
    }
    for bad in ["one", "a b c", "a b\nab", " a", "a ", "a  b", "#version: 0.2\nth e\nthe"] {
        refused(from(&vocab, bad.as_bytes()), "Format", "merges.txt");
    }
    refused(from(&vocab, b"a b\n\xff c\n"), "Format", "merges.txt");
    refused(from(&vocab, b"<!doctype html>"), "Format", "merges.txt");
    refused(from(&vocab, "qq ww\nzz yy\n".as_bytes()), "Format", "same model");
    // Without merges, or with lines as Windows ends them, there is a tokenizer.
    assert_eq!(encode(&from(&vocab, b"").unwrap(), "a"), encode(&small(), "a"));
    let windows = String::from_utf8(merges.clone()).unwrap().replace('\n', "\r\n");
    let text = "café and the red cat of abababab";
    assert_eq!(encode(&from(&vocab, windows.as_bytes()).unwrap(), text), encode(&small(), text));

    let named = |config: &str, map: &str| {
        ClipTokenizer::from_files(&vocab, &merges, Some(config.as_bytes()), Some(map.as_bytes()))
    };
    refused(named("{", "{}"), "Format", "tokenizer_config.json");
    refused(named("{}", "<html>"), "Format", "special_tokens_map.json");
    refused(named(r#"{"pad_token":"<pad>"}"#, "{}"), "Format", "pad_token");
    refused(named("{}", r#"{"bos_token":"<s>"}"#), "Format", "bos_token");
    for length in [0, 1, 2] {
        refused(named(&format!(r#"{{"model_max_length":{length}}}"#), "{}"), "Format", "model_max_length");
    }
    let length = |value: &str| named(&format!(r#"{{"model_max_length":{value}}}"#), "[]").unwrap().max_length();
    assert_eq!(["3", "4096", "4097", "-1", "1e30", "\"a\"", "null"].map(length), [3, 4096, 77, 77, 77, 77, 77]);

    let case = &golden["small"]["cases"][0];
    let file = small_json(&golden, case);
    for (place, value, code) in [
        ("/model/type", json!("WordPiece"), "Unsupported"),
        ("/model/vocab", json!({"a": 0}), "Format"),
        ("/model/vocab", json!(7), "Format"),
        ("/model/merges", json!(["ab"]), "Format"),
        ("/normalizer/type", json!("Odd"), "Unsupported"),
        ("/added_tokens", json!([{"id": -1, "content": "x"}]), "Format"),
    ] {
        let mut damaged = file.clone();
        *damaged.pointer_mut(place).unwrap() = value;
        if place == "/model/vocab" {
            damaged["added_tokens"] = json!([]);
        }
        refused(ClipTokenizer::from_json(damaged.to_string().as_bytes(), None, None), code, "");
    }
    // Cut off or with any bits changed: an error, or a tokenizer that works.
    let whole = file.to_string().into_bytes();
    let mut seed = 0x1234_5678_9ABC_DEF1;
    let (mut refused, mut works) = (0, 0);
    for round in 0..1_500 {
        let mut files = [vocab.clone(), merges.clone(), whole.clone()];
        let damaged = &mut files[round % 3];
        match random(&mut seed) % 3 {
            0 => damaged.truncate(random(&mut seed) as usize % damaged.len()),
            _ => (0..1 + random(&mut seed) % 3).for_each(|_| {
                let at = random(&mut seed) as usize % damaged.len();
                damaged[at] ^= 1 << (random(&mut seed) % 8);
            }),
        }
        let read =
            if round % 3 == 2 { ClipTokenizer::from_json(&files[2], None, None) } else { from(&files[0], &files[1]) };
        match read {
            Ok(tokenizer) => {
                works += 1;
                assert!(plain("the red cat, café! 🐱").chunks(&tokenizer).iter().all(|c| c.ids.len() == 77));
            }
            Err(error) => {
                refused += 1;
                assert!(["Format", "Unsupported"].contains(&error.code()), "{error}");
            }
        }
    }
    println!("damaged files: {refused} refused, {works} work");
    assert!(refused > 300 && works > 300, "{refused} refused, {works} work");
}
