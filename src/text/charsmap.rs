//! SentencePiece's precompiled normalization: a double-array trie of spellings and what each is replaced by.

use unicode_segmentation::UnicodeSegmentation;

/// The trie's units, and the replacements, each ended by a zero byte.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    texts: String,
}

/// Returns the bytes that base64 stands for; `None` if it is none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        Some(u32::from(match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    let text = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits = 0;
        for &b in group {
            bits = bits << 6 | digit(b)?;
        }
        bits <<= 6 * (4 - group.len());
        out.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

impl Charsmap {
    /// Reads the base64 text of a tokenizer file; `None` if it is damaged.
    pub fn from_base64(text: &str) -> Option<Self> {
        Charsmap::new(&base64(text)?)
    }

    /// Reads the trie's size in bytes, the trie and the replacements; `None` if they are damaged.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (trie, texts) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let units = trie.as_chunks::<4>().0.iter().map(|&unit| u32::from_le_bytes(unit)).collect();
        Some(Charsmap { units, texts: std::str::from_utf8(texts).ok()?.into() })
    }

    /// Returns what replaces the shortest beginning of `text` that is in the trie.
    fn find(&self, text: &str) -> Option<&str> {
        let step = |at: usize, unit: u32| at ^ ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
        let mut at = step(0, *self.units.first()?);
        for b in text.bytes() {
            at ^= usize::from(b);
            let &unit = self.units.get(at)?;
            if b == 0 || unit & (1 << 31 | 0xFF) != u32::from(b) {
                return None;
            }
            at = step(at, unit);
            if unit >> 8 & 1 == 1 {
                let start = (*self.units.get(at)? & !(1 << 31)) as usize;
                return self.texts.get(start..)?.split('\0').next();
            }
        }
        None
    }

    /// Returns the rewritten text. A short grapheme is looked for as a whole first, as the `tokenizers` crate does it.
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for grapheme in text.graphemes(true) {
            if let Some(whole) = Some(grapheme).filter(|g| g.len() < 6).and_then(|g| self.find(g)) {
                out.push_str(whole);
                continue;
            }
            for (at, c) in grapheme.char_indices() {
                let part = &grapheme[at..at + c.len_utf8()];
                out.push_str(self.find(part).unwrap_or(part));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_all_lengths() {
        let cases: [(&str, &[u8]); 5] =
            [("", b""), ("TQ==", b"M"), ("TWE=", b"Ma"), ("TWFu", b"Man"), ("+/+/TQ==", b"\xFB\xFF\xBFM")];
        for (text, bytes) in cases {
            assert_eq!(base64(text).as_deref(), Some(bytes));
        }
        assert_eq!(base64("T*=="), None);
        assert!(Charsmap::from_base64("TWFu").is_none() && Charsmap::new(&[9, 0, 0, 0, 1]).is_none());
        // A trie without units replaces nothing.
        assert_eq!(Charsmap::new(&[0; 4]).unwrap().apply("ab"), "ab");
    }
}
