//! The vocabularies of language models in GGUF files: pieces that are merged from smaller ones.

use super::fields::{BYTE, merges, scores, tokens};
use super::words::{whole_first, words};
use crate::format::gguf::Metadata;
use crate::text::bpe::{Bpe, Merging};
use crate::text::from_json::{cut, pattern};
use crate::text::model::{Algorithm, TokenModel};
use crate::text::normalize::Normalizer;
use crate::text::pretokenize::{Find, Matched, Splitter};
use crate::text::spelling::{SpellingStep, byte_token};
use crate::text::tokenizer_parts::TokenizerParts;
use crate::text::vocab::{Unmap, Vocab};
use crate::{Error, Result};

/// Reads merges of bytes, over words that the pre-tokenizer's patterns cut.
pub(super) fn byte_level(m: &Metadata, parts: &mut TokenizerParts, ordinary: impl Fn(usize) -> bool) -> Result<()> {
    let file = m.file();
    let pre = m.str("tokenizer.ggml.pre")?.unwrap_or("default");
    let words = words(pre).ok_or_else(|| {
        Error::unsupported(format!(
            "the file's pre-tokenizer `{pre}` is not known: update Inkstone or use another model"
        ))
    })?;
    for source in words {
        let find = Find::Pattern(pattern(source)?);
        parts.splitters.steps.push(Splitter::Cut { find, matched: Matched::Isolated, invert: false });
    }
    parts.splitters.steps.push(Splitter::ByteAlphabet { prefix_space: false, words: None });

    let tokens = tokens(m)?;
    let unmap = Unmap::new();
    let plain = |token: &str| unmap.bytes(token).unwrap_or_else(|| token.as_bytes().to_vec());
    // A piece that is not written in the byte alphabet cannot come out of text.
    let reached = |id: usize, token: &str| ordinary(id) && unmap.bytes(token).is_some();
    let spelled: Vec<(Vec<u8>, bool)> =
        tokens.iter().enumerate().map(|(id, token)| (plain(token), reached(id, token))).collect();
    let listed = spelled.iter().enumerate().map(|(id, (bytes, found))| (id as u32, bytes.as_slice(), *found));
    // An added token shows its own text, not what that text would be in the byte alphabet.
    let added = parts.added.iter().map(|token| (token.id, token.text.as_bytes(), false));
    let vocab = Vocab::new(file, listed.chain(added))?;

    let merges = merges(m, &vocab, plain)?;
    let whole_first = whole_first(pre);
    let (prefix, suffix) = (Vec::new(), Vec::new());
    let merging = Merging::Ranks { merges, bytes: true, whole_first, prefix, suffix };
    let bpe = Bpe { merging, byte_tokens: None, unknown: None, fuse_unknown: false };
    parts.model = Some(TokenModel { vocab, algorithm: Algorithm::Bpe(bpe) });
    Ok(())
}

/// Reads pieces that are merged by their scores.
pub(super) fn sentence_piece(m: &Metadata, parts: &mut TokenizerParts, ordinary: impl Fn(usize) -> bool) -> Result<()> {
    let file = m.file();
    let tokens = tokens(m)?;
    let scores = scores(m)?;
    parts.spelling.steps.extend([
        SpellingStep::Replace { find: Find::Literal("▁".into()), by: " ".into() },
        SpellingStep::ByteTokens,
        SpellingStep::Fuse,
    ]);
    if m.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) {
        parts.normalizers.push(Normalizer::Prepend(" ".into()));
        parts.spelling.steps.push(SpellingStep::Strip { content: ' ', start: 1, stop: 0 });
    }
    parts.normalizers.push(Normalizer::Replace { find: Find::Literal(" ".into()), by: "▁".into() });
    let token = |id: usize| tokens.get(id).unwrap_or_default().as_bytes();
    let listed = (0..tokens.len()).map(|id| (id as u32, token(id), ordinary(id)));
    let vocab = Vocab::new(file, listed)?;
    let mut bytes = [None; 256];
    let types = m.i32s("tokenizer.ggml.token_type")?.unwrap_or_default();
    for (id, token) in tokens.iter().enumerate().filter(|(id, _)| types.get(*id).is_none_or(|&t| t == BYTE)) {
        if let Some(byte) = byte_token(token) {
            bytes[byte as usize] = Some(id as u32);
        }
    }
    let unknown = m.u32("tokenizer.ggml.unknown_token_id")?.or(Some(0)).filter(|&id| (id as usize) < tokens.len());
    let merging = Merging::Scores(scores);
    let bpe = Bpe { merging, byte_tokens: Some(Box::new(bytes)), unknown, fuse_unknown: true };
    parts.model = Some(TokenModel { vocab, algorithm: Algorithm::Bpe(bpe) });
    Ok(())
}

/// Reads merges over characters of a text whose spaces are marked, as Gemma 4's are.
pub(super) fn marked(m: &Metadata, parts: &mut TokenizerParts, ordinary: impl Fn(usize) -> bool) -> Result<()> {
    let mark = |find: &str, by: &str| (Find::Literal(find.into()), by.to_string());
    let (find, by) = mark(" ", "▁");
    parts.normalizers.push(Normalizer::Replace { find, by });
    parts.splitters.steps.push(cut("[^\n]+|[\n]+", Matched::Isolated, false)?);
    let (find, by) = mark("▁", " ");
    parts.spelling.steps.extend([SpellingStep::Replace { find, by }, SpellingStep::ByteTokens]);
    let tokens = tokens(m)?;
    let token = |id: usize| tokens.get(id).unwrap_or_default().as_bytes();
    let vocab = Vocab::new(m.file(), (0..tokens.len()).map(|id| (id as u32, token(id), ordinary(id))))?;
    let mut bytes = Box::new([None; 256]);
    for (id, token) in tokens.iter().enumerate() {
        if let Some(byte) = byte_token(token) {
            bytes[byte as usize] = Some(id as u32);
        }
    }
    let merges = merges(m, &vocab, |text| text.as_bytes().to_vec())?;
    let (prefix, suffix) = (Vec::new(), Vec::new());
    let merging = Merging::Ranks { merges, bytes: false, whole_first: false, prefix, suffix };
    let unknown = m.u32("tokenizer.ggml.unknown_token_id")?.filter(|&id| (id as usize) < tokens.len());
    let bpe = Bpe { merging, byte_tokens: Some(bytes), unknown, fuse_unknown: true };
    parts.model = Some(TokenModel { vocab, algorithm: Algorithm::Bpe(bpe) });
    Ok(())
}
