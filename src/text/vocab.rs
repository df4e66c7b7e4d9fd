//! The pieces of a vocabulary, compactly, and the way from bytes to ids.

use crate::{Error, Result};
use std::ops::Range;

/// No vocabulary has more ids; larger ones in a file mean damage.
const MOST_IDS: usize = 1 << 22;

/// Every token's bytes in one buffer, and a hash table from bytes to ids.
#[derive(Debug, Default)]
pub(super) struct Vocab {
    bytes: Vec<u8>,
    /// Where each id's bytes lie.
    spans: Vec<Range<u32>>,
    /// Open addressing: id + 1, 0 where free. The length is a power of two and at least twice the number of entries.
    table: Vec<u32>,
}

/// Computes FNV-1a with a final mix: vocabularies are not adversaries, and this needs no state.
fn hash(bytes: &[u8]) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    (hash ^ hash >> 29) as usize
}

impl Vocab {
    /// Makes a vocabulary of tokens as (id, bytes, whether text may become this token). Of equal bytes the first one
    /// wins.
    pub fn new<'a>(file: &str, tokens: impl Iterator<Item = (u32, &'a [u8], bool)> + Clone) -> Result<Self> {
        let count = tokens.clone().map(|(id, ..)| id as usize + 1).max().unwrap_or(0);
        if count > MOST_IDS {
            let what = format!("a token has the id {}, larger than any vocabulary: the file is damaged", count - 1);
            return Err(Error::format(file, what));
        }
        let found = tokens.clone().filter(|t| t.2).count();
        let mut vocab = Vocab {
            bytes: Vec::new(),
            spans: vec![0..0; count],
            table: vec![0; (found * 2).next_power_of_two().max(2)],
        };
        for (id, bytes, found) in tokens {
            let start = vocab.bytes.len() as u32;
            vocab.bytes.extend_from_slice(bytes);
            vocab.spans[id as usize] = start..vocab.bytes.len() as u32;
            if found && let Err(free) = vocab.slot(bytes) {
                vocab.table[free] = id + 1;
            }
        }
        Ok(vocab)
    }

    /// Returns one more than the largest id.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns the bytes of a token; empty for ids that do not exist.
    pub fn bytes(&self, id: u32) -> &[u8] {
        match self.spans.get(id as usize) {
            Some(span) => &self.bytes[span.start as usize..span.end as usize],
            None => &[],
        }
    }

    /// Returns the token that is exactly these bytes.
    pub fn id(&self, bytes: &[u8]) -> Option<u32> {
        self.slot(bytes).ok()
    }

    /// Returns the id of these bytes, or the free place in the table where it would be.
    fn slot(&self, bytes: &[u8]) -> std::result::Result<u32, usize> {
        let mask = self.table.len().wrapping_sub(1);
        let mut at = hash(bytes) & mask;
        loop {
            match self.table.get(at) {
                None | Some(0) => return Err(at),
                Some(&entry) if self.bytes(entry - 1) == bytes => return Ok(entry - 1),
                Some(_) => at = (at + 1) & mask,
            }
        }
    }
}

/// Returns the byte that each character of GPT-2's printable alphabet stands for: printable Latin-1 characters stand
/// for themselves, the other bytes for the characters from U+0100 in order.
pub(super) fn byte_of(c: char) -> Option<u8> {
    let printable = |b: u8| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    match u32::from(c) {
        code @ 0..=0xFF => Some(code as u8).filter(|&b| printable(b)),
        code => (0..=255u8).filter(|&b| !printable(b)).nth(code.checked_sub(0x100)? as usize),
    }
}

/// Returns the character of every byte, the inverse of [`byte_of`].
pub(super) fn alphabet() -> [char; 256] {
    let mut chars = ['\0'; 256];
    for code in (0..0x180).filter_map(char::from_u32) {
        if let Some(byte) = byte_of(code) {
            chars[byte as usize] = code;
        }
    }
    chars
}

/// Text in that alphabet as the bytes it stands for; `None` if a character is not of the alphabet.
pub(super) struct Unmap([Option<u8>; 0x180]);

impl Unmap {
    /// Makes the table of [`byte_of`].
    pub fn new() -> Self {
        Unmap(std::array::from_fn(|code| char::from_u32(code as u32).and_then(byte_of)))
    }

    /// Returns the bytes that `text` stands for; `None` if a character is not of the alphabet.
    pub fn bytes(&self, text: &str) -> Option<Vec<u8>> {
        text.chars().map(|c| self.0.get(c as usize).copied().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_a_bijection() {
        let mut chars = alphabet().to_vec();
        assert_eq!((chars[b' ' as usize], chars[b'\n' as usize], chars[b'a' as usize]), ('Ġ', 'Ċ', 'a'));
        assert!((0..=255u8).all(|b| byte_of(chars[b as usize]) == Some(b)));
        chars.sort();
        chars.dedup();
        assert_eq!(chars.len(), 256);
        assert_eq!(Unmap::new().bytes("Ġé"), Some(vec![b' ', 0xE9]));
        assert_eq!(Unmap::new().bytes("a b"), None);
    }

    #[test]
    fn ids_and_bytes() {
        let tokens: [(u32, &[u8], bool); 4] = [(0, b"a", true), (3, b"bc", true), (1, b"x", false), (2, b"a", true)];
        let vocab = Vocab::new("t", tokens.into_iter()).unwrap();
        assert_eq!((vocab.len(), vocab.id(b"a"), vocab.id(b"bc"), vocab.id(b"x")), (4, Some(0), Some(3), None));
        assert_eq!((vocab.bytes(1), vocab.bytes(2), vocab.bytes(9)), (&b"x"[..], &b"a"[..], &b""[..]));
        assert!(Vocab::new("t", [(u32::MAX, &b""[..], true)].into_iter()).is_err());
        assert_eq!(Vocab::new("t", [].into_iter()).unwrap().id(b"a"), None);
    }
}
