//! Cutting text into the pieces that become tokens, each by itself.

use super::regex::Pattern;
use super::scripts::Scripts;
use super::vocab::{Unmap, alphabet};
use std::borrow::Cow;

/// A search pattern.
#[derive(Debug)]
pub(super) enum Find {
    Literal(String),
    Pattern(Pattern),
}

/// The treatment of a match when text is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Matched {
    Removed,
    Isolated,
    WithPrevious,
    WithNext,
    /// Neighbouring matches are one piece.
    Contiguous,
}

/// When a prefix is put before the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Prefix {
    Never,
    /// At the very start of the input only.
    First,
    /// At the start of every segment between special tokens.
    Always,
}

/// A cutting of text into pieces.
#[derive(Debug)]
pub(super) enum Splitter {
    Cut {
        find: Find,
        matched: Matched,
        invert: bool,
    },
    /// Bytes written in GPT-2's printable alphabet: splitters after this one see that alphabet.
    ByteAlphabet {
        prefix_space: bool,
        words: Option<Pattern>,
    },
    Metaspace {
        mark: char,
        prefix: Prefix,
        split: bool,
    },
    FixedLength(usize),
    /// Where the script changes.
    Scripts(Scripts),
}

impl Find {
    /// Returns the pieces of `text` in order, each with whether it matched.
    fn split<'t>(&self, text: &'t str) -> Vec<(&'t str, bool)> {
        match self {
            Find::Pattern(pattern) => pattern.split(text),
            Find::Literal(literal) if literal.is_empty() => vec![(text, false)],
            Find::Literal(literal) => {
                let mut pieces = Vec::new();
                let mut done = 0;
                for (at, found) in text.match_indices(literal.as_str()) {
                    pieces.push((&text[done..at], false));
                    pieces.push((found, true));
                    done = at + found.len();
                }
                pieces.push((&text[done..], false));
                pieces.retain(|p| !p.0.is_empty());
                pieces
            }
        }
    }

    /// Returns `text` with `by` in place of every match.
    pub fn replace(&self, text: &str, by: &str) -> String {
        match self {
            Find::Literal(from) => text.replace(from.as_str(), by),
            Find::Pattern(_) => {
                self.split(text).into_iter().map(|(piece, found)| if found { by } else { piece }).collect()
            }
        }
    }
}

/// Cuts one piece into more, keeping borrowed text borrowed.
fn cut<'t>(piece: Cow<'t, str>, out: &mut Vec<Cow<'t, str>>, split: impl FnOnce(&str) -> Vec<(usize, usize)>) {
    match piece {
        Cow::Borrowed(text) => out.extend(split(text).into_iter().map(|(from, to)| Cow::Borrowed(&text[from..to]))),
        Cow::Owned(text) => out.extend(split(&text).into_iter().map(|(from, to)| Cow::Owned(text[from..to].into()))),
    }
}

/// Returns where the pieces lie once the matches are treated as `matched` says.
fn arrange(pieces: Vec<(&str, bool)>, matched: Matched, invert: bool) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::with_capacity(pieces.len());
    let (mut at, mut joined) = (0, false);
    for (text, found) in pieces {
        let (start, end, found) = (at, at + text.len(), found != invert);
        at = end;
        // Whether this piece goes on with the one before it.
        let extend = match matched {
            Matched::Removed if found => continue,
            Matched::Removed | Matched::Isolated => false,
            Matched::WithPrevious => found && !joined,
            Matched::WithNext => joined && !found,
            Matched::Contiguous => joined == found && !out.is_empty(),
        };
        match out.last_mut() {
            Some(last) if extend => last.1 = end,
            _ => out.push((start, end)),
        }
        joined = found;
    }
    out
}

impl Splitter {
    /// Cuts every piece further. `first`: the text is the very start of the input.
    pub fn apply<'t>(&self, pieces: Vec<Cow<'t, str>>, first: bool) -> Vec<Cow<'t, str>> {
        let mut out = Vec::with_capacity(pieces.len());
        for (i, piece) in pieces.into_iter().enumerate() {
            match self {
                Splitter::Cut { find, matched, invert } => {
                    cut(piece, &mut out, |text| arrange(find.split(text), *matched, *invert));
                }
                Splitter::ByteAlphabet { prefix_space, words } => {
                    let piece = match *prefix_space && !piece.starts_with(' ') {
                        true => Cow::Owned(format!(" {piece}")),
                        false => piece,
                    };
                    match words {
                        Some(words) => {
                            cut(piece, &mut out, |text| arrange(words.split(text), Matched::Isolated, false))
                        }
                        None => out.push(piece),
                    }
                }
                Splitter::Metaspace { mark, prefix, split } => {
                    let mut text = piece.replace(' ', mark.encode_utf8(&mut [0; 4]));
                    let wanted = *prefix == Prefix::Always || *prefix == Prefix::First && first && i == 0;
                    if wanted && !text.starts_with(*mark) {
                        text.insert(0, *mark);
                    }
                    match split {
                        true => cut(text.into(), &mut out, |text| {
                            arrange(Find::Literal(mark.to_string()).split(text), Matched::WithNext, false)
                        }),
                        false => out.push(text.into()),
                    }
                }
                Splitter::Scripts(scripts) => cut(piece, &mut out, |text| scripts.split(text)),
                Splitter::FixedLength(length) => cut(piece, &mut out, |text| {
                    let mut starts: Vec<usize> =
                        text.char_indices().step_by((*length).max(1)).map(|(at, _)| at).collect();
                    starts.push(text.len());
                    starts.windows(2).map(|w| (w[0], w[1])).collect()
                }),
            }
        }
        out.retain(|piece| !piece.is_empty());
        out
    }
}

