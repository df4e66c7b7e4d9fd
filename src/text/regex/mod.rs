//! The regular expressions of tokenizers: a small backtracking matcher.
//!
//! A general regex engine with Unicode tables costs 274 kB of gzipped wasm, more than the rest of the tokenizer. The
//! patterns that tokenizers use need little of it: alternatives, classes with Unicode categories, repeats, look-around.
//! A pattern that is not understood is an error when the tokenizer is loaded, never a wrong split. Semantics are those
//! of Oniguruma, which the published patterns are written for. Work is bounded: see [`Pattern::split`].

mod class;
mod compile;
mod parse;

pub(super) use class::{is_control, is_nonspacing, is_word};

use class::Class;
use compile::Op;
use parse::{Anchor, Greed};

/// An alternative that is tried if the way taken fails.
enum Retry {
    /// Go on at this instruction from this position.
    Fork(usize, usize),
    /// A greedy repeat gives back one character: it now ends at `now`, and may shrink to `least`.
    Shrink { next: usize, now: usize, least: usize },
    /// A lazy repeat at instruction `at` takes one more character at `now`, of `left` allowed.
    Grow { at: usize, now: usize, left: u32 },
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    ops: Vec<Op>,
}

impl Pattern {
    /// Compiles `source`; the error is a sentence fragment that says what is not supported.
    pub fn new(source: &str) -> Result<Self, String> {
        Ok(Pattern { ops: compile::compile(source)? })
    }

    /// Returns the pieces of `text` in order, each with whether the pattern matched it. Empty pieces are left out.
    ///
    /// Bounded work: after about 500 steps per byte on average, far more than any tokenizer's pattern needs on any
    /// sensible text, the rest counts as unmatched, so that a hostile pattern or text cannot hang the caller.
    pub fn split<'t>(&self, text: &'t str) -> Vec<(&'t str, bool)> {
        let mut machine = Machine { ops: &self.ops, text, steps: 10_000 + 500 * text.len(), retries: Vec::new() };
        let mut pieces = Vec::new();
        let (mut done, mut at) = (0, 0);
        while at <= text.len() {
            let end = machine.run(0, at);
            if machine.steps == 0 {
                break;
            }
            if let Some(end) = end {
                if done < at {
                    pieces.push((&text[done..at], false));
                }
                if at < end {
                    pieces.push((&text[at..end], true));
                }
                done = end;
                if end > at {
                    at = end;
                    continue;
                }
            }
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if done < text.len() {
            pieces.push((&text[done..], false));
        }
        pieces
    }
}

struct Machine<'p> {
    ops: &'p [Op],
    text: &'p str,
    steps: usize,
    retries: Vec<Retry>,
}

