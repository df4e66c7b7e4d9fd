//! Opening a language model's files: what they are, which tensors they hold, how the model is configured.

use super::source::ByteSource;
use crate::format::{Parsed, TensorInfo};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// A tensor and the file that holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Index into [`Tensors::files`].
    pub file: usize,
    /// Where in the file, and how encoded.
    pub info: TensorInfo,
    /// How its rows lie in the file; `info.shape` is the shape it is wanted in.
    pub order: RowOrder,
}

/// How the rows of a stored tensor lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowOrder {
    /// As they are wanted.
    #[default]
    AsStored,
    /// As columns.
    Transposed,
    /// Head by head, for so many heads, each head's query, key and value rows one after the other; wanted are those of
    /// all queries, then of all keys, then of all values.
    QkvByHead(usize),
}

impl RowOrder {
    /// Finds the wanted rows `rows` of a tensor of `all` rows: runs of (how many wanted rows come before, first row in
    /// the file, how many).
    pub fn runs(self, all: usize, rows: Range<usize>) -> Vec<(usize, usize, usize)> {
        let RowOrder::QkvByHead(heads) = self else { return vec![(0, rows.start, rows.len())] };
        let size = (all / (3 * heads.max(1))).max(1);
        let mut runs = Vec::new();
        let mut row = rows.start;
        while row < rows.end {
            let (part, head, within) = (row / (heads * size), row / size % heads, row % size);
            let count = (size - within).min(rows.end - row);
            runs.push((row - rows.start, (head * 3 + part) * size + within, count));
            row += count;
        }
        runs
    }
}

/// Tensors by name, and the files that hold them.
#[derive(Default)]
pub struct Tensors {
    /// The files.
    pub files: Vec<String>,
    /// Tensors by their canonical name.
    pub by_name: BTreeMap<String, Stored>,
}

impl Tensors {
    /// Returns the bytes of all tensors in the files.
    pub fn bytes(&self) -> u64 {
        self.by_name.values().map(|t| t.info.bytes).sum()
    }

    /// Counts the weights.
    pub fn parameters(&self) -> u64 {
        self.by_name.values().map(|t| elements(&t.info)).sum()
    }
}

/// Returns whether a file's name is that of a GGUF file.
pub fn is_gguf(name: &str) -> bool {
    name.to_lowercase().ends_with(".gguf")
}

fn elements(info: &TensorInfo) -> u64 {
    info.shape.iter().map(|&d| d as u64).product()
}

const SMALL_FILE: u64 = 64 << 20;

/// Reads a file that is small and may be missing.
pub async fn small(source: &dyn ByteSource, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(len) = source.size(name).await? else { return Ok(None) };
    if len > SMALL_FILE {
        return Err(Error::format(
            name,
            format!("{len} bytes is too long for this file; check that it is the right one"),
        ));
    }
    source.read(name, 0, len as usize).await.map(Some)
}

/// Reads a file's header, asking for more until it is whole.
pub async fn header<T>(
    source: &dyn ByteSource,
    name: &str,
    parse: impl Fn(&[u8], u64, &str) -> Result<Parsed<T>>,
) -> Result<T> {
    let len = source.size(name).await?.ok_or_else(|| missing_file(name))?;
    let mut head: Vec<u8> = Vec::new();
    loop {
        match parse(&head, len, name)? {
            Parsed::Done(t) => return Ok(t),
            Parsed::NeedMore(more) => {
                let have = head.len();
                let more = usize::try_from(more).unwrap_or(usize::MAX);
                head.extend(source.read(name, have as u64, more.saturating_sub(have)).await?);
            }
        }
    }
}

fn missing_file(name: &str) -> Error {
    Error::Fetch { url: name.into(), what: "there is no such file; check the address or the folder".into() }
}
