//! A made-up model as a folder that Hugging Face would show: config.json, tokenizer.json, safetensors.

use super::case::Case;
use super::weights::{Made, Stored};
use serde_json::json;
use std::collections::BTreeMap;

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What byte `b` is called in byte-level vocabularies: itself if it can be printed, else a letter from U+0100 on.
fn byte_letter(b: u8) -> char {
    let printable = |b: u8| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if printable(b) {
        return char::from(b);
    }
    let before = (0..b).filter(|&c| !printable(c)).count() as u32;
    char::from_u32(0x100 + before).unwrap()
}

/// `vocab` tokens: two special ones, then bytes, the printable ones first.
pub fn vocabulary(vocab: usize) -> Vec<String> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.sort_by_key(|&b| (u32::from(byte_letter(b)) >= 0x100, b));
    let letters = bytes.into_iter().map(|b| byte_letter(b).to_string());
    let all = ["<s>", "</s>"].map(str::to_string).into_iter().chain(letters);
    let more = (0..vocab).map(|i| format!("<unused {i}>"));
    all.chain(more).take(vocab).collect()
}

/// tokenizer.json for [`vocabulary`]: byte-level BPE without a merge.
pub fn tokenizer(vocab: usize) -> Vec<u8> {
    let words = vocabulary(vocab);
    let special = |id: usize| {
        json!({"id": id, "content": words[id], "special": true, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false})
    };
    let ids: BTreeMap<&String, usize> = words.iter().enumerate().map(|(i, w)| (w, i)).collect();
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [special(0), special(1)],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": ids, "merges": []},
    });
    json.to_string().into_bytes()
}

/// One safetensors file: the length of the header, the header, then the tensors' bytes one after the other.
pub fn safetensors(tensors: &[Made], stored: Stored) -> Vec<u8> {
    let (mut header, mut bytes) = (serde_json::Map::new(), Vec::new());
    header.insert("__metadata__".to_string(), json!({"format": "pt"}));
    for t in tensors {
        let start = bytes.len();
        bytes.extend(t.bytes(stored));
        let entry = json!({"dtype": format!("{stored:?}"), "shape": t.shape, "data_offsets": [start, bytes.len()]});
        header.insert(t.name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(bytes);
    file
}

/// The folder of a case, its weights in one file.
pub fn whole(case: &Case) -> Files {
    let config = serde_json::to_vec_pretty(&case.config).unwrap();
    Files::from([
        ("config.json".to_string(), config),
        ("tokenizer.json".to_string(), tokenizer(case.vocab())),
        ("model.safetensors".to_string(), safetensors(&case.tensors(), case.stored)),
    ])
}

/// The folder of a case, its weights dealt out to `shards` files and an index that says which is where.
pub fn sharded(case: &Case, shards: usize) -> Files {
    let (mut files, tensors) = (whole(case), case.tensors());
    files.remove("model.safetensors");
    let mut index = serde_json::Map::new();
    for shard in 0..shards {
        let name = format!("model-{:05}-of-{shards:05}.safetensors", shard + 1);
        let part: Vec<Made> = tensors.iter().skip(shard).step_by(shards).cloned().collect();
        index.extend(part.iter().map(|t| (t.name.clone(), json!(name))));
        files.insert(name, safetensors(&part, case.stored));
    }
    let total: usize = tensors.iter().map(|t| t.bytes(case.stored).len()).sum();
    let index = json!({"metadata": {"total_size": total}, "weight_map": index});
    files.insert("model.safetensors.index.json".to_string(), serde_json::to_vec(&index).unwrap());
    files
}
