//! WordPiece models: of each word the longest piece, then the longest of what follows, and so on.

use super::piece_index::PieceIndex;
use super::vocab::Vocab;
use std::ops::Range;

/// How words are cut.
#[derive(Debug)]
pub(super) struct WordPiece {
    index: PieceIndex,
    /// Where the pieces lie that continue a word: those that begin with the prefix.
    continuing: Range<usize>,
    prefix: usize,
    /// A longer word, in characters, is unknown.
    most_chars: usize,
    unknown: u32,
    /// A character is a byte: the text need not be UTF-8.
    on_bytes: bool,
}

impl WordPiece {
    /// Makes a model of the pieces in `vocab`; `prefix` begins those that continue a word.
    pub fn new(vocab: &Vocab, prefix: &str, most_chars: usize, unknown: u32, on_bytes: bool) -> Self {
        let index = PieceIndex::new(vocab);
        let continuing = index.with(vocab, prefix.as_bytes());
        WordPiece { index, continuing, prefix: prefix.len(), most_chars, unknown, on_bytes }
    }

    /// Appends the tokens of a word: the unknown token alone if some part of it has none.
    pub fn encode(&self, vocab: &Vocab, word: &[u8], out: &mut Vec<u32>) {
        let before = out.len();
        let chars = word.iter().filter(|&&b| self.on_bytes || b & 0xC0 != 0x80).count();
        let mut at = 0;
        while at < word.len() {
            let (places, skip) = if at == 0 { (self.index.all(), 0) } else { (self.continuing.clone(), self.prefix) };
            let longest = self.index.beginnings(vocab, places, skip, &word[at..]).next();
            let Some((length, id)) = longest.filter(|_| chars <= self.most_chars) else {
                out.truncate(before);
                return out.push(self.unknown);
            };
            out.push(id);
            at += length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_piece_first() {
        let words = ["[UNK]", "un", "una", "##able", "##ble", "##a", "é", "##é", "able", "##"];
        let tokens = words.iter().enumerate().map(|(id, word)| (id as u32, word.as_bytes(), true));
        let vocab = Vocab::new("t", tokens).unwrap();
        let model = WordPiece::new(&vocab, "##", 8, 0, false);
        let encode = |model: &WordPiece, text: &str| {
            let mut out = vec![];
            model.encode(&vocab, text.as_bytes(), &mut out);
            out
        };
        assert_eq!(encode(&model, "unable"), [2, 4]);
        assert_eq!(encode(&model, "unaé"), [2, 7]);
        assert_eq!(encode(&model, "unx"), [0]);
        assert_eq!(encode(&model, "##able"), [3]);
        assert_eq!(encode(&model, "éééééééé"), [6, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(encode(&model, "ééééééééé"), [0], "nine characters are too many");
        assert_eq!(encode(&WordPiece { on_bytes: true, ..model }, "ééééé"), [0], "and ten bytes");
    }
}
