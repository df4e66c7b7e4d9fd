//! The model of a tokenizer file: its vocabulary, and how pieces become tokens.

use super::values::{damaged, unsupported};
use crate::Result;
use crate::text::added::Added;
use crate::text::bpe::{Bpe, Merging};
use crate::text::model::{Algorithm, TokenModel};
use crate::text::pretokenize::Splitters;
use crate::text::unigram::Unigram;
use crate::text::vocab::{Unmap, Vocab};
use crate::text::wordpiece::WordPiece;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;
use std::fmt;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::text) struct ModelFile {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub vocab: Words,
    pub merges: Vec<Merge>,
    pub unk_token: Option<String>,
    pub continuing_subword_prefix: Option<String>,
    pub end_of_word_suffix: Option<String>,
    pub fuse_unk: bool,
    pub byte_fallback: bool,
    pub ignore_merges: bool,
    /// Text becomes bytes, written in GPT-2's alphabet (format 2.0).
    pub byte_level: bool,
    pub unk_id: Option<u32>,
    pub max_input_chars_per_word: Option<usize>,
}

impl ModelFile {
    /// Returns the kind of model; old files do not name it.
    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(if self.merges.is_empty() { "unknown" } else { "BPE" })
    }

    /// Returns whether the model is of the kind that old files do not name.
    pub(super) fn is_bpe(&self) -> bool {
        self.kind() == "BPE"
    }
}

/// A vocabulary as a list, since no map of it is needed; the scores of a Unigram model beside it.
#[derive(Default)]
pub(in crate::text) struct Words(Vec<(String, u32)>, Vec<f64>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Words;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a vocabulary")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    words.push(entry);
                }
                Ok(Words(words, Vec::new()))
            }
            // The vocabulary of a Unigram model is a list of pieces with their scores.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Words, A::Error> {
                let (mut words, mut scores) = (Vec::new(), Vec::new());
                while let Some((word, score)) = list.next_element()? {
                    words.push((word, words.len() as u32));
                    scores.push(score);
                }
                Ok(Words(words, scores))
            }
        }
        from.deserialize_any(Visit)
    }
}

/// The two sides of a merge, from `["a", "b"]` or, as older files have it, `"a b"`.
pub(in crate::text) struct Merge(pub String, pub String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Merge;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a merge of two tokens")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Merge, E> {
                let (a, b) = text.split_once(' ').ok_or_else(|| E::custom("a merge without a space"))?;
                Ok(Merge(a.into(), b.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Merge, A::Error> {
                let missing = || serde::de::Error::custom("a merge of fewer than two tokens");
                let a = list.next_element()?.ok_or_else(missing)?;
                let b = list.next_element()?.ok_or_else(missing)?;
                Ok(Merge(a, b))
            }
        }
        from.deserialize_any(Visit)
    }
}

/// Builds the model from the vocabulary and merges of `file`; `name` is its name in errors.
pub(in crate::text) fn model(
    name: &str,
    file: ModelFile,
    added: &[Added],
    splitters: &Splitters,
) -> Result<TokenModel> {
    let on_bytes = splitters.on_bytes();
    let unmap = Unmap::new();
    let plain = |token: &str| match on_bytes {
        true => unmap.bytes(token).unwrap_or_else(|| token.as_bytes().to_vec()),
        false => token.as_bytes().to_vec(),
    };
    // A piece that is not written in the byte alphabet cannot come out of text.
    let reached = |word: &str| !on_bytes || unmap.bytes(word).is_some();
    let mut tokens: Vec<(u32, Vec<u8>, bool)> =
        file.vocab.0.iter().map(|(word, id)| (*id, plain(word), reached(word))).collect();
    // An added token's id is often in the vocabulary too; written last, its text is what decoding shows.
    tokens.extend(added.iter().map(|token| (token.id, token.text.as_bytes().to_vec(), false)));
    let vocab = Vocab::new(name, tokens.iter().map(|(id, bytes, found)| (*id, bytes.as_slice(), *found)))?;
    drop(tokens);

    let byte_token = |byte: u8| vocab.id(format!("<0x{byte:02X}>").as_bytes());
    let byte_tokens = file.byte_fallback.then(|| Box::new(std::array::from_fn(|byte| byte_token(byte as u8))));
    let named = |token: &str| {
        let listed = || added.iter().find(|a| a.text == token).map(|a| a.id);
        vocab.id(&plain(token)).or_else(listed)
    };
    let unknown = file.unk_token.as_deref().and_then(named);
    let needed = |id: Option<u32>| {
        let what = "the model names no unknown token of its vocabulary, so that some texts would have no tokens";
        id.ok_or_else(|| damaged(what))
    };
    let algorithm = match file.kind() {
        "BPE" => {
            let prefix = file.continuing_subword_prefix.unwrap_or_default().into_bytes();
            let mut merges = HashMap::with_capacity(file.merges.len());
            for (rank, Merge(left, right)) in file.merges.iter().enumerate() {
                let (left, right) = (plain(left), plain(right));
                let ids = (vocab.id(&left), vocab.id(&right));
                let joined = vocab.id(&[left.as_slice(), right.get(prefix.len()..).unwrap_or_default()].concat());
                if let ((Some(left), Some(right)), Some(joined)) = (ids, joined) {
                    merges.entry((left, right)).or_insert((rank as u32, joined));
                }
            }
            let suffix = file.end_of_word_suffix.unwrap_or_default().into_bytes();
            let whole_first = file.ignore_merges;
            let merging = Merging::Ranks { merges, bytes: on_bytes, whole_first, prefix, suffix };
            Algorithm::Bpe(Bpe { merging, byte_tokens, unknown, fuse_unknown: file.fuse_unk })
        }
        "Unigram" => {
            let unknown = needed(file.unk_id.filter(|&id| (id as usize) < file.vocab.1.len()))?;
            Algorithm::Unigram(Unigram::new(&vocab, file.vocab.1, unknown, byte_tokens, on_bytes))
        }
        "WordPiece" => {
            let prefix = file.continuing_subword_prefix.as_deref().unwrap_or("##");
            let most_chars = file.max_input_chars_per_word.unwrap_or(100);
            let unknown = needed(unknown.or_else(|| named("[UNK]")))?;
            Algorithm::WordPiece(WordPiece::new(&vocab, prefix, most_chars, unknown, on_bytes))
        }
        "WordLevel" => Algorithm::WordLevel { unknown: needed(unknown.or_else(|| named("<unk>")))? },
        other => return Err(unsupported("model", other)),
    };
    Ok(TokenModel { vocab, algorithm })
}
