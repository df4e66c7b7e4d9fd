//! GGUF vocabularies as the tokenizer.json that would do the same.

use inkstone::format::gguf::{Array, Metadata, Value as Stored};
use serde_json::{Map, Value, json};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const CASED: &str = concat!(
    r"\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370",
    r"-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-",
    r"\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF",
    r"\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-",
    r"\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC",
    r"\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115",
    r"\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E",
    r"\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-",
    r"\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A",
    r"\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}",
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+",
);
const CJK: &str = r"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";

fn patterns(pre: &str) -> Vec<&'static str> {
    match pre {
        "default" => vec![r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        "gpt-2" | "mpt" => vec![GPT2],
        "llama-bpe" => vec![LLAMA3],
        "qwen2" => vec![QWEN2],
        "qwen35" => vec![QWEN35],
        "starcoder" | "refact" | "command-r" => vec![r"\p{N}", GPT2],
        "falcon" => vec![r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
        "deepseek-llm" => {
            vec![
                r"[\r\n]",
                CASED,
                r"\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
                r"\s+$",
                CJK,
                r"\p{N}+",
            ]
        }
        "deepseek-coder" => vec![r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"],
        other => panic!("no patterns for {other}"),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &b| bits << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize] as char;
            text.push(if i <= group.len() { digit } else { '=' });
        }
    }
    text
}

/// The character map of a vocabulary, as tokenizer.json holds it.
pub fn charsmap(m: &Metadata) -> String {
    match m.get("tokenizer.ggml.precompiled_charsmap") {
        Some(Stored::Array(Array::U8(bytes))) => base64(bytes),
        Some(Stored::Array(Array::I8(bytes))) => base64(&bytes.iter().map(|&b| b as u8).collect::<Vec<_>>()),
        other => panic!("no map but {other:?}"),
    }
}

