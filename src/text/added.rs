//! Tokens that are found in text as they are written: special tokens and other added ones.

use super::regex::is_word;

/// A token recognised by its text before anything else happens to the text.
#[derive(Clone, Debug, Default)]
pub(super) struct Added {
    pub id: u32,
    pub text: String,
    /// Has a meaning of its own and never stands for text: only recognised when asked for.
    pub special: bool,
    /// Looked for in the normalized text instead of the raw one.
    pub normalized: bool,
    /// Takes the white space before it, or after it, along.
    pub strip_left: bool,
    pub strip_right: bool,
    /// Only between characters that are no part of a word.
    pub single_word: bool,
}

/// A set of added tokens to look for: the leftmost one wins, of those the longest.
#[derive(Debug, Default)]
pub(super) struct Finder {
    tokens: Vec<Added>,
    /// For each first byte, the tokens that begin with it, longest first.
    by_first: Vec<Vec<u32>>,
}

/// A part of a text: plain, or an added token.
#[derive(Debug, PartialEq)]
pub(super) enum Segment<'t> {
    Plain(&'t str),
    Token(u32),
}

impl Finder {
    /// Makes a finder for `tokens`; empty ones are left out.
    pub fn new(tokens: impl IntoIterator<Item = Added>) -> Self {
        let tokens: Vec<Added> = tokens.into_iter().filter(|t| !t.text.is_empty()).collect();
        let mut by_first = vec![Vec::new(); 256];
        for (i, token) in tokens.iter().enumerate() {
            by_first[token.text.as_bytes()[0] as usize].push(i as u32);
        }
        for bucket in &mut by_first {
            bucket.sort_by_key(|&i| std::cmp::Reverse(tokens[i as usize].text.len()));
        }
        Finder { tokens, by_first }
    }

    /// Returns the parts of `text` in order. Special tokens are only found if `special`.
    pub fn split<'t>(&self, text: &'t str, special: bool) -> Vec<Segment<'t>> {
        let mut parts = Vec::new();
        let (mut done, mut at) = (0, 0);
        while at < text.len() && !self.tokens.is_empty() {
            let bucket = &self.by_first[text.as_bytes()[at] as usize];
            let found = bucket.iter().map(|&i| &self.tokens[i as usize]).find(|token| {
                (special || !token.special)
                    && text.as_bytes()[at..].starts_with(token.text.as_bytes())
                    && (!token.single_word || alone(text, at, at + token.text.len()))
            });
            let Some(token) = found else {
                at += 1;
                continue;
            };
            let end = at + token.text.len();
            let start = if token.strip_left && done < at { done + text[done..at].trim_end().len() } else { at };
            if done < start {
                parts.push(Segment::Plain(&text[done..start]));
            }
            parts.push(Segment::Token(token.id));
            // White space that a token takes along may still begin another token, which is then found as well.
            let stripped = if token.strip_right { text.len() - text[end..].trim_start().len() } else { end };
            done = done.max(stripped);
            at = end;
        }
        if done < text.len() {
            parts.push(Segment::Plain(&text[done..]));
        }
        parts
    }
}

/// Returns whether no part of a word is at either side.
fn alone(text: &str, start: usize, end: usize) -> bool {
    !text[..start].chars().next_back().is_some_and(is_word) && !text[end..].chars().next().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftmost_longest_with_flags() {
        let token = |id, text: &str, special| Added { id, text: text.into(), special, ..Added::default() };
        let finder = Finder::new([
            token(1, "<a>", true),
            token(2, "<a><b>", true),
            token(3, "\n\n", false),
            Added { strip_left: true, strip_right: true, ..token(4, "<mask>", true) },
            Added { single_word: true, ..token(5, "cat", false) },
            token(6, "", false),
            token(7, "é", false),
        ]);
        use Segment::{Plain, Token};
        assert_eq!(finder.split("x<a><b><a>", true), [Plain("x"), Token(2), Token(1)]);
        assert_eq!(finder.split("x<a>\n\n\n", false), [Plain("x<a>"), Token(3), Plain("\n")]);
        assert_eq!(finder.split("a  <mask> b", true), [Plain("a"), Token(4), Plain("b")]);
        assert_eq!(finder.split("cat cats scat,cat", true), [Token(5), Plain(" cats scat,"), Token(5)]);
        assert_eq!(finder.split("éè", true), [Token(7), Plain("è")]);
        assert_eq!(finder.split("<mask> \n\n  <mask>", true), [Token(4), Token(3), Token(4)]);
        assert_eq!(finder.split("", true), []);
    }
}
