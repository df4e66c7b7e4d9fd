//! Reads the parts of a tokenizer from `tokenizer.json` and the files beside it, as published.

use super::added::Added;
use super::bpe::{Bpe, Merging};
use super::pretokenize::{Find, Matched, Normalizer, Prefix, Splitter, Splitters};
use super::regex::Pattern;
use super::tokenizer_parts::{Spelling, TokenizerParts};
use super::vocab::{Unmap, Vocab};
use crate::{Error, Result};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The name of the file in errors.
pub(super) const FILE: &str = "tokenizer.json";

/// GPT-2's pattern of words: the one that a byte-level splitter uses unless told otherwise.
pub(super) const GPT2_WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

#[derive(Deserialize)]
struct File {
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

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelFile {
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
}

/// A vocabulary as a list, since no map of it is needed.
#[derive(Default)]
pub(super) struct Words(Vec<(String, u32)>);

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
                Ok(Words(words))
            }
            // The vocabulary of a Unigram model is a list; the model's type is refused later, with a better sentence.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Words, A::Error> {
                while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Words::default())
            }
        }
        from.deserialize_any(Visit)
    }
}

/// The two sides of a merge, from `["a", "b"]` or, as older files have it, `"a b"`.
pub(super) struct Merge(pub String, pub String);

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

fn unsupported(what: &str, kind: &str) -> Error {
    Error::unsupported(format!("tokenizer.json uses the {what} `{kind}`, which is not supported: use another model"))
}

fn damaged(what: impl fmt::Display) -> Error {
    Error::format(FILE, format!("{what}: the file is damaged or of another format, download it again"))
}

/// Returns the string under `key`.
fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().ok_or_else(|| damaged(format!("`{key}` is missing in {}", value["type"])))
}

fn flag(value: &Value, key: &str, default: bool) -> bool {
    value[key].as_bool().unwrap_or(default)
}

/// Compiles a pattern of a tokenizer file.
pub(super) fn pattern(source: &str) -> Result<Pattern> {
    let refuse = |why| Error::unsupported(format!("the tokenizer's pattern `{source}` {why}: it is not supported"));
    Pattern::new(source).map_err(refuse)
}

/// Reads `{"String": ..}`, `{"Regex": ..}` or, in old files, a bare string.
fn find(value: &Value) -> Result<Find> {
    match (value["String"].as_str().or(value.as_str()), value["Regex"].as_str()) {
        (Some(literal), _) => Ok(Find::Literal(literal.into())),
        (None, Some(source)) => Ok(Find::Pattern(pattern(source)?)),
        _ => Err(damaged("a pattern is neither a string nor a regular expression")),
    }
}

fn matched(value: &Value) -> Result<Matched> {
    Ok(match value["behavior"].as_str().unwrap_or("Isolated") {
        "Removed" => Matched::Removed,
        "Isolated" => Matched::Isolated,
        "MergedWithPrevious" => Matched::WithPrevious,
        "MergedWithNext" => Matched::WithNext,
        "Contiguous" => Matched::Contiguous,
        other => return Err(unsupported("split behavior", other)),
    })
}

fn normalizers(value: &Value, out: &mut Vec<Normalizer>) -> Result<()> {
    let Some(kind) = value["type"].as_str() else { return Ok(()) };
    let step = match kind {
        "Sequence" => {
            let list = value["normalizers"].as_array().ok_or_else(|| damaged("a Sequence has no list"))?;
            return list.iter().try_for_each(|v| normalizers(v, out));
        }
        "NFC" => Normalizer::Nfc,
        "NFD" => Normalizer::Nfd,
        "NFKC" => Normalizer::Nfkc,
        "NFKD" => Normalizer::Nfkd,
        "Lowercase" => Normalizer::Lowercase,
        "StripAccents" => Normalizer::StripAccents,
        "Strip" => Normalizer::Strip { left: flag(value, "strip_left", true), right: flag(value, "strip_right", true) },
        "Replace" => Normalizer::Replace { find: find(&value["pattern"])?, by: text(value, "content")?.into() },
        "Prepend" => Normalizer::Prepend(text(value, "prepend")?.into()),
        other => return Err(unsupported("normalizer", other)),
    };
    out.push(step);
    Ok(())
}

