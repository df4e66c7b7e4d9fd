//! Numbers that can be, and the error for those that cannot.

use crate::{Error, Result};

/// No model comes near these; numbers beyond them are damage. They keep every product within 64 bits, and sizes of
/// lists made from a configuration small.
const LIMITS: [(&str, usize); 9] = [
    ("the hidden size", 1 << 18),
    ("the number of layers", 1 << 12),
    ("the number of heads", 1 << 13),
    ("the number of key-value heads", 1 << 13),
    ("the head size", 1 << 13),
    ("the feed-forward size", 1 << 21),
    ("the vocabulary size", 1 << 24),
    ("the context length", 1 << 30),
    ("the width of the convolution", 1 << 8),
];

/// Passes on `n` if it is from one to the limit called `what`.
pub(in crate::config) fn within(what: &'static str, n: usize, file: &str) -> Result<usize> {
    let limit = LIMITS.iter().find(|l| l.0 == what).map_or(usize::MAX, |l| l.1);
    if (1..=limit).contains(&n) { Ok(n) } else { Err(wrong(file, &format!("{what} is {n}"))) }
}

/// Returns the error for a configuration in which `what` cannot be.
pub(in crate::config) fn wrong(file: &str, what: &str) -> Error {
    Error::format(file, format!("{what}, which cannot be: the configuration is damaged, download it again"))
}

/// Passes on a number that a model can be multiplied by.
pub(super) fn usable(what: &str, x: f32, file: &str) -> Result<()> {
    if x.is_finite() && x != 0.0 { Ok(()) } else { Err(wrong(file, &format!("{what} is {x}"))) }
}
