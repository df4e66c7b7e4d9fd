//! Special tokens, by the files beside `tokenizer.json`: `tokenizer_config.json` and `generation_config.json`.

use super::tokenizer_parts::TokenizerParts;
use serde_json::{Map, Value};

/// Returns the text of a special token that a config names, as a string or as an object.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or(value["content"].as_str())
}

/// Returns the special tokens that `tokenizer_config.json` names, by name: templates may use them.
pub(super) fn names(config: &Value) -> Map<String, Value> {
    let all = config.as_object().into_iter().flatten().filter(|(key, _)| key.ends_with("_token"));
    all.filter_map(|(key, value)| Some((key.clone(), content(value)?.into()))).collect()
}

/// Applies the other files: BOS, EOS, and the tokens that end a generation.
pub(super) fn configure(parts: &mut TokenizerParts, config: &Value, generation: &Value) {
    let vocab = parts.model.as_ref().map(|model| &model.vocab);
    let id = |key: &str| {
        let text = content(&config[key])?;
        let added = parts.added.iter().find(|token| token.text == text).map(|token| token.id);
        added.or_else(|| vocab?.id(text.as_bytes()))
    };
    let (bos, eos) = (id("bos_token"), id("eos_token"));
    // Without a config the post-processor tells: what it puts before a text is the beginning of a text.
    parts.bos = bos.or(parts.framing.around().0.first().copied());
    parts.eos = eos;
    // These two switches, where a config has them, have the last word over the post-processor.
    for (switch, token, before) in [("add_bos_token", bos, true), ("add_eos_token", eos, false)] {
        let Some(token) = token else { continue };
        let around = parts.framing.around();
        let list = if before { &around.0 } else { &around.1 };
        match config[switch].as_bool() {
            Some(true) if !list.contains(&token) => parts.framing.add(token, before),
            Some(false) => parts.framing.remove(token, before),
            _ => {}
        }
    }
    let ends = &generation["eos_token_id"];
    let list = ends.as_array().map_or(std::slice::from_ref(ends), Vec::as_slice);
    parts.stops.extend(list.iter().filter_map(|v| v.as_u64()).filter_map(|id| u32::try_from(id).ok()));
    // A generation config may name ids of a larger, padded vocabulary.
    let len = vocab.map_or(0, |vocab| vocab.len());
    parts.stops.retain(|&id| (id as usize) < len);
}
