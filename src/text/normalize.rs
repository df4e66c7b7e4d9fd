//! Rewriting text before it is cut: Unicode forms, case, and what the published models' own normalizers do.

use super::charsmap::Charsmap;
use super::pretokenize::Find;
use super::regex::{is_control, is_nonspacing};
use super::vocab::alphabet;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A rewriting of text.
#[derive(Debug)]
pub(super) enum Normalizer {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Lowercase,
    StripAccents,
    Strip {
        left: bool,
        right: bool,
    },
    Replace {
        find: Find,
        by: String,
    },
    Prepend(String),
    /// SentencePiece's spellings.
    Charsmap(Charsmap),
    /// BERT's clean-up, spaces around Chinese characters, accents stripped, lower case.
    Bert {
        clean: bool,
        chinese: bool,
        strip: bool,
        lower: bool,
    },
    /// SentencePiece's clean-up: no control characters, one kind of space.
    Nmt,
    /// Bytes written in GPT-2's printable alphabet.
    ByteAlphabet,
    /// Runs of spaces are one, and there is none at either end.
    OneSpace,
}

/// Returns `text` rewritten by all of `steps` in order.
pub(super) fn normalize<'t>(steps: &[Normalizer], text: &'t str) -> Cow<'t, str> {
    steps.iter().fold(Cow::Borrowed(text), |text, step| step.apply(text))
}

impl Normalizer {
    /// Returns the rewritten text.
    pub fn apply<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        if text.is_empty() {
            return text;
        }
        match self {
            // All Unicode normal forms leave ASCII alone.
            Normalizer::Nfc | Normalizer::Nfd | Normalizer::Nfkc | Normalizer::Nfkd if text.is_ascii() => text,
            Normalizer::Nfc => text.nfc().collect::<String>().into(),
            Normalizer::Nfd => text.nfd().collect::<String>().into(),
            Normalizer::Nfkc => text.nfkc().collect::<String>().into(),
            Normalizer::Nfkd => text.nfkd().collect::<String>().into(),
            Normalizer::Lowercase => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
            Normalizer::StripAccents => text.chars().filter(|&c| !is_combining_mark(c)).collect::<String>().into(),
            Normalizer::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { &text };
                (if *right { text.trim_end() } else { text }).to_string().into()
            }
            Normalizer::Replace { find, by } => find.replace(&text, by).into(),
            Normalizer::Prepend(prefix) => format!("{prefix}{text}").into(),
            Normalizer::Charsmap(map) => map.apply(&text).into(),
            Normalizer::Bert { clean, chinese, strip, lower } => bert(&text, *clean, *chinese, *strip, *lower).into(),
            Normalizer::Nmt => text.chars().filter_map(nmt).collect::<String>().into(),
            Normalizer::ByteAlphabet => {
                let chars = alphabet();
                text.bytes().map(|b| chars[b as usize]).collect::<String>().into()
            }
            Normalizer::OneSpace => {
                let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
                words.join(" ").into()
            }
        }
    }
}

/// Returns what BERT makes of text before it is cut.
fn bert(text: &str, clean: bool, chinese: bool, strip: bool, lower: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' if clean => out.push(' '),
            // Control characters go before white space is looked for: so U+000B, which is both, goes.
            c if clean && (c == '\u{FFFD}' || is_control(c)) => {}
            c if clean && c.is_whitespace() => out.push(' '),
            c if chinese && is_chinese(c) => out.extend([' ', c, ' ']),
            c => out.push(c),
        }
    }
    if strip {
        out = out.nfd().filter(|&c| !is_nonspacing(c)).collect();
    }
    if lower { out.chars().flat_map(char::to_lowercase).collect() } else { out }
}

/// Returns whether BERT takes `c` for a Chinese character: some blocks of ideographs, not the whole script.
fn is_chinese(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

/// Returns what `Nmt` makes of a character, `None` if it goes.
fn nmt(c: char) -> Option<char> {
    match u32::from(c) {
        0x01..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F | 0x8F | 0x9F => None,
        0x09 | 0x0A | 0x0C | 0x0D | 0x1680 | 0x200B..=0x200F | 0x2028 | 0x2029 | 0x2581 | 0xFEFF | 0xFFFD => Some(' '),
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bert_does() {
        let bert = |clean, chinese, strip, lower, text: &str| {
            Normalizer::Bert { clean, chinese, strip, lower }.apply(text.into()).into_owned()
        };
        assert_eq!(bert(true, false, false, false, "d\u{b}\u{c}l\u{85}\0\u{ad}\u{e000}\u{fffd}\ta\u{3000}"), "dl a ");
        assert_eq!(bert(false, true, false, false, "a中b\u{b}"), "a 中 b\u{b}");
        assert_eq!(bert(false, false, true, false, "Éa"), "Ea");
        assert_eq!(bert(true, true, true, true, "ÀB"), "ab");
    }

    #[test]
    fn what_the_others_do() {
        let apply = |step: Normalizer, text: &str| step.apply(Cow::Owned(text.into())).into_owned();
        assert_eq!(apply(Normalizer::Nmt, "a\u{1}\u{b}b\u{c}c\u{200d}\u{85}▁d"), "ab c \u{85} d");
        assert_eq!(apply(Normalizer::ByteAlphabet, "a é"), "aĠÃ©");
        assert_eq!(apply(Normalizer::OneSpace, "  a   b\n "), "a b\n");
    }
}
