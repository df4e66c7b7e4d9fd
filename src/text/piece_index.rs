//! The pieces of a vocabulary that a text begins with.

use super::vocab::Vocab;
use std::ops::Range;

/// No shorter piece.
const NONE: u32 = u32::MAX;

/// Pieces in the order of their bytes. Those that a text begins with are then the last one that is not after the text,
/// as far as the text agrees with it, and the pieces that it begins with itself: so one search finds all of them, and
/// a piece of any length costs no more than one comparison with the text.
#[derive(Debug, Default)]
pub(super) struct PieceIndex {
    sorted: Vec<u32>,
    /// For each, the longest other piece that it begins with, as a place in `sorted`.
    shorter: Vec<u32>,
}

impl PieceIndex {
    /// Makes an index of all pieces that text may become.
    pub fn new(vocab: &Vocab) -> Self {
        let mut sorted: Vec<u32> =
            (0..vocab.len() as u32).filter(|&id| vocab.id(vocab.bytes(id)) == Some(id)).collect();
        sorted.sort_unstable_by_key(|&id| vocab.bytes(id));
        let mut shorter = Vec::with_capacity(sorted.len());
        let mut open: Vec<u32> = Vec::new();
        for (at, &id) in sorted.iter().enumerate() {
            let begins = |&top: &u32| vocab.bytes(id).starts_with(vocab.bytes(sorted[top as usize]));
            while open.last().is_some_and(|top| !begins(top)) {
                open.pop();
            }
            shorter.push(open.last().copied().unwrap_or(NONE));
            open.push(at as u32);
        }
        PieceIndex { sorted, shorter }
    }

    /// Returns the places of all pieces.
    pub fn all(&self) -> Range<usize> {
        0..self.sorted.len()
    }

    /// Returns the places of the pieces that begin with `prefix`.
    pub fn with(&self, vocab: &Vocab, prefix: &[u8]) -> Range<usize> {
        let start = self.sorted.partition_point(|&id| vocab.bytes(id) < prefix);
        let count = self.sorted[start..].partition_point(|&id| vocab.bytes(id).starts_with(prefix));
        start..start + count
    }

    /// Lists the pieces among those of `places` that `text` begins with once their first `skip` bytes are left out, the
    /// longest first: each with its length without those, never 0, and its id. All pieces of `places` must begin with
    /// the same `skip` bytes.
    pub fn beginnings<'a>(
        &'a self,
        vocab: &'a Vocab,
        places: Range<usize>,
        skip: usize,
        text: &[u8],
    ) -> impl Iterator<Item = (usize, u32)> + use<'a> {
        let tail = |id: u32| &vocab.bytes(id)[skip..];
        let not_after = self.sorted[places.clone()].partition_point(|&id| tail(id) <= text);
        let last = (places.start + not_after).checked_sub(1).filter(|at| places.contains(at));
        let agreed = last.map_or(0, |at| agreement(tail(self.sorted[at]), text));
        let mut next = last;
        std::iter::from_fn(move || {
            loop {
                let at = next?;
                let id = self.sorted[at];
                let length = vocab.bytes(id).len().checked_sub(skip).filter(|&length| length > 0)?;
                next = Some(self.shorter[at] as usize).filter(|&at| at != NONE as usize);
                if length <= agreed {
                    return Some((length, id));
                }
            }
        })
    }
}

/// Counts the bytes at the beginning in which two texts agree.
fn agreement(a: &[u8], b: &[u8]) -> usize {
    // Whole blocks first: comparing them is much quicker than byte by byte.
    const BLOCK: usize = 64;
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    blocks + a[blocks..].iter().zip(&b[blocks..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_search_of_all_finds() {
        let words = ["a", "ab", "abc", "abd", "b", "##", "##a", "##ab", "##b", "#", "é", "", "ab"];
        let long = "ab".repeat(100);
        let tokens = words.iter().copied().chain([long.as_str()]).enumerate();
        let tokens: Vec<(u32, &[u8], bool)> = tokens.map(|(id, word)| (id as u32, word.as_bytes(), true)).collect();
        let vocab = Vocab::new("t", tokens.iter().copied()).unwrap();
        let index = PieceIndex::new(&vocab);
        let texts = ["", "a", "abcd", "abx", "ababab", "#a", "éa", "zz", "\u{10FFFF}", "abd", "##ab"];
        for text in texts.iter().map(|text| text.to_string()).chain([long.clone() + "b", long[1..].to_string()]) {
            for prefix in ["", "##"] {
                let want = |t: &&(u32, &[u8], bool)| {
                    let tail = t.1.strip_prefix(prefix.as_bytes()).filter(|tail| !tail.is_empty());
                    tail.is_some_and(|tail| text.as_bytes().starts_with(tail)) && vocab.id(t.1) == Some(t.0)
                };
                let mut want: Vec<(usize, u32)> =
                    tokens.iter().filter(want).map(|t| (t.1.len() - prefix.len(), t.0)).collect();
                want.sort_by_key(|w| std::cmp::Reverse(w.0));
                let places = index.with(&vocab, prefix.as_bytes());
                let found: Vec<_> = index.beginnings(&vocab, places, prefix.len(), text.as_bytes()).collect();
                assert_eq!(found, want, "{prefix}{text}");
            }
        }
        assert_eq!(index.with(&vocab, b""), index.all());
        assert_eq!(index.with(&vocab, b"zz").len(), 0);
    }
}
