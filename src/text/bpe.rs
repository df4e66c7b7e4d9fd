//! From a piece of text to token ids: byte-pair merges by rank, or SentencePiece merges by score.

use super::vocab::Vocab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// How pieces become tokens.
#[derive(Debug)]
pub(super) struct Bpe {
    pub merging: Merging,
    /// The token of each byte, for text that has no token of its own (SentencePiece's `<0x0A>`).
    pub byte_tokens: Option<Box<[Option<u32>; 256]>>,
    pub unknown: Option<u32>,
    /// One unknown token for a run of unknown characters.
    pub fuse_unknown: bool,
}

/// Which neighbours are joined.
#[derive(Debug)]
pub(super) enum Merging {
    /// Byte-pair encoding: each pair that may be joined, with its rank and what it becomes.
    Ranks {
        merges: HashMap<(u32, u32), (u32, u32)>,
        /// Start from bytes, not characters.
        bytes: bool,
        /// A piece that is a token as a whole is that token, whatever the merges say.
        whole_first: bool,
        /// The prefix of all but a piece's first symbol, and the suffix of its last (CLIP's `</w>`).
        prefix: Vec<u8>,
        suffix: Vec<u8>,
    },
    /// SentencePiece: whatever is in the vocabulary may be joined, the best score first.
    Scores(Vec<f32>),
}

/// A symbol while merging: a node of a list in text order.
#[derive(Clone, Copy)]
struct Symbol {
    /// Its token, or `None` for text that has none.
    id: Option<u32>,
    start: u32,
    /// 0 once it was joined to the one before it.
    len: u32,
    before: u32,
    after: u32,
}

/// No neighbour.
const NONE: u32 = u32::MAX;

/// A possible join, ordered by what should happen first: least key, then leftmost.
type Join = Reverse<(i64, u32, u32, u32)>; // key, left symbol, length together, the new token

impl Bpe {
    /// Appends the tokens of one piece, which need not be UTF-8 if the model starts from bytes.
    pub fn encode(&self, vocab: &Vocab, piece: &[u8], out: &mut Vec<u32>) {
        if piece.is_empty() {
            return;
        }
        if let Merging::Ranks { whole_first: true, suffix, .. } = &self.merging
            && let Some(id) = vocab.id(&[piece, suffix].concat())
        {
            return out.push(id);
        }
        let mut symbols = self.symbols(vocab, piece);
        self.merge(vocab, piece, &mut symbols);
        self.emit(piece, &symbols, out);
    }

    /// Returns the smallest symbols of a piece.
    fn symbols(&self, vocab: &Vocab, piece: &[u8]) -> Vec<Symbol> {
        let whole_bytes = matches!(self.merging, Merging::Ranks { bytes: true, .. });
        let mut symbols = Vec::with_capacity(piece.len());
        let mut start = 0;
        while start < piece.len() {
            let len = if whole_bytes { 1 } else { char_len(piece[start]).min(piece.len() - start) };
            let text = &piece[start..start + len];
            let id = match &self.merging {
                Merging::Ranks { prefix, suffix, .. } if !(prefix.is_empty() && suffix.is_empty()) => {
                    let prefix: &[u8] = if start > 0 { prefix } else { &[] };
                    let suffix: &[u8] = if start + len == piece.len() { suffix } else { &[] };
                    vocab.id(&[prefix, text, suffix].concat())
                }
                _ => vocab.id(text),
            };
            let at = symbols.len() as u32;
            let (start32, len32) = (start as u32, len as u32);
            symbols.push(Symbol { id, start: start32, len: len32, before: at.wrapping_sub(1), after: at + 1 });
            start += len;
        }
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
        symbols
    }

    /// Returns the join of two neighbours, if the vocabulary has it.
    fn join(&self, vocab: &Vocab, piece: &[u8], symbols: &[Symbol], left: u32) -> Option<Join> {
        let a = symbols.get(left as usize)?;
        let b = symbols.get(a.after as usize)?;
        let len = a.len + b.len;
        let (key, id) = match &self.merging {
            Merging::Ranks { merges, .. } => {
                let &(rank, id) = merges.get(&(a.id?, b.id?))?;
                (i64::from(rank), id)
            }
            Merging::Scores(scores) => {
                let id = vocab.id(&piece[a.start as usize..(a.start + len) as usize])?;
                (descending(scores.get(id as usize).copied().unwrap_or(0.0)), id)
            }
        };
        Some(Reverse((key, left, len, id)))
    }

