//! From tokens back to text: the steps that a tokenizer file lists as its decoder.

use super::pretokenize::Find;
use std::borrow::Cow;

/// How tokens are written as text.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    pub steps: Vec<SpellingStep>,
}

/// A step of the way from tokens to text.
#[derive(Debug)]
pub(super) enum SpellingStep {
    /// Replaced in every piece.
    Replace { find: Find, by: String },
    /// `<0x0A>` is the byte 0A.
    ByteTokens,
    /// All pieces are one from here on.
    Fuse,
    /// So many of this character at each end of a piece are not part of the text.
    Strip { content: char, start: usize, stop: usize },
    /// A mark stands for a space, but for nothing in the first piece if `strip_first`.
    Metaspace { mark: char, strip_first: bool },
    /// Pieces are joined by spaces, but for those with this prefix.
    Words { prefix: String, cleanup: bool },
    /// Of equal neighbours one is left, and padding goes.
    Ctc { pad: String, delimiter: String, cleanup: bool },
    /// The end of a word, a space unless it is the text's.
    WordEnd(String),
    /// Pieces are joined by spaces.
    Spaced,
}

/// A piece of text: its bytes, which need not be UTF-8, and whether it is a special token.
type Token<'t> = (Cow<'t, [u8]>, bool);

impl Spelling {
    /// Returns the text of `tokens`, each with whether it is special, as bytes.
    pub fn join<'t>(&self, tokens: impl Iterator<Item = (&'t [u8], bool)>) -> Vec<u8> {
        let mut tokens: Vec<Token> = tokens.map(|(bytes, special)| (Cow::Borrowed(bytes), special)).collect();
        for step in &self.steps {
            match step {
                SpellingStep::Fuse => {
                    let all: Vec<u8> = tokens.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
                    tokens = vec![(all.into(), false)];
                }
                SpellingStep::Ctc { .. } => {
                    tokens.dedup();
                    tokens.iter_mut().for_each(|token| step.apply(token, false, false));
                }
                _ => {
                    let last = tokens.len().wrapping_sub(1);
                    tokens.iter_mut().enumerate().for_each(|(i, token)| step.apply(token, i == 0, i == last));
                }
            }
        }
        tokens.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect()
    }

    /// Appends the text of a token in the middle of a text.
    pub fn write(&self, bytes: &[u8], special: bool, out: &mut Vec<u8>) {
        let mut token = (Cow::Borrowed(bytes), special);
        // What comes after the pieces are one is about the ends of the whole text, mostly.
        for step in self.steps.iter().take_while(|step| !matches!(step, SpellingStep::Fuse)) {
            step.apply(&mut token, false, false);
        }
        out.extend_from_slice(&token.0);
    }
}

impl SpellingStep {
    /// Replaces one piece, which may be the first or the last of the text.
    fn apply(&self, token: &mut Token, first: bool, last: bool) {
        let (bytes, special) = token;
        // Bytes that are not UTF-8 come from a byte-level vocabulary or a byte token, where a piece is its bytes.
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let new: Option<Vec<u8>> = match self {
            SpellingStep::Words { prefix, cleanup } => {
                let joined = match text.strip_prefix(prefix.as_str()) {
                    _ if first => text.to_string(),
                    Some(rest) => rest.to_string(),
                    None => format!(" {text}"),
                };
                Some(if *cleanup { tidy(&joined) } else { joined }.into())
            }
            SpellingStep::Spaced => (!first).then(|| format!(" {text}").into()),
            SpellingStep::Ctc { pad, delimiter, cleanup } => {
                let text = if pad.is_empty() { text.to_string() } else { text.replace(pad.as_str(), "") };
                Some(if *cleanup { tidy(&text).replace(delimiter.as_str(), " ") } else { text }.into())
            }
            // A special token shows itself as it is.
            _ if *special => None,
            SpellingStep::Replace { find: Find::Literal(from), by } => {
                text.contains(from.as_str()).then(|| text.replace(from.as_str(), by).into())
            }
            SpellingStep::Replace { find, by } => Some(find.replace(text, by).into()),
            SpellingStep::ByteTokens => byte_token(text).map(|byte| vec![byte]),
            SpellingStep::Strip { content, start, stop } => {
                let count = |ends: &mut dyn Iterator<Item = char>, most| {
                    ends.take(most).take_while(|c| c == content).count() * content.len_utf8()
                };
                let start = count(&mut text.chars(), *start);
                let stop = count(&mut text[start..].chars().rev(), *stop);
                (start + stop > 0).then(|| text[start..text.len() - stop].into())
            }
            SpellingStep::Metaspace { mark, strip_first } => {
                let by = if first && *strip_first { "" } else { " " };
                text.contains(*mark).then(|| text.replace(*mark, by).into())
            }
            SpellingStep::WordEnd(suffix) => {
                text.contains(suffix.as_str()).then(|| text.replace(suffix, if last { "" } else { " " }).into())
            }
            SpellingStep::Fuse => None,
        };
        if let Some(new) = new {
            *bytes = new.into();
        }
    }
}

