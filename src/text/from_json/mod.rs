//! Reads the parts of a tokenizer from `tokenizer.json` and the files beside it, as published.

mod processor;
mod steps;
mod values;
mod vocabulary;

pub(super) use steps::{GPT2_WORDS, bert_splitters};
pub(super) use values::{FILE, cut, pattern};
pub(super) use vocabulary::{Merge, ModelFile, model};

use super::added::Added;
use super::normalize::{Normalizer, normalize};
use super::pretokenize::Splitter;
use super::spelling::SpellingStep;
use super::tokenizer_parts::TokenizerParts;
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use values::{damaged, flag, unsupported};

#[derive(Deserialize)]
struct File {
    version: Option<String>,
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: ModelFile,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

/// Reads the parts of the tokenizer in a `tokenizer.json`, with the added tokens that `tokenizer_config.json` lists.
pub(super) fn parse(bytes: &[u8], config: &Value) -> Result<TokenizerParts> {
    let file: File = serde_json::from_slice(bytes).map_err(damaged)?;
    // Both are read alike: "2.0" only has other names for some things.
    if let Some(version) = file.version.as_deref().filter(|version| !["1.0", "2.0"].contains(version)) {
        return Err(Error::unsupported(format!(
            "tokenizer.json is written in version `{version}` of the format, which is not known: \
             update Inkstone or use another model"
        )));
    }
    let mut parts = TokenizerParts::default();
    let splitters = &mut parts.splitters.steps;
    steps::normalizers(&file.normalizer, &mut parts.normalizers, splitters)?;
    steps::splitters(&file.pre_tokenizer, splitters)?;
    if file.model.byte_level {
        splitters.push(Splitter::ByteAlphabet { prefix_space: false, words: None });
    }
    if parts.normalizers.iter().any(|step| matches!(step, Normalizer::ByteAlphabet)) {
        if parts.splitters.on_bytes() {
            return Err(unsupported("pair of steps", "ByteLevel twice"));
        }
        parts.splitters.alphabet = true;
    }
    steps::decoders(&file.decoder, &mut parts.spelling.steps)?;
    parts.framing = processor::framing(&file.post_processor)?.unwrap_or_default();
    parts.truncation = processor::truncation(&file.truncation)?;
    parts.padding = processor::padding(&file.padding)?;
    parts.added = file.added_tokens.into_iter().map(added).collect();
    list_added(config, &mut parts.added);
    // Without a decoder tokens are joined by spaces, which only those of whole words are meant to be.
    if file.decoder.is_null() && !file.model.is_bpe() {
        parts.spelling.steps.push(SpellingStep::Spaced);
    }
    // A token that is looked for in normalized text is shown as it is found.
    let shown = |token: &Added| {
        let normal = token.normalized && !token.special;
        let steps = if normal { parts.normalizers.as_slice() } else { &[] };
        Added { text: normalize(steps, &token.text).into_owned(), ..token.clone() }
    };
    let shown: Vec<Added> = parts.added.iter().map(shown).collect();
    parts.model = Some(model(FILE, file.model, &shown, &parts.splitters)?);
    Ok(parts)
}

/// Appends the added tokens that `tokenizer_config.json` lists and `added` lacks.
pub(super) fn list_added(config: &Value, added: &mut Vec<Added>) {
    let known: HashSet<u32> = added.iter().map(|token| token.id).collect();
    let listed = config["added_tokens_decoder"].as_object().into_iter().flatten();
    let ids = listed.filter_map(|(id, token)| Some((id.parse().ok()?, token)));
    added.extend(
        ids.filter(|(id, _)| !known.contains(id))
            .filter_map(|(id, token)| describe(id, token, flag(token, "special", false))),
    );
}

/// Reads an added token as a config writes it: its text, or an object with the text and how it is looked for.
pub(super) fn describe(id: u32, token: &Value, special: bool) -> Option<Added> {
    let content = token.as_str().or(token["content"].as_str())?.into();
    let [single_word, lstrip, rstrip] = ["single_word", "lstrip", "rstrip"].map(|key| flag(token, key, false));
    Some(added(AddedToken {
        id,
        content,
        single_word,
        lstrip,
        rstrip,
        normalized: token["normalized"].as_bool(),
        special,
    }))
}

fn added(token: AddedToken) -> Added {
    Added {
        id: token.id,
        text: token.content,
        special: token.special,
        normalized: token.normalized.unwrap_or(!token.special),
        strip_left: token.lstrip,
        strip_right: token.rstrip,
        single_word: token.single_word,
    }
}