/// Returns a splitter at the places where `source` matches.
pub(super) fn cut(source: &str, matched: Matched, invert: bool) -> Result<Splitter> {
    Ok(Splitter::Cut { find: Find::Pattern(pattern(source)?), matched, invert })
}

fn splitters(value: &Value, out: &mut Vec<Splitter>) -> Result<()> {
    let Some(kind) = value["type"].as_str() else { return Ok(()) };
    let step = match kind {
        "Sequence" => {
            let list = value["pretokenizers"].as_array().ok_or_else(|| damaged("a Sequence has no list"))?;
            return list.iter().try_for_each(|v| splitters(v, out));
        }
        "Split" => Splitter::Cut {
            find: find(&value["pattern"])?,
            matched: matched(value)?,
            invert: flag(value, "invert", false),
        },
        "ByteLevel" => Splitter::ByteAlphabet {
            prefix_space: flag(value, "add_prefix_space", true),
            words: flag(value, "use_regex", true).then(|| pattern(GPT2_WORDS)).transpose()?,
        },
        "Metaspace" => metaspace(value)?,
        "Digits" if flag(value, "individual_digits", false) => cut(r"[\p{N}]", Matched::Isolated, false)?,
        "Digits" => cut(r"[\p{N}]", Matched::Contiguous, false)?,
        "Punctuation" => cut(r"[\p{P}!-/:-@\[-`{-~]", matched(value)?, false)?,
        "Whitespace" => cut(r"\w+|[^\w\s]+", Matched::Removed, true)?,
        "WhitespaceSplit" => cut(r"\s", Matched::Removed, false)?,
        "BertPreTokenizer" => {
            let words = cut(r"\s", Matched::Removed, false)?;
            out.extend([words, cut(r"[\p{P}!-/:-@\[-`{-~]", Matched::Isolated, false)?]);
            return Ok(());
        }
        "CharDelimiterSplit" => {
            let find = Find::Literal(text(value, "delimiter")?.into());
            Splitter::Cut { find, matched: Matched::Removed, invert: false }
        }
        "FixedLength" => Splitter::FixedLength(value["length"].as_u64().unwrap_or(5) as usize),
        other => return Err(unsupported("pre-tokenizer", other)),
    };
    out.push(step);
    Ok(())
}

/// Reads a Metaspace in its present spelling (`prepend_scheme`) or the older one (`add_prefix_space`).
fn metaspace(value: &Value) -> Result<Splitter> {
    let mark = value["replacement"].as_str().and_then(|s| s.chars().next()).unwrap_or('▁');
    let prefix = match value["prepend_scheme"].as_str() {
        Some("never") => Prefix::Never,
        Some("first") => Prefix::First,
        Some("always") => Prefix::Always,
        Some(other) => return Err(unsupported("prepend scheme", other)),
        None if flag(value, "add_prefix_space", true) => Prefix::Always,
        None => Prefix::Never,
    };
    Ok(Splitter::Metaspace { mark, prefix, split: flag(value, "split", true) })
}

/// Reads how the decoder turns tokens into text.
fn spelling(value: &Value, spelling: &mut Spelling) -> Result<()> {
    match value["type"].as_str() {
        None | Some("ByteLevel" | "Fuse") => {}
        Some("Sequence") => {
            let list = value["decoders"].as_array().ok_or_else(|| damaged("a Sequence has no list"))?;
            return list.iter().try_for_each(|v| self::spelling(v, spelling));
        }
        Some("Replace") => match find(&value["pattern"])? {
            Find::Literal(from) => spelling.replace.push((from, text(value, "content")?.into())),
            Find::Pattern(_) => return Err(unsupported("decoder", "Replace with a regular expression")),
        },
        Some("ByteFallback") => spelling.byte_tokens = true,
        Some("Strip") => {
            spelling.strip_first = value["start"].as_u64().unwrap_or(0) > 0;
        }
        Some("Metaspace") => {
            let Splitter::Metaspace { mark, prefix, .. } = metaspace(value)? else { return Ok(()) };
            spelling.replace.push((mark.to_string(), " ".into()));
            spelling.strip_first = prefix != Prefix::Never;
        }
        Some("BPEDecoder") => {
            let suffix = value["suffix"].as_str().unwrap_or("</w>");
            spelling.replace.push((suffix.into(), " ".into()));
        }
        Some(other) => return Err(unsupported("decoder", other)),
    }
    Ok(())
}

