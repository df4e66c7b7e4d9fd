//! Unigram models: of all ways to cut a text into pieces, the most probable one.

use super::bpe::{byte_fallback, char_len};
use super::piece_index::PieceIndex;
use super::vocab::Vocab;

/// The distance of an unknown character's score from the least score of all pieces. (SentencePiece's `kUnkPenalty`.)
const UNKNOWN_PENALTY: f64 = 10.0;

/// A vocabulary's scores, and how to find its pieces in text.
#[derive(Debug)]
pub(super) struct Unigram {
    /// The logarithm of each token's probability, by id.
    scores: Vec<f64>,
    index: PieceIndex,
    unknown: u32,
    unknown_score: f64,
    /// The token of each byte, for text that no piece has.
    byte_tokens: Option<Box<[Option<u32>; 256]>>,
    /// A character is a byte: the text need not be UTF-8.
    on_bytes: bool,
}

/// The best way to a position: its score, and the start and token of its last piece.
#[derive(Clone, Copy)]
struct Way {
    score: f64,
    start: u32,
    id: u32,
}

impl Unigram {
    /// Makes a model of the scores of `vocab`'s tokens.
    pub fn new(
        vocab: &Vocab,
        scores: Vec<f64>,
        unknown: u32,
        byte_tokens: Option<Box<[Option<u32>; 256]>>,
        on_bytes: bool,
    ) -> Self {
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let unknown_score = least - UNKNOWN_PENALTY;
        Unigram { scores, index: PieceIndex::new(vocab), unknown, unknown_score, byte_tokens, on_bytes }
    }

    /// Appends the tokens of one piece of text.
    pub fn encode(&self, vocab: &Vocab, text: &[u8], out: &mut Vec<u32>) {
        let mut ways: Vec<Option<Way>> = vec![None; text.len() + 1];
        let mut start = 0;
        while start < text.len() {
            let so_far = ways[start].map_or(0.0, |way| way.score);
            let mut offer = |length: usize, score: f64, id: u32| {
                let way = &mut ways[start + length];
                if way.is_none_or(|best| so_far + score > best.score) {
                    *way = Some(Way { score: so_far + score, start: start as u32, id });
                }
            };
            let one = if self.on_bytes { 1 } else { char_len(text[start]).min(text.len() - start) };
            let mut known = false;
            for (length, id) in self.index.beginnings(vocab, self.index.all(), 0, &text[start..]) {
                offer(length, self.scores.get(id as usize).copied().unwrap_or(0.0), id);
                known |= length == one;
            }
            if !known {
                offer(one, self.unknown_score, self.unknown);
            }
            start += one;
        }
        self.emit(vocab, text, &ways, out);
    }

    /// Appends the tokens of the best way through the whole text.
    fn emit(&self, vocab: &Vocab, text: &[u8], ways: &[Option<Way>], out: &mut Vec<u32>) {
        let mut pieces: Vec<(usize, usize, u32)> = Vec::new();
        let mut end = text.len();
        while let Some(way) = ways[end].filter(|_| end > 0) {
            let start = way.start as usize;
            match pieces.last_mut() {
                // Unknown characters beside each other are one.
                Some(after) if way.id == self.unknown && after.2 == self.unknown => after.0 = start,
                _ => pieces.push((start, end, way.id)),
            }
            end = start;
        }
        for (start, end, id) in pieces.into_iter().rev() {
            let piece = &text[start..end];
            if id != self.unknown {
                out.push(id);
            } else if let Some(id) = vocab.id(piece) {
                out.push(id);
            } else if !byte_fallback(self.byte_tokens.as_deref(), piece, out) {
                out.push(self.unknown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_cut() {
        let words = ["<unk>", "a", "b", "c", "d", "cd", "ab", "abc", "abcd", "<0xC3>", "<0xA9>"];
        let scores = vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 5.0, 10.0, 0.0, 0.0];
        let tokens = words.iter().enumerate().map(|(id, word)| (id as u32, word.as_bytes(), true));
        let vocab = Vocab::new("t", tokens).unwrap();
        let encode = |model: &Unigram, text: &str| {
            let mut out = vec![];
            model.encode(&vocab, text.as_bytes(), &mut out);
            out
        };
        let plain = Unigram::new(&vocab, scores.clone(), 0, None, false);
        assert_eq!(encode(&plain, "abcdacdxx"), [8, 1, 5, 0]);
        assert_eq!(encode(&plain, "éa<unk>é"), [0, 1, 0]);
        assert_eq!(encode(&plain, ""), [0; 0]);
        let mut bytes = Box::new([None; 256]);
        (bytes[0xC3], bytes[0xA9]) = (Some(9), Some(10));
        let fallback = Unigram::new(&vocab, scores, 0, Some(bytes), false);
        assert_eq!(encode(&fallback, "éaèb<unk>"), [9, 10, 1, 0, 2, 0]);
        // Not UTF-8, as pieces of a byte-level text are.
        let mut out = vec![];
        Unigram { on_bytes: true, ..fallback }.encode(&vocab, b"a\xC3\xFF", &mut out);
        assert_eq!(out, [1, 0]);
    }
}