    fn merge(&self, vocab: &Vocab, piece: &[u8], symbols: &mut [Symbol]) {
        let mut joins: BinaryHeap<Join> =
            (0..symbols.len() as u32).filter_map(|left| self.join(vocab, piece, symbols, left)).collect();
        while let Some(Reverse((_, left, len, id))) = joins.pop() {
            let a = symbols[left as usize];
            // A join is stale if either side has changed since: then the lengths or the token differ.
            if a.len == 0 || self.join(vocab, piece, symbols, left).is_none_or(|now| (now.0.2, now.0.3) != (len, id)) {
                continue;
            }
            let b = symbols[a.after as usize];
            symbols[a.after as usize].len = 0;
            symbols[left as usize] = Symbol { id: Some(id), len, after: b.after, ..a };
            if let Some(next) = symbols.get_mut(b.after as usize) {
                next.before = left;
            }
            joins.extend(self.join(vocab, piece, symbols, left));
            joins.extend(self.join(vocab, piece, symbols, a.before));
        }
    }

    /// Appends the tokens of the symbols that are left.
    fn emit(&self, piece: &[u8], symbols: &[Symbol], out: &mut Vec<u32>) {
        let mut unknown_before = false;
        for symbol in symbols.iter().filter(|s| s.len > 0) {
            let unknown = symbol.id.is_none();
            match symbol.id {
                Some(id) => out.push(id),
                None => {
                    let text = &piece[symbol.start as usize..(symbol.start + symbol.len) as usize];
                    let bytes = byte_fallback(self.byte_tokens.as_deref(), text, out);
                    if let Some(unknown) = self.unknown.filter(|_| !(bytes || self.fuse_unknown && unknown_before)) {
                        out.push(unknown);
                    }
                }
            }
            unknown_before = unknown;
        }
    }
}

/// Returns a key that sorts scores from the best down. Scores of published models are plain; NaN sorts last.
fn descending(score: f32) -> i64 {
    let bits = score.to_bits() as i32;
    let ascending = i64::from(if bits < 0 { bits ^ i32::MAX } else { bits });
    if score.is_nan() { i64::MAX } else { -ascending }
}

/// Appends the tokens of single bytes that `text` becomes; if there are none for all of it, appends nothing and returns
/// false.
pub(super) fn byte_fallback(tokens: Option<&[Option<u32>; 256]>, text: &[u8], out: &mut Vec<u32>) -> bool {
    let ids: Option<Vec<u32>> = tokens.and_then(|tokens| text.iter().map(|&b| tokens[b as usize]).collect());
    out.extend(ids.iter().flatten());
    ids.is_some()
}

/// Returns the length of a UTF-8 character by its first byte.
pub(super) fn char_len(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(tokens: &[&str], merging: Merging) -> (Vocab, Bpe) {
        let vocab = Vocab::new("t", tokens.iter().enumerate().map(|(i, t)| (i as u32, t.as_bytes(), true))).unwrap();
        (vocab, Bpe { merging, byte_tokens: None, unknown: Some(99), fuse_unknown: true })
    }

    fn encode((vocab, model): &(Vocab, Bpe), text: &str) -> Vec<u32> {
        let mut out = vec![];
        model.encode(vocab, text.as_bytes(), &mut out);
        out
    }

    #[test]
    fn ranks_decide_and_ties_go_left() {
        let merges = HashMap::from([((0, 1), (1, 3)), ((1, 2), (0, 4)), ((0, 0), (2, 5)), ((3, 2), (3, 6))]);
        let ranks = |bytes| {
            let (merges, prefix, suffix) = (merges.clone(), vec![], vec![]);
            Merging::Ranks { merges, bytes, whole_first: false, prefix, suffix }
        };
        let m = model(&["a", "b", "c", "ab", "bc", "aa", "abc"], ranks(true));
        assert_eq!(encode(&m, "abc"), [0, 4]); // b+c first, and no merge of a with bc
        assert_eq!(encode(&m, "aaa"), [5, 0]);
        assert_eq!(encode(&m, "aaaab"), [5, 0, 3]); // a+b (rank 1) before a+a (rank 2)
        assert_eq!(encode(&m, "xyazx"), [99, 0, 99]);
        let m = model(&["a", "b", "c", "ab", "bc", "aa", "abc"], ranks(false));
        assert_eq!(encode(&m, "é"), [99]);
    }

    #[test]
    fn scores_decide() {
        let scores = vec![0.0, 0.0, 0.0, -2.0, -1.0, -3.0];
        let m = model(&["a", "b", "c", "ab", "bc", "abc"], Merging::Scores(scores));
        assert_eq!(encode(&m, "abc"), [5]);
        assert_eq!(encode(&m, "abab"), [3, 3]);
        assert!(descending(1.0) < descending(0.5));
        assert!(descending(0.5) < descending(-0.5) && descending(-0.5) < descending(-2.0));
        assert!(descending(f32::NAN) > descending(f32::NEG_INFINITY));
    }
}
