//! The parts of a tokenizer, as the files of either format describe them.

use super::added::Added;
use super::encoding::{Framing, Padding, Truncation};
use super::model::TokenModel;
use super::normalize::Normalizer;
use super::pretokenize::Splitters;
use super::spelling::Spelling;

/// The parts of a tokenizer, read from a file.
#[derive(Debug, Default)]
pub(super) struct TokenizerParts {
    pub added: Vec<Added>,
    pub normalizers: Vec<Normalizer>,
    pub splitters: Splitters,
    pub model: Option<TokenModel>,
    pub spelling: Spelling,
    /// The special tokens around one text and around two.
    pub framing: Framing,
    /// How the file would have texts cut and padded.
    pub truncation: Option<Truncation>,
    pub padding: Option<Padding>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub stops: Vec<u32>,
}

/// Texts of tokens that end a turn or a text, whatever else a file says.
const ENDS: [&str; 14] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|return|>",
    "<|call|>",
    "<|END_OF_TURN_TOKEN|>",
    "<end_of_turn>",
    "<turn|>",
    "<EOT>",
    "</s>",
    "<｜end▁of▁sentence｜>",
];

/// Returns whether a token with this text ends a turn.
pub(super) fn ends_a_turn(text: &str) -> bool {
    ENDS.contains(&text)
}
