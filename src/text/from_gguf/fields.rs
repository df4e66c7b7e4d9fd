//! The fields that the vocabularies of GGUF files have in common.

use crate::format::gguf::{Metadata, Strings};
use crate::text::vocab::Vocab;
use crate::{Error, Result};
use std::collections::HashMap;

/// The type of tokens that stand for single bytes (`tokenizer.ggml.token_type`).
pub(super) const BYTE: i32 = 6;

/// Returns the tokens of the vocabulary.
pub(super) fn tokens(m: &Metadata) -> Result<&Strings> {
    let lacks = || Error::format(m.file(), "metadata `tokenizer.ggml.tokens` is missing: this file has no tokenizer");
    m.strings("tokenizer.ggml.tokens")?.ok_or_else(lacks)
}

/// Returns the score of every token.
pub(super) fn scores(m: &Metadata) -> Result<Vec<f32>> {
    let file = m.file();
    let lacks = || Error::format(file, "metadata `tokenizer.ggml.scores` is missing: the file is incomplete");
    let scores = m.f32s("tokenizer.ggml.scores")?.ok_or_else(lacks)?;
    let count = tokens(m)?.len();
    if scores.len() != count {
        let what = format!("{} token scores for {count} tokens: the file is damaged", scores.len());
        return Err(Error::format(file, what));
    }
    Ok(scores)
}

/// Reads the list of merges, each side written as `plain` says.
pub(super) fn merges(
    m: &Metadata,
    vocab: &Vocab,
    plain: impl Fn(&str) -> Vec<u8>,
) -> Result<HashMap<(u32, u32), (u32, u32)>> {
    let lacks = || Error::format(m.file(), "metadata `tokenizer.ggml.merges` is missing: the file is incomplete");
    let list = m.strings("tokenizer.ggml.merges")?.ok_or_else(lacks)?;
    let mut merges = HashMap::with_capacity(list.len());
    for (rank, merge) in list.iter().enumerate() {
        // The left side may itself begin with a space in vocabularies that are not byte-level.
        let first = merge.chars().next().map_or(0, char::len_utf8);
        let Some(space) = merge[first..].find(' ').map(|at| at + first) else { continue };
        let (left, right) = (plain(&merge[..space]), plain(&merge[space + 1..]));
        let ids = (vocab.id(&left), vocab.id(&right), vocab.id(&[left, right].concat()));
        if let (Some(left), Some(right), Some(joined)) = ids {
            merges.entry((left, right)).or_insert((rank as u32, joined));
        }
    }
    Ok(merges)
}