/// Reads the tokens that the post-processor puts before and after the text.
fn around(value: &Value, parts: &mut TokenizerParts) -> Result<()> {
    let bad = || damaged("the post-processor names a token without an id");
    let id = |v: &Value| v.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(bad);
    match value["type"].as_str() {
        None | Some("ByteLevel") => {}
        Some("Sequence") => {
            let list = value["processors"].as_array().ok_or_else(|| damaged("a Sequence has no list"))?;
            return list.iter().try_for_each(|v| around(v, parts));
        }
        Some("TemplateProcessing") => {
            let mut seen = false;
            for item in value["single"].as_array().ok_or_else(|| damaged("a template has no `single`"))? {
                if item["Sequence"].is_object() {
                    seen = true;
                } else if let Some(name) = item["SpecialToken"]["id"].as_str() {
                    let ids = value["special_tokens"][name]["ids"].as_array().ok_or_else(bad)?;
                    let list = if seen { &mut parts.after } else { &mut parts.before };
                    for v in ids {
                        list.push(id(v)?);
                    }
                }
            }
        }
        Some("BertProcessing" | "RobertaProcessing") => {
            parts.before.push(id(&value["cls"][1])?);
            parts.after.push(id(&value["sep"][1])?);
        }
        Some(other) => return Err(unsupported("post-processor", other)),
    }
    Ok(())
}

/// Reads the parts of the tokenizer in a `tokenizer.json`, with the added tokens that `tokenizer_config.json` lists.
pub(super) fn parse(bytes: &[u8], config: &Value) -> Result<TokenizerParts> {
    let file: File = serde_json::from_slice(bytes).map_err(damaged)?;
    let kind = file.model.kind.as_deref().unwrap_or(if file.model.merges.is_empty() { "unknown" } else { "BPE" });
    if kind != "BPE" {
        return Err(unsupported("model", kind));
    }
    if file.model.continuing_subword_prefix.as_deref().is_some_and(|prefix| !prefix.is_empty()) {
        return Err(unsupported("option", "continuing_subword_prefix"));
    }
    let mut parts = TokenizerParts::default();
    normalizers(&file.normalizer, &mut parts.normalizers)?;
    splitters(&file.pre_tokenizer, &mut parts.splitters.steps)?;
    spelling(&file.decoder, &mut parts.spelling)?;
    around(&file.post_processor, &mut parts)?;
    parts.added = file.added_tokens.into_iter().map(added).collect();
    list_added(config, &mut parts.added);
    parts.model = Some(model(FILE, file.model, &parts.added, &parts.splitters)?);
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

/// Builds the model from the vocabulary and merges of `file`; `name` is its name in errors.
pub(super) fn model(name: &str, file: ModelFile, added: &[Added], splitters: &Splitters) -> Result<Bpe> {
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

    let mut merges = HashMap::with_capacity(file.merges.len());
    for (rank, Merge(left, right)) in file.merges.iter().enumerate() {
        let (left, right) = (plain(left), plain(right));
        let ids = (vocab.id(&left), vocab.id(&right), vocab.id(&[left, right].concat()));
        if let (Some(left), Some(right), Some(joined)) = ids {
            merges.entry((left, right)).or_insert((rank as u32, joined));
        }
    }
    let byte_token = |byte: u8| vocab.id(format!("<0x{byte:02X}>").as_bytes());
    let byte_tokens = file.byte_fallback.then(|| Box::new(std::array::from_fn(|byte| byte_token(byte as u8))));
    let unknown = file
        .unk_token
        .as_deref()
        .and_then(|token| vocab.id(&plain(token)).or_else(|| added.iter().find(|a| a.text == token).map(|a| a.id)));
    let suffix = file.end_of_word_suffix.unwrap_or_default().into_bytes();
    let merging = Merging::Ranks { merges, bytes: on_bytes, whole_first: file.ignore_merges, suffix };
    Ok(Bpe { vocab, merging, byte_tokens, unknown, fuse_unknown: file.fuse_unk })
}
