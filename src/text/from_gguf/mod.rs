//! Reads the parts of a tokenizer from a GGUF file's metadata.

mod fields;
mod merged;
mod pieces;
mod words;

use super::added::Added;
use super::encoding::{Framing, Slot};
use super::tokenizer_parts::{TokenizerParts, ends_a_turn};
use crate::format::gguf::Metadata;
use crate::{Error, Result};
use fields::BYTE;
use words::ADD_BOS;

/// The types of tokens (`tokenizer.ggml.token_type`).
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Reads the parts of the tokenizer in a GGUF file's metadata.
pub(super) fn parse(m: &Metadata) -> Result<TokenizerParts> {
    let file = m.file();
    let lacks = |key: &str| Error::format(file, format!("metadata `{key}` is missing: this file has no tokenizer"));
    let kind = m.str("tokenizer.ggml.model")?.ok_or_else(|| lacks("tokenizer.ggml.model"))?;
    let tokens = fields::tokens(m)?;
    let types = m.i32s("tokenizer.ggml.token_type")?.unwrap_or_default();
    if !types.is_empty() && types.len() != tokens.len() {
        let what = format!("{} token types for {} tokens: the file is damaged", types.len(), tokens.len());
        return Err(Error::format(file, what));
    }
    let of_type = |id: usize| types.get(id).copied().unwrap_or(1);
    let mut parts = TokenizerParts::default();
    for (id, text) in tokens.iter().enumerate() {
        // Some files call the end of a turn an ordinary token; a text that ordinary words can form stays one.
        let mislabelled = text.starts_with("<|") || of_type(id) == USER_DEFINED;
        let special = matches!(of_type(id), CONTROL | UNKNOWN) || mislabelled && ends_a_turn(text);
        if special || of_type(id) == USER_DEFINED {
            parts.added.push(Added { id: id as u32, text: text.into(), special, ..Added::default() });
        }
    }
    // Only ordinary pieces come out of text; the others are added tokens or stand for single bytes.
    let ordinary = |id: usize| !matches!(of_type(id), CONTROL | UNKNOWN | UNUSED | BYTE);
    let pre = m.str("tokenizer.ggml.pre")?.unwrap_or(if kind == "gemma4" { kind } else { "default" });
    match kind {
        "gpt2" | "gemma4" if ["gemma4", "granite-embed-multi-311m", "sarvam-moe"].contains(&pre) => {
            merged::marked(m, &mut parts, ordinary)?;
        }
        "gpt2" => merged::byte_level(m, &mut parts, ordinary)?,
        "llama" => merged::sentence_piece(m, &mut parts, ordinary)?,
        "t5" => pieces::unigram(m, &mut parts, ordinary)?,
        "bert" => return pieces::wordpiece(m, parts, ordinary),
        other => {
            return Err(Error::unsupported(format!(
                "the file's tokenizer is of the kind `{other}`; supported are `gpt2`, `llama`, `bert`, `t5` and `gemma4`: \
                 use another model"
            )));
        }
    }
    let token = |name: &str| m.u32(&format!("tokenizer.ggml.{name}_token_id"));
    let exists = |id: &u32| (*id as usize) < tokens.len();
    parts.bos = token("bos")?.filter(exists);
    for name in ["eos", "eot", "eom"] {
        parts.stops.extend(token(name)?.filter(exists));
    }
    parts.eos = token("eos")?.filter(exists);
    let add_bos = m.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(kind == "llama" || ADD_BOS.contains(&pre));
    // Gemma 4 cannot do without; the first files said otherwise.
    let add_bos = add_bos || kind == "gemma4";
    if let Some(bos) = parts.bos.filter(|_| add_bos) {
        parts.framing.add(bos, true);
    }
    let add_eos = m.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(kind == "t5");
    if let Some(eos) = parts.eos.filter(|_| add_eos) {
        parts.framing.add(eos, false);
    }
    // RoBERTa and its kin read a pair as one text with two ends between; what llama.cpp knows by these names.
    let like_roberta = kind == "t5" && add_bos || ["jina-v1-en", "jina-v2-code", "roberta-bpe"].contains(&pre);
    if let (true, Some(bos), Some(eos)) = (like_roberta, parts.bos, parts.eos) {
        let [bos, eos] = [bos, eos].map(|token| Slot::Special(vec![token], 0));
        let single = vec![bos, Slot::First(0), eos.clone()];
        let pair = [single.clone(), vec![eos.clone(), Slot::Second(0), eos]].concat();
        parts.framing = Framing { single, pair };
    }
    // Other encoders have one beginning in all, and an end behind each.
    if let (true, Some(bos), Some(eos)) = (kind == "gpt2" && add_bos && add_eos && !like_roberta, parts.bos, parts.eos)
    {
        let [bos, eos] = [bos, eos].map(|token| Slot::Special(vec![token], 0));
        parts.framing.pair = vec![bos, Slot::First(0), eos.clone(), Slot::Second(0), eos];
    }
    Ok(parts)
}
