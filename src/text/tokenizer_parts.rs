//! The parts of a tokenizer, as the files of either format describe them.

use super::added::Added;
use super::bpe::Bpe;
use super::pretokenize::{Normalizer, Splitters};

/// The parts of a tokenizer, read from a file.
#[derive(Debug, Default)]
pub(super) struct TokenizerParts {
    pub added: Vec<Added>,
    pub normalizers: Vec<Normalizer>,
    pub splitters: Splitters,
    pub model: Option<Bpe>,
    pub spelling: Spelling,
    /// Tokens put before and after the text.
    pub before: Vec<u32>,
    pub after: Vec<u32>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub stops: Vec<u32>,
}

/// How tokens are written as text.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    /// Replaced in every piece, in order.
    pub replace: Vec<(String, String)>,
    /// `<0x0A>` is the byte 0A.
    pub byte_tokens: bool,
    /// A space at the very start is not part of the text.
    pub strip_first: bool,
}

/// Texts of tokens that end a turn or a text, whatever else a file says.
const ENDS: [&str; 13] = [
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
    "<EOT>",
    "</s>",
    "<｜end▁of▁sentence｜>",
];

/// Returns whether a token with this text ends a turn.
pub(super) fn ends_a_turn(text: &str) -> bool {
    ENDS.contains(&text)
}

/// Returns the byte that a token such as `<0x0A>` stands for.
pub(super) fn byte_token(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}
