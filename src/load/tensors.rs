//! Opening a language model's files: what they are, which tensors they hold, how the model is configured.

use super::quantize::Quantize;
use super::source::ByteSource;
use crate::dtype::DType;
use crate::format::{Parsed, TensorInfo};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// A tensor and the file that holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Index into [`Tensors::files`].
    pub file: usize,
    /// Where in the file, and how encoded.
    pub info: TensorInfo,
    /// The file holds its rows as columns; `info.shape` is the shape it is wanted in.
    pub transposed: bool,
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
    /// Bytes of all tensors in the files.
    pub fn bytes(&self) -> u64 {
        self.by_name.values().map(|t| t.info.bytes).sum()
    }

    /// Number of weights.
    pub fn parameters(&self) -> u64 {
        self.by_name.values().map(|t| elements(&t.info)).sum()
    }

    /// The encoding that holds the most weights once floats have been quantized.
    pub fn quantization(&self, quantize: Quantize) -> DType {
        let mut by_dtype: BTreeMap<_, u64> = BTreeMap::new();
        for (name, t) in &self.by_name {
            let dtype = match t.info.shape.as_slice() {
                [_, cols] => quantize.target(name, t.info.dtype, *cols),
                _ => t.info.dtype,
            };
            *by_dtype.entry(dtype).or_default() += elements(&t.info);
        }
        by_dtype.into_iter().max_by_key(|(_, bytes)| *bytes).map_or(DType::F32, |(dtype, _)| dtype)
    }
}

/// Whether a file's name is that of a GGUF file.
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
