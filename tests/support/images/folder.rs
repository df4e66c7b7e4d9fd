//! A golden model as a folder that Hugging Face would show: model_index.json, configurations, tokenizers, safetensors.

use super::case::{Model, read};
use super::weights::{Made, Stored, bytes, safetensors};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files by their path in the folder.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Where the model that ships with the project is.
pub fn emoji() -> PathBuf {
    crate::root().join("www/models/emoji")
}

/// The 256 bytes as CLIP's vocabulary lists them: those that can be printed, then the others as letters from U+0100 on.
fn letters() -> Vec<String> {
    let printable = |b: &u8| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let own = (0..=255).filter(printable).map(char::from);
    let others = (0..=255u8).filter(|b| !printable(b)).count() as u32;
    own.chain((0..others).map(|i| char::from_u32(0x100 + i).unwrap())).map(String::from).collect()
}

/// The tokenizer's vocabulary: bytes, bytes that end a word, merged pairs, two special tokens.
pub fn vocabulary() -> Vec<String> {
    let merges = String::from_utf8(read("merges.txt")).unwrap();
    let pairs = merges.lines().skip(1).map(|pair| pair.replace(' ', ""));
    let ends = letters().into_iter().map(|c| format!("{c}</w>"));
    let special = ["<|startoftext|>", "<|endoftext|>"].map(str::to_string);
    letters().into_iter().chain(ends).chain(pairs).chain(special).collect()
}

/// vocab.json.
fn vocab_json() -> Vec<u8> {
    let ids: serde_json::Map<_, _> = vocabulary().into_iter().enumerate().map(|(i, w)| (w, json!(i))).collect();
    serde_json::to_vec(&ids).unwrap()
}

/// A file's tensors as they are stored: name, shape, bytes.
pub fn stored(tensors: &[Made], stored: Stored) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    tensors.iter().map(|t| (t.name.clone(), t.shape.clone(), bytes(&t.values(), stored))).collect()
}

/// Everything but the weights.
fn descriptions(model: &Model) -> Files {
    let mut files = Files::new();
    for (path, json) in model.files() {
        files.insert(path.clone(), serde_json::to_vec_pretty(json).unwrap());
        if let Some(folder) = path.strip_suffix("/tokenizer_config.json") {
            files.insert(format!("{folder}/vocab.json"), vocab_json());
            files.insert(format!("{folder}/merges.txt"), read("merges.txt"));
        }
    }
    files
}

/// The files of a model: a folder, each part's weights in one file; or a single file. "emoji" is read from the project.
pub fn whole(model: &Model) -> Files {
    let mut files = descriptions(model);
    for (path, how, tensors) in model.weights() {
        files.insert(path.clone(), safetensors(&stored(&tensors, how), how));
        // Beside a single file lies what tokenizes for it.
        if !path.contains('/') {
            files.insert("vocab.json".to_string(), vocab_json());
            files.insert("merges.txt".to_string(), read("merges.txt"));
        }
    }
    if files.is_empty() {
        collect(&emoji(), "", &mut files);
    }
    files
}

/// Reads what is in a folder of the disk.
fn collect(folder: &Path, prefix: &str, files: &mut Files) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => collect(&path, &format!("{name}/"), files),
            false => drop(files.insert(name, std::fs::read(&path).unwrap())),
        }
    }
}

/// The folder as repositories have it that keep both precisions: beside every weights file one with `.fp16.` in its
/// name, which holds the values; what the plain file holds is zero, so that it shows which was read.
pub fn both_variants(model: &Model) -> Files {
    let mut files = descriptions(model);
    for (path, _, tensors) in model.weights() {
        let zero = tensors.iter().map(|t| (t.name.clone(), t.shape.clone(), vec![0; 4 * t.values().len()]));
        files.insert(path.clone(), safetensors(&zero.collect::<Vec<_>>(), Stored::F32));
        let variant = path.replace(".safetensors", ".fp16.safetensors");
        files.insert(variant, safetensors(&stored(&tensors, Stored::F16), Stored::F16));
    }
    files
}

/// The folder with each part's weights dealt out to `shards` files, and an index that says which is where.
pub fn sharded(model: &Model, shards: usize) -> Files {
    let mut files = descriptions(model);
    for (path, how, tensors) in model.weights() {
        let (folder, stem) = path.strip_suffix(".safetensors").and_then(|p| p.split_once('/')).unwrap();
        let mut map = serde_json::Map::new();
        for shard in 0..shards {
            let name = format!("{stem}-{:05}-of-{shards:05}.safetensors", shard + 1);
            let part: Vec<Made> = tensors.iter().skip(shard).step_by(shards).cloned().collect();
            map.extend(part.iter().map(|t| (t.name.clone(), json!(name))));
            files.insert(format!("{folder}/{name}"), safetensors(&stored(&part, how), how));
        }
        let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
        files.insert(format!("{path}.index.json"), serde_json::to_vec(&index).unwrap());
    }
    files
}