/// Returns `text` without the spaces that stand before punctuation and the halves of English contractions.
fn tidy(text: &str) -> String {
    const FROM: [(&str, &str); 11] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" do not", " don't"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    FROM.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

/// Returns the byte that a token such as `<0x0A>` stands for.
pub(super) fn byte_token(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(steps: Vec<SpellingStep>, tokens: &[&str]) -> String {
        let joined = Spelling { steps }.join(tokens.iter().map(|token| (token.as_bytes(), *token == "[SEP]")));
        String::from_utf8(joined).unwrap()
    }

    #[test]
    fn words_and_marks() {
        let words = |cleanup| vec![SpellingStep::Words { prefix: "##".into(), cleanup }];
        let tokens = ["##uelo", "Ara", "##ú", "##jo", "is", "n't", "here", ".", "[SEP]"];
        assert_eq!(join(words(true), &tokens), "##uelo Araújo isn't here. [SEP]");
        assert_eq!(join(words(false), &tokens), "##uelo Araújo is n't here . [SEP]");
        let marks = |strip_first| vec![SpellingStep::Metaspace { mark: '▁', strip_first }];
        assert_eq!(join(marks(true), &["▁▁Hey", "▁you"]), "Hey you");
        assert_eq!(join(marks(false), &["▁▁Hey", "▁you"]), "  Hey you");
        assert_eq!(join(vec![SpellingStep::WordEnd("</w>".into())], &["a</w>", "b</w>"]), "a b");
        assert_eq!(join(vec![SpellingStep::Spaced], &["a", "b"]), "a b");
    }

    #[test]
    fn repeated_letters_of_speech() {
        let ctc = SpellingStep::Ctc { pad: "<pad>".into(), delimiter: "|".into(), cleanup: true };
        let tokens: Vec<&str> = "<pad> <pad> h e e l l <pad> l o o o <pad> | <pad> w o".split(' ').collect();
        assert_eq!(join(vec![ctc], &tokens), "hello wo");
    }

    #[test]
    fn bytes_and_ends() {
        let steps = || {
            let replace = SpellingStep::Replace { find: Find::Literal("▁".into()), by: " ".into() };
            let strip = SpellingStep::Strip { content: ' ', start: 1, stop: 0 };
            vec![replace, SpellingStep::ByteTokens, SpellingStep::Fuse, strip]
        };
        assert_eq!(join(steps(), &["▁▁a", "<0xC3>", "<0xA9>", "▁b"]), " aé b");
        let mut out = vec![];
        Spelling { steps: steps() }.write("▁a".as_bytes(), false, &mut out);
        assert_eq!(out, b" a");
        let strip = |start, stop| vec![SpellingStep::Strip { content: 'x', start, stop }];
        assert_eq!(join(strip(2, 1), &["xxxaxx", "x"]), "xax");
    }
}