/// All splitters in order.
#[derive(Debug, Default)]
pub(super) struct Splitters {
    pub steps: Vec<Splitter>,
    /// The text comes in the byte alphabet.
    pub alphabet: bool,
}

impl Splitters {
    /// Returns whether the model works on bytes.
    pub fn on_bytes(&self) -> bool {
        self.alphabet || self.steps.iter().any(|step| matches!(step, Splitter::ByteAlphabet { .. }))
    }

    /// Hands the pieces of `text` to `model`, as bytes, until it returns false.
    pub fn each(&self, text: &str, first: bool, mut model: impl FnMut(&[u8]) -> bool) {
        let mut pieces = vec![Cow::Borrowed(text)];
        let mut mapped = self.alphabet.then(Unmap::new);
        for (i, step) in self.steps.iter().enumerate() {
            pieces = step.apply(pieces, first);
            // Only steps that follow can tell the alphabet from the bytes themselves, so it is not written for the
            // last.
            if matches!(step, Splitter::ByteAlphabet { .. }) && mapped.is_none() && i + 1 < self.steps.len() {
                let chars = alphabet();
                let map = |piece: Cow<str>| piece.bytes().map(|b| chars[b as usize]).collect::<String>().into();
                pieces = pieces.into_iter().map(map).collect();
                mapped = Some(Unmap::new());
            }
        }
        for piece in pieces {
            let more = match &mapped {
                Some(unmap) => model(&unmap.bytes(&piece).unwrap_or_default()),
                None => model(piece.as_bytes()),
            };
            if !more {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_at(text: &str, matched: Matched, invert: bool) -> Vec<String> {
        let step = Splitter::Cut { find: Find::Literal("-".into()), matched, invert };
        step.apply(vec![text.into()], true).into_iter().map(String::from).collect()
    }

    #[test]
    fn what_becomes_of_matches() {
        let text = "the-final--countdown";
        assert_eq!(cut_at(text, Matched::Removed, false), ["the", "final", "countdown"]);
        assert_eq!(cut_at(text, Matched::Isolated, false), ["the", "-", "final", "-", "-", "countdown"]);
        assert_eq!(cut_at(text, Matched::WithPrevious, false), ["the-", "final-", "-", "countdown"]);
        assert_eq!(cut_at(text, Matched::WithNext, false), ["the", "-final", "-", "-countdown"]);
        assert_eq!(cut_at(text, Matched::Contiguous, false), ["the", "-", "final", "--", "countdown"]);
        assert_eq!(cut_at(text, Matched::Removed, true), ["-", "-", "-"]);
    }

    #[test]
    fn metaspace_and_byte_alphabet() {
        let step = |prefix| Splitter::Metaspace { mark: '▁', prefix, split: true };
        let run = |prefix, text: &str, first| {
            step(prefix).apply(vec![text.to_string().into()], first).into_iter().map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(run(Prefix::Always, "Hey  you", false), ["▁Hey", "▁", "▁you"]);
        assert_eq!(run(Prefix::First, "Hey you", false), ["Hey", "▁you"]);
        assert_eq!(run(Prefix::First, "Hey you", true), ["▁Hey", "▁you"]);
        assert_eq!(run(Prefix::Always, " Hey", true), ["▁Hey"]);
        // Behind the byte alphabet, U+00B2 (the byte B2) is a digit, as it is for the published tokenizers.
        let digits = Find::Pattern(Pattern::new(r"\p{N}").unwrap());
        let steps = vec![
            Splitter::ByteAlphabet { prefix_space: true, words: None },
            Splitter::Cut { find: digits, matched: Matched::Isolated, invert: false },
        ];
        let mut pieces = vec![];
        Splitters { steps, alphabet: false }.each("a²", true, |piece| {
            pieces.push(piece.to_vec());
            true
        });
        assert_eq!(pieces, [b" a\xC2".to_vec(), b"\xB2".to_vec()]);
    }
}