/// The file that does what the metadata say; `special` are the tokens that count as such.
pub fn file(m: &Metadata, special: impl Fn(u32) -> bool) -> Value {
    let words: Vec<&str> = m.strings("tokenizer.ggml.tokens").unwrap().unwrap().iter().collect();
    let types = m.i32s("tokenizer.ggml.token_type").unwrap().unwrap_or_default();
    let of_type = |id: usize| types.get(id).copied().unwrap_or(1);
    let kind = m.str("tokenizer.ggml.model").unwrap().unwrap();
    let added: Vec<Value> = (0..words.len())
        .filter(|&id| [2, 3, 4].contains(&of_type(id)) || special(id as u32))
        .map(|id| {
            json!({"id": id, "content": words[id], "special": special(id as u32), "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false})
        })
        .collect();
    let vocab = |spell: &dyn Fn(usize, &str) -> String| -> Map<String, Value> {
        words.iter().enumerate().map(|(id, word)| (spell(id, word), id.into())).collect()
    };
    let as_is = |_: usize, word: &str| word.to_string();
    let merges = || -> Vec<Value> {
        let list = m.strings("tokenizer.ggml.merges").unwrap().unwrap();
        let pair = |merge: &str| {
            let first = merge.chars().next().map_or(0, char::len_utf8);
            let space = merge[first..].find(' ').unwrap() + first;
            json!([merge[..space], merge[space + 1..]])
        };
        list.iter().map(pair).collect()
    };
    let token = |name: &str| m.u32(&format!("tokenizer.ggml.{name}_token_id")).unwrap();
    let around = |bos: u32, eos: u32, types: [u32; 2], twice: bool| {
        let piece = |id: u32, type_id: u32| json!({"SpecialToken": {"id": words[id as usize], "type_id": type_id}});
        let text = |name: &str, type_id: u32| json!({"Sequence": {"id": name, "type_id": type_id}});
        let single = vec![piece(bos, 0), text("A", 0), piece(eos, 0)];
        let mut pair = single.clone();
        pair.extend(twice.then(|| piece(eos, types[0])));
        pair.extend([text("B", types[1]), piece(eos, types[1])]);
        let special = [bos, eos].map(|id| {
            let name = words[id as usize];
            (name.to_string(), json!({"id": name, "ids": [id], "tokens": [name]}))
        });
        json!({"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": special.into_iter().collect::<Map<_, _>>()})
    };
    let mut file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null});
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    match kind {
        "gpt2" => {
            let pre = m.str("tokenizer.ggml.pre").unwrap().unwrap_or("default");
            let split = |source: &str| json!({"type": "Split", "pattern": {"Regex": source}, "behavior": "Isolated", "invert": false});
            let mut steps: Vec<Value> = patterns(pre).into_iter().map(split).collect();
            steps.push(
                json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}),
            );
            file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": steps});
            file["model"] = json!({"type": "BPE", "vocab": vocab(&as_is), "merges": merges(),
                "ignore_merges": pre == "llama-bpe"});
        }
        "gemma4" => {
            file["normalizer"] = replace(" ", "▁");
            file["pre_tokenizer"] = json!({"type": "Split", "pattern": {"Regex": "[^\\n]+|[\\n]+"},
                "behavior": "Isolated", "invert": false});
            file["model"] = json!({"type": "BPE", "vocab": vocab(&as_is), "merges": merges(), "unk_token": "<unk>",
                "byte_fallback": true, "fuse_unk": true});
        }
        "llama" => {
            let scores = m.f32s("tokenizer.ggml.scores").unwrap().unwrap();
            let vocab = vocab(&as_is);
            let mut best: Vec<usize> = (0..words.len()).collect();
            best.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let mut merges = Vec::new();
            for word in best.into_iter().map(|id| words[id]) {
                let ways = word.char_indices().skip(1).map(|(at, _)| word.split_at(at));
                let known = ways.filter(|(left, right)| vocab.contains_key(*left) && vocab.contains_key(*right));
                merges.extend(known.map(|(left, right)| json!([left, right])));
            }
            let space = replace(" ", "▁");
            file["normalizer"] = match m.bool("tokenizer.ggml.add_space_prefix").unwrap().unwrap_or(true) {
                true => {
                    json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]})
                }
                false => space,
            };
            file["model"] = json!({"type": "BPE", "vocab": vocab, "merges": merges, "unk_token": "<unk>",
                "byte_fallback": true, "fuse_unk": true});
        }
        "bert" => {
            let spell = |id: usize, word: &str| match word.strip_prefix('▁') {
                Some(first) => first.to_string(),
                None if of_type(id) != 1 || word.starts_with("[unused") => word.to_string(),
                None => format!("##{word}"),
            };
            file["normalizer"] = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true});
            file["pre_tokenizer"] = json!({"type": "BertPreTokenizer"});
            file["post_processor"] = around(101, 102, [0, 1], false);
            file["decoder"] = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
            file["model"] = json!({"type": "WordPiece", "vocab": vocab(&spell), "unk_token": "[UNK]",
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100});
        }
        "t5" => {
            let scores = m.f32s("tokenizer.ggml.scores").unwrap().unwrap();
            let listed: Vec<Value> =
                words.iter().zip(scores).map(|(word, score)| json!([word, f64::from(score)])).collect();
            let regex =
                |source: &str, by: &str| json!({"type": "Replace", "pattern": {"Regex": source}, "content": by});
            file["normalizer"] = json!({"type": "Sequence", "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": charsmap(m)}, regex("^ +| +$", ""), regex(" {2,}", " ")]});
            file["pre_tokenizer"] =
                json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
            file["post_processor"] = around(token("bos").unwrap(), token("eos").unwrap(), [0, 0], true);
            file["decoder"] =
                json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
            file["model"] =
                json!({"type": "Unigram", "vocab": listed, "unk_id": token("unknown"), "byte_fallback": false});
        }
        other => panic!("no equivalent for {other}"),
    }
    file
}
