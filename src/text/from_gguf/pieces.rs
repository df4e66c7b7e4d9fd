//! The vocabularies of encoders in GGUF files: BERT's word pieces, and the pieces with probabilities of T5 and XLM-R.

use super::fields::{scores, tokens};
use crate::format::gguf::{Array, Metadata, Value};
use crate::text::charsmap::Charsmap;
use crate::text::encoding::{Framing, Slot};
use crate::text::from_json::bert_splitters;
use crate::text::model::{Algorithm, TokenModel};
use crate::text::normalize::Normalizer;
use crate::text::pretokenize::{Prefix, Splitter};
use crate::text::spelling::SpellingStep;
use crate::text::tokenizer_parts::TokenizerParts;
use crate::text::unigram::Unigram;
use crate::text::vocab::Vocab;
use crate::text::wordpiece::WordPiece;
use crate::{Error, Result};

/// The special tokens of the first BERT, for files that name none.
const CLS: u32 = 101;
const SEP: u32 = 102;
const UNKNOWN: u32 = 100;

/// A longer word, in characters, is unknown, as in the models' own files.
const MOST_CHARS: usize = 100;

/// Returns the special token that a file names, or else `otherwise`.
fn token(m: &Metadata, name: &str, otherwise: Option<u32>) -> Result<Option<u32>> {
    let named = m.u32(&format!("tokenizer.ggml.{name}_token_id"))?.or(otherwise);
    let count = tokens(m)?.len();
    Ok(named.filter(|&id| (id as usize) < count))
}

/// Returns the special token that a file names, or else `otherwise`.
fn needed(m: &Metadata, name: &str, otherwise: Option<u32>) -> Result<u32> {
    let lacks = || Error::format(m.file(), format!("its vocabulary has no `{name}` token: the file is damaged"));
    token(m, name, otherwise)?.ok_or_else(lacks)
}

/// Reads the kind `bert`.
pub(super) fn wordpiece(
    m: &Metadata,
    mut parts: TokenizerParts,
    ordinary: impl Fn(usize) -> bool,
) -> Result<TokenizerParts> {
    let lower = m.bool("tokenizer.ggml.normalizer.lowercase")?.unwrap_or(true);
    let strip = m.bool("tokenizer.ggml.normalizer.strip_accents")?.unwrap_or(lower);
    parts.normalizers.push(Normalizer::Bert { clean: true, chinese: true, strip, lower });
    parts.splitters.steps.extend(bert_splitters()?);
    parts.spelling.steps.push(SpellingStep::Words { prefix: "##".into(), cleanup: true });

    // Here the beginning of a word is marked; in the models' own files what continues one is.
    let spell = |(id, token): (usize, &str)| match token.strip_prefix('▁') {
        Some(first) => first.to_string(),
        None if !ordinary(id) || token.starts_with('[') && token.len() > 1 && token.ends_with(']') => token.to_string(),
        None => format!("##{token}"),
    };
    let spelled: Vec<String> = tokens(m)?.iter().enumerate().map(spell).collect();
    let listed = spelled.iter().enumerate().map(|(id, token)| (id as u32, token.as_bytes(), ordinary(id)));
    let vocab = Vocab::new(m.file(), listed)?;
    let unknown = needed(m, "unknown", Some(UNKNOWN))?;
    let model = WordPiece::new(&vocab, "##", MOST_CHARS, unknown, false);
    parts.model = Some(TokenModel { vocab, algorithm: Algorithm::WordPiece(model) });

    // Older files call the first token `cls`, newer ones `bos`.
    let bos = token(m, "cls", None)?.or(token(m, "bos", Some(CLS))?);
    let lacks = || Error::format(m.file(), "its vocabulary has no `bos` token: the file is damaged");
    let (cls, sep) = (bos.ok_or_else(lacks)?, needed(m, "seperator", Some(SEP))?);
    let special = |id: u32, type_id: u32| Slot::Special(vec![id], type_id);
    let single = vec![special(cls, 0), Slot::First(0), special(sep, 0)];
    let pair = [single.clone(), vec![Slot::Second(1), special(sep, 1)]].concat();
    parts.framing = Framing { single, pair };
    (parts.bos, parts.eos) = (Some(cls), Some(sep));
    Ok(parts)
}

/// Reads the kind `t5`.
pub(super) fn unigram(m: &Metadata, parts: &mut TokenizerParts, ordinary: impl Fn(usize) -> bool) -> Result<()> {
    let damaged = || {
        let what = "metadata `tokenizer.ggml.precompiled_charsmap` is no such map: the file is damaged";
        Error::format(m.file(), what)
    };
    match m.get("tokenizer.ggml.precompiled_charsmap") {
        None => {}
        Some(Value::Array(Array::U8(bytes))) => {
            parts.normalizers.push(Normalizer::Charsmap(Charsmap::new(bytes).ok_or_else(damaged)?));
        }
        Some(Value::Array(Array::I8(bytes))) => {
            let bytes: Vec<u8> = bytes.iter().map(|&b| b as u8).collect();
            parts.normalizers.push(Normalizer::Charsmap(Charsmap::new(&bytes).ok_or_else(damaged)?));
        }
        Some(_) => return Err(damaged()),
    }
    if m.bool("tokenizer.ggml.remove_extra_whitespaces")?.unwrap_or(false) {
        parts.normalizers.push(Normalizer::OneSpace);
    }
    let add_space = m.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let prefix = if add_space { Prefix::Always } else { Prefix::Never };
    parts.splitters.steps.push(Splitter::Metaspace { mark: '▁', prefix, split: true });
    parts.spelling.steps.push(SpellingStep::Metaspace { mark: '▁', strip_first: add_space });

    let words = tokens(m)?;
    let token = |id: usize| words.get(id).unwrap_or_default().as_bytes();
    let vocab = Vocab::new(m.file(), (0..words.len()).map(|id| (id as u32, token(id), ordinary(id))))?;
    // A token that no text becomes says nothing about how unlikely an unknown character is.
    let score = |(id, score): (usize, f32)| if ordinary(id) { f64::from(score) } else { 0.0 };
    let scores = scores(m)?.into_iter().enumerate().map(score).collect();
    let model = Unigram::new(&vocab, scores, needed(m, "unknown", Some(2))?, None, false);
    parts.model = Some(TokenModel { vocab, algorithm: Algorithm::Unigram(model) });
    Ok(())
}
