//! A vocabulary with the algorithm that turns pieces of text into its tokens.

use super::bpe::Bpe;
use super::unigram::Unigram;
use super::vocab::Vocab;
use super::wordpiece::WordPiece;

/// A vocabulary and an algorithm.
#[derive(Debug)]
pub(super) struct TokenModel {
    pub vocab: Vocab,
    pub algorithm: Algorithm,
}

/// How pieces of text become tokens.
#[derive(Debug)]
pub(super) enum Algorithm {
    Bpe(Bpe),
    Unigram(Unigram),
    WordPiece(WordPiece),
    /// A piece is a token as a whole, or unknown.
    WordLevel {
        unknown: u32,
    },
}

impl TokenModel {
    /// Appends the tokens of one piece, which need not be UTF-8 if the model works on bytes.
    pub fn encode(&self, piece: &[u8], out: &mut Vec<u32>) {
        match &self.algorithm {
            Algorithm::Bpe(bpe) => bpe.encode(&self.vocab, piece, out),
            Algorithm::Unigram(unigram) => unigram.encode(&self.vocab, piece, out),
            Algorithm::WordPiece(wordpiece) => wordpiece.encode(&self.vocab, piece, out),
            Algorithm::WordLevel { unknown } => out.push(self.vocab.id(piece).unwrap_or(*unknown)),
        }
    }
}
