//! Bytes to metadata and named tensors: GGUF, safetensors, JSON.
//!
//! Nothing here reads a file or sees a GPU. Every parser takes the *start* of a file and its length and answers
//! [`Parsed::NeedMore`] until it has seen enough, so a header can be read over the network piece by piece. Counts and
//! lengths found in a file are compared with what the file can hold before anything is allocated for them.

pub mod gguf;
pub(crate) mod json;
pub mod metadata;
pub mod safetensors;
pub(crate) mod variants;

use crate::{Error, Result, dtype::DType};

/// A tensor as a file's header describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name, as the file spells it.
    pub name: String,
    /// Dimensions, outermost first (torch order, whatever the file's own order).
    pub shape: Vec<usize>,
    /// How the elements are encoded.
    pub dtype: DType,
    /// Where the first byte is, counted from the start of the file.
    pub offset: u64,
    /// How many bytes it occupies.
    pub bytes: u64,
}

/// The result of parsing the start of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed<T> {
    /// The whole header was there.
    Done(T),
    /// Parse again with this many bytes from the start of the file, or more. Always more than were given and never
    /// more than the file has; rounded up so that a long header takes few rounds.
    NeedMore(u64),
}

/// No header is longer than this: one that claims to be is damaged. (The longest known, with a vocabulary of 262,144
/// pieces and its merges, takes about 20 MB.)
const MAX_HEADER: u64 = 100_000_000;

/// Returns how many bytes to ask for when `need` bytes are needed, `have` are there and the file has `file_len`.
fn ask(need: u64, have: usize, file_len: u64) -> u64 {
    need.max(2 * have as u64).max(64 << 10).min(file_len)
}

/// Returns the error for bytes that are evidently not a model but an answer that servers send in its place.
fn impostor(head: &[u8], file: &str) -> Option<Error> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if text.starts_with(b"<") {
        return Some(Error::format(file, "a web page came instead of a model file: check the address"));
    }
    if text.starts_with(b"version https://git-lfs") {
        let what = "this is a Git LFS pointer, not the file itself: download the file that it points to";
        return Some(Error::format(file, what));
    }
    None
}

/// Refuses a name that comes twice.
fn check_names<'a>(names: impl Iterator<Item = &'a str>, file: &str) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::format(file, format!("two tensors are named `{name}`: the file is damaged")));
        }
    }
    Ok(())
}

/// Sorts by position and refuses tensors that share bytes.
fn sort_apart(tensors: &mut [TensorInfo], file: &str) -> Result<()> {
    // The length decides between equal offsets: an empty tensor may lie where another begins.
    tensors.sort_by_key(|t| (t.offset, t.bytes));
    for pair in tensors.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            let what = format!("tensors `{}` and `{}` overlap: the file is damaged", pair[0].name, pair[1].name);
            return Err(Error::format(file, what));
        }
    }
    Ok(())
}