impl Machine<'_> {
    /// Returns the character at a byte position, with the position after it.
    fn next(&self, at: usize) -> Option<(char, usize)> {
        // Most text is ASCII, where decoding is not needed.
        let byte = *self.text.as_bytes().get(at)?;
        if byte < 0x80 {
            return Some((byte as char, at + 1));
        }
        let c = self.text[at..].chars().next()?;
        Some((c, at + c.len_utf8()))
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    /// Returns where a match of the instructions from `start`, beginning at `from`, ends.
    fn run(&mut self, start: usize, from: usize) -> Option<usize> {
        let base = self.retries.len();
        let (mut pc, mut at) = (start, from);
        loop {
            if self.steps == 0 {
                self.retries.truncate(base);
                return None;
            }
            self.steps -= 1;
            let ops = self.ops;
            let ok = match &ops[pc] {
                Op::Match => {
                    self.retries.truncate(base);
                    return Some(at);
                }
                Op::Set(class) => match self.next(at) {
                    Some((c, after)) if class.has(c) => {
                        (pc, at) = (pc + 1, after);
                        true
                    }
                    _ => false,
                },
                Op::Repeat { class, min, max, greed } => match self.repeat(pc, at, class, *min, *max, *greed) {
                    Some(after) => {
                        (pc, at) = (pc + 1, after);
                        true
                    }
                    None => false,
                },
                Op::Fork { first, second } => {
                    self.retries.push(Retry::Fork(*second, at));
                    pc = *first;
                    true
                }
                Op::Jump(to) => {
                    pc = *to;
                    true
                }
                Op::At(place) => {
                    pc += 1;
                    self.holds(*place, at)
                }
                Op::Ahead { negate, end } => {
                    let found = self.run(pc + 1, at).is_some();
                    pc = *end;
                    found != *negate
                }
                Op::Behind { negate, class } => {
                    pc += 1;
                    self.before(at).is_some_and(|c| class.has(c)) != *negate
                }
                Op::Atomic { end } => match self.run(pc + 1, at) {
                    Some(after) => {
                        (pc, at) = (*end, after);
                        true
                    }
                    None => false,
                },
            };
            if !ok {
                (pc, at) = self.back(base)?;
            }
        }
    }

    /// Takes a repeat's characters; `None` if there are fewer than `min`.
    fn repeat(&mut self, pc: usize, at: usize, class: &Class, min: u32, max: u32, greed: Greed) -> Option<usize> {
        let (mut now, mut least, mut taken) = (at, at, 0);
        let stop = if greed == Greed::Lazy { min } else { max };
        while taken < stop {
            match self.next(now) {
                Some((c, after)) if class.has(c) => now = after,
                _ => break,
            }
            taken += 1;
            if taken == min {
                least = now;
            }
        }
        if taken < min {
            return None;
        }
        match greed {
            Greed::Greedy if now > least => self.retries.push(Retry::Shrink { next: pc + 1, now, least }),
            Greed::Lazy if max > min => self.retries.push(Retry::Grow { at: pc, now, left: max - min }),
            _ => {}
        }
        Some(now)
    }

    /// Goes back to the latest choice and returns the instruction and position to go on from.
    fn back(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.retries.len() > base {
            match self.retries.pop()? {
                Retry::Fork(pc, at) => return Some((pc, at)),
                Retry::Shrink { next, now, least } => {
                    let now = now - self.before(now).map_or(0, char::len_utf8);
                    if now > least {
                        self.retries.push(Retry::Shrink { next, now, least });
                    }
                    return Some((next, now));
                }
                Retry::Grow { at, now, left } => {
                    let Op::Repeat { class, .. } = &self.ops[at] else { continue };
                    if let Some((c, after)) = self.next(now)
                        && class.has(c)
                    {
                        if left > 1 {
                            self.retries.push(Retry::Grow { at, now: after, left: left - 1 });
                        }
                        return Some((at + 1, after));
                    }
                }
            }
        }
        None
    }

    fn holds(&self, place: Anchor, at: usize) -> bool {
        let (before, after) = (self.before(at), self.next(at).map(|(c, _)| c));
        let word = |c: Option<char>| c.is_some_and(is_word);
        match place {
            Anchor::LineStart => before.is_none_or(|c| c == '\n'),
            Anchor::LineEnd => after.is_none_or(|c| c == '\n'),
            Anchor::TextStart => at == 0,
            Anchor::TextEnd => at == self.text.len(),
            Anchor::WordEdge => word(before) != word(after),
            Anchor::NotWordEdge => word(before) == word(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn matches<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
        let pattern = Pattern::new(pattern).unwrap();
        let pieces = pattern.split(text);
        assert_eq!(pieces.iter().map(|p| p.0).collect::<String>(), text);
        pieces.into_iter().filter(|p| p.1).map(|p| p.0).collect()
    }

    #[test]
    fn alternatives_repeats_and_look_around() {
        assert_eq!(matches("a|ab", "abab"), ["a", "a"]);
        assert_eq!(matches("(?:ab|a)b", "abab abb"), ["ab", "ab", "abb"]);
        assert_eq!(matches(r"\p{N}{1,3}", "1234567"), ["123", "456", "7"]);
        assert_eq!(matches(r"\s+(?!\S)|\s+", "a   b "), ["  ", " ", " "]);
        assert_eq!(matches(r"x+?", "xxx"), ["x", "x", "x"]);
        assert_eq!(matches(r"x+?y", "xxxy"), ["xxxy"]);
        assert_eq!(matches(r"x*+x|y", "xxxy"), ["y"]);
        assert_eq!(matches(r"(?>a|ab)c", "abc ac"), ["ac"]);
        assert_eq!(matches(r"(?<=a)b|(?<!a)c", "ab cac"), ["b", "c"]);
        assert_eq!(matches(r"(?:ab){2}", "ababab"), ["abab"]);
        assert_eq!(matches(r"(?:ab){2,}", "abababx"), ["ababab"]);
        assert_eq!(matches(r"\d{1,3}(?=(?:\d{3})*\b)", "1234567 12"), ["1", "234", "567", "12"]);
        assert_eq!(matches(r"(?=(\d{3})+(?!\d))", "1234"), [""; 0]);
        assert_eq!(
            Pattern::new(r"(?=(\d{3})+(?!\d))").unwrap().split("1234567"),
            [("1", false), ("234", false), ("567", false)]
        );
    }

    #[test]
    fn classes() {
        assert_eq!(matches(r"[^\r\n\p{L}\p{N}]?\p{L}+", "héllo ...wörld"), ["héllo", ".wörld"]);
        assert_eq!(matches(r"[a-c\-\]x]+", "abc-]xyz"), ["abc-]x"]);
        assert_eq!(matches(r"[]a]+", "a]b"), ["a]"]);
        assert_eq!(matches(r"[\p{L}&&[^\p{Han}]]+", "ab中文cd"), ["ab", "cd"]);
        assert_eq!(matches(r"[^\s\p{^L}]+", "ab 12"), ["ab"]);
        assert_eq!(matches("(?i:'S|é)", "'s'S'ſÉ"), ["'s", "'S", "'ſ", "É"]);
        assert_eq!(matches(r"(?i)ab(?-i)c", "ABc abC"), ["ABc"]);
        assert_eq!(matches(r"\u4e00|\x{41}|\x42", "一AB"), ["一", "A", "B"]);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for bad in [
            "(",
            ")",
            "[a",
            "a{2",
            "*a",
            r"\p{Klingon}",
            r"\k<x>",
            "(?<n>a)\\k<n>",
            "(?:a*)*",
            "[[:alpha:]]",
            "a{9999}",
        ] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
        let deep = "(".repeat(10_000);
        assert!(Pattern::new(&deep).is_err());
        assert!(Pattern::new(&"(?:(?:(?:a{50}){50}){50}){50}".replace("a{50}", "(?:ab){50}")).is_err());
    }

    #[test]
    fn hostile_patterns_end() {
        let text = "a".repeat(20_000);
        let pieces = Pattern::new("(?:a|a|aa)+b").unwrap().split(&text);
        assert_eq!(pieces.iter().map(|p| p.0.len()).sum::<usize>(), text.len());
    }
}
