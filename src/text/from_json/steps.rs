//! The steps between text and tokens, and back: normalizers, pre-tokenizers, decoders.

use super::values::{character, count, cut, damaged, find, flag, list, pattern, text, unsupported};
use crate::Result;
use crate::text::charsmap::Charsmap;
use crate::text::normalize::Normalizer;
use crate::text::pretokenize::{Find, Matched, Prefix, Splitter};
use crate::text::scripts::Scripts;
use crate::text::spelling::SpellingStep;
use serde_json::Value;

/// GPT-2's pattern of words: the one that a byte-level splitter uses unless told otherwise.
pub(in crate::text) const GPT2_WORDS: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Punctuation: Unicode's, and all of ASCII that is neither letter nor digit.
const PUNCTUATION: &str = r"[\p{P}!-/:-@\[-`{-~]";

/// Reads the normalizers. One of format 2.0 is a splitter of format 1.0 and goes to those.
pub(super) fn normalizers(value: &Value, out: &mut Vec<Normalizer>, splitters: &mut Vec<Splitter>) -> Result<()> {
    let Some(kind) = value["type"].as_str() else { return Ok(()) };
    if !splitters.is_empty() {
        return Err(unsupported("normalizer behind a MetaspaceNormalizer", kind));
    }
    let step = match kind {
        "Sequence" => {
            return list(value, "normalizers")?.iter().try_for_each(|v| normalizers(v, out, splitters));
        }
        "MetaspaceNormalizer" => {
            if flag(value, "drop_whitespace", false) {
                splitters.push(cut(r"\s", Matched::Removed, false)?);
            }
            let mark = character(value, "replacement", '▁');
            splitters.push(Splitter::Metaspace { mark, prefix: prefix(text(value, "prepend")?)?, split: false });
            return Ok(());
        }
        "NFC" => Normalizer::Nfc,
        "NFD" => Normalizer::Nfd,
        "NFKC" => Normalizer::Nfkc,
        "NFKD" => Normalizer::Nfkd,
        "Nmt" => Normalizer::Nmt,
        "Lowercase" => Normalizer::Lowercase,
        "StripAccents" => Normalizer::StripAccents,
        "Strip" => Normalizer::Strip { left: flag(value, "strip_left", true), right: flag(value, "strip_right", true) },
        "Replace" => Normalizer::Replace { find: find(&value["pattern"])?, by: text(value, "content")?.into() },
        "Prepend" => Normalizer::Prepend(text(value, "prepend")?.into()),
        "ByteLevel" => Normalizer::ByteAlphabet,
        "Precompiled" => match value["precompiled_charsmap"].as_str() {
            None | Some("") => return Ok(()),
            Some(map) => {
                let map = Charsmap::from_base64(map).ok_or_else(|| damaged("`precompiled_charsmap` is no such map"))?;
                Normalizer::Charsmap(map)
            }
        },
        "BertNormalizer" => {
            let lower = flag(value, "lowercase", true);
            let [clean, chinese] = ["clean_text", "handle_chinese_chars"].map(|key| flag(value, key, true));
            Normalizer::Bert { clean, chinese, strip: flag(value, "strip_accents", lower), lower }
        }
        other => return Err(unsupported("normalizer", other)),
    };
    out.push(step);
    Ok(())
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

pub(super) fn splitters(value: &Value, out: &mut Vec<Splitter>) -> Result<()> {
    let Some(kind) = value["type"].as_str() else { return Ok(()) };
    let step = match kind {
        "Sequence" => return list(value, "pretokenizers")?.iter().try_for_each(|v| splitters(v, out)),
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
        "Punctuation" => cut(PUNCTUATION, matched(value)?, false)?,
        "Whitespace" => cut(r"\w+|[^\w\s]+", Matched::Removed, true)?,
        "WhitespaceSplit" => cut(r"\s", Matched::Removed, false)?,
        "BertPreTokenizer" => {
            out.extend(bert_splitters()?);
            return Ok(());
        }
        "CharDelimiterSplit" => {
            let find = Find::Literal(text(value, "delimiter")?.into());
            Splitter::Cut { find, matched: Matched::Removed, invert: false }
        }
        "FixedLength" => Splitter::FixedLength(value["length"].as_u64().unwrap_or(5) as usize),
        "UnicodeScripts" => Splitter::Scripts(Scripts::new()),
        other => return Err(unsupported("pre-tokenizer", other)),
    };
    out.push(step);
    Ok(())
}

/// Returns how BERT cuts text: at white space, and around every punctuation character.
pub(in crate::text) fn bert_splitters() -> Result<[Splitter; 2]> {
    Ok([cut(r"\s", Matched::Removed, false)?, cut(PUNCTUATION, Matched::Isolated, false)?])
}

/// Reads a Metaspace in its present spelling (`prepend_scheme`) or the older one (`add_prefix_space`).
fn metaspace(value: &Value) -> Result<Splitter> {
    let mark = character(value, "replacement", '▁');
    let prefix = match value["prepend_scheme"].as_str() {
        Some(scheme) => prefix(scheme)?,
        None if flag(value, "add_prefix_space", true) => Prefix::Always,
        None => Prefix::Never,
    };
    Ok(Splitter::Metaspace { mark, prefix, split: flag(value, "split", true) })
}

fn prefix(scheme: &str) -> Result<Prefix> {
    Ok(match scheme {
        "never" => Prefix::Never,
        "first" => Prefix::First,
        "always" => Prefix::Always,
        other => return Err(unsupported("prepend scheme", other)),
    })
}

/// Reads the steps from tokens to text.
pub(super) fn decoders(value: &Value, out: &mut Vec<SpellingStep>) -> Result<()> {
    let Some(kind) = value["type"].as_str() else { return Ok(()) };
    let named = |key: &str, default: &str| value[key].as_str().unwrap_or(default).to_string();
    let cleanup = flag(value, "cleanup", true);
    let step = match kind {
        "Sequence" => return list(value, "decoders")?.iter().try_for_each(|v| decoders(v, out)),
        // A byte-level vocabulary is kept as the bytes that it stands for.
        "ByteLevel" => return Ok(()),
        "Fuse" => SpellingStep::Fuse,
        "Replace" => SpellingStep::Replace { find: find(&value["pattern"])?, by: text(value, "content")?.into() },
        "ByteFallback" => SpellingStep::ByteTokens,
        "Strip" => SpellingStep::Strip {
            content: character(value, "content", ' '),
            start: count(value, "start"),
            stop: count(value, "stop"),
        },
        "Metaspace" => {
            let Splitter::Metaspace { mark, prefix, .. } = metaspace(value)? else { return Ok(()) };
            SpellingStep::Metaspace { mark, strip_first: prefix != Prefix::Never }
        }
        "BPEDecoder" => SpellingStep::WordEnd(named("suffix", "</w>")),
        "WordPiece" => SpellingStep::Words { prefix: named("prefix", "##"), cleanup },
        "CTC" => {
            let (pad, delimiter) = (named("pad_token", "<pad>"), named("word_delimiter_token", "|"));
            SpellingStep::Ctc { pad, delimiter, cleanup }
        }
        other => return Err(unsupported("decoder", other)),
    };
    out.push(step);
    Ok(())
}
