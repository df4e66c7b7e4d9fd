//! The safetensors header, and the index of a model cut into several such files.
//!
//! Parsed here rather than with the `safetensors` crate, for which offsets and shapes are `usize`: with the 32 bits of
//! wasm32 it refuses offsets over 4 GiB and, since it counts bits, tensors over 512 MiB. Its `read_metadata` wants the
//! header and all the data in one buffer. These errors name the file, the tensor and what to do, a name that comes
//! twice is refused instead of the last one winning, and files with gaps between tensors (which exist, and do no harm)
//! are read. The tests hold this to the crate.

use super::json::{self, Entries};
use super::{MAX_HEADER, Parsed, TensorInfo, check_names, impostor, sort_apart};
use crate::{Error, Result, dtype::DType};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;

/// The header of a safetensors file.
#[derive(Debug, Clone, PartialEq)]
pub struct SafeTensors {
    /// The tensors in the order of their bytes. One with a zero among its dimensions has no bytes.
    pub tensors: Vec<TensorInfo>,
    /// Tensors of element types that [`DType`] does not have, such as stored position numbers: name to type.
    pub others: BTreeMap<String, String>,
    /// The free-form strings under `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

/// One entry of the header.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The whole header: tensors in the order written, and the strings under `__metadata__`.
#[derive(Default)]
struct Header {
    entries: Vec<(String, Entry)>,
    metadata: Option<Entries<String>>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Header;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Header, M::Error> {
                let mut header = Header::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name != "__metadata__" {
                        header.entries.push((name, map.next_value()?));
                    } else if header.metadata.replace(map.next_value()?).is_some() {
                        return Err(M::Error::duplicate_field("__metadata__"));
                    }
                }
                Ok(header)
            }
        }
        d.deserialize_map(Visit)
    }
}

impl SafeTensors {
    /// Parses the start of a file of `file_len` bytes; `file` names it in errors.
    ///
    /// Checks that the header, every shape and every offset fit the file, that tensors do not overlap and have names
    /// of their own. [`Error::Format`] if not. Whether one of [`SafeTensors::others`] matters is for the caller to say.
    pub fn parse(head: &[u8], file_len: u64, file: &str) -> Result<Parsed<Self>> {
        let short = || Error::format(file, "the file ends within its header: download it again");
        let Some(len) = head.first_chunk::<8>().filter(|_| file_len >= 8) else {
            return if file_len < 8 {
                Err(impostor(head, file).unwrap_or_else(short))
            } else {
                Ok(Parsed::NeedMore(8))
            };
        };
        let len = u64::from_le_bytes(*len);
        let start = len.saturating_add(8);
        if len > MAX_HEADER || start > file_len {
            // Any byte may begin a valid length, so what the text looks like matters only now.
            let damaged = || {
                let plausible = len <= MAX_HEADER;
                let what = "this is not a safetensors file, or its beginning is damaged: download it again";
                if plausible { short() } else { Error::format(file, what) }
            };
            return Err(impostor(head, file).unwrap_or_else(damaged));
        }
        let Some(text) = usize::try_from(start).ok().and_then(|start| head.get(8..start)) else {
            return Ok(Parsed::NeedMore(start));
        };
        header(text, start, file_len, file).map(Parsed::Done)
    }

    /// Refuses the file if one of [`SafeTensors::others`] is among the tensors that are `wanted`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the tensor and its type.
    pub fn check_types(&self, wanted: impl Fn(&str) -> bool, file: &str) -> Result<()> {
        match self.others.iter().find(|(name, _)| wanted(name)) {
            Some((name, dtype)) => Err(Error::unsupported(format!(
                "{file}: tensor `{name}` is stored as {dtype}; choose a repository with F32, F16 or BF16 weights, or a GGUF \
                 file"
            ))),
            None => Ok(()),
        }
    }
}

/// Parses the header's `text`; the tensors' bytes are those from `start` to `file_len`.
fn header(text: &[u8], start: u64, file_len: u64, file: &str) -> Result<SafeTensors> {
    let Header { entries, metadata } = json::parse(text, file)?;
    check_names(entries.iter().map(|(name, _)| name.as_str()), file)?;
    let metadata = metadata.map_or_else(BTreeMap::new, |m| m.0.into_iter().collect());
    let mut parsed = SafeTensors { tensors: Vec::new(), others: BTreeMap::new(), metadata };
    for (name, entry) in entries {
        let [begin, end] = entry.data_offsets;
        if begin > end || end > file_len - start {
            let what = format!("the file ends before tensor `{name}` does: download it again");
            return Err(Error::format(file, what));
        }
        let Some(dtype) = [DType::F32, DType::F16, DType::BF16].into_iter().find(|d| d.name() == entry.dtype) else {
            parsed.others.insert(name, entry.dtype);
            continue;
        };
        let bytes = entry.shape.iter().try_fold(dtype.block_bytes() as u64, |n, &size| n.checked_mul(size));
        let shape = entry.shape.iter().map(|&size| usize::try_from(size)).collect::<std::result::Result<_, _>>();
        match (bytes, shape) {
            (Some(bytes), Ok(shape)) if bytes == end - begin => {
                parsed.tensors.push(TensorInfo { name, shape, dtype, offset: start + begin, bytes });
            }
            _ => {
                let what = format!(
                    "tensor `{name}` of shape {:?} and type {} cannot fill {} bytes: the file is damaged",
                    entry.shape,
                    entry.dtype,
                    end - begin
                );
                return Err(Error::format(file, what));
            }
        }
    }
    sort_apart(&mut parsed.tensors, file)?;
    Ok(parsed)
}

/// `model.safetensors.index.json`: which file holds which tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardIndex {
    /// Tensor name to file name, relative to the folder of the index.
    pub weight_map: BTreeMap<String, String>,
}

impl ShardIndex {
    /// Parses the text of the index; `file` names it in errors.
    ///
    /// Checks that there are tensors, each once, and that file names stay within the folder.
    pub fn parse(text: &[u8], file: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: Entries<String>,
        }
        let Index { weight_map: Entries(entries) } = json::parse(text, file)?;
        check_names(entries.iter().map(|(name, _)| name.as_str()), file)?;
        if entries.is_empty() {
            return Err(Error::format(file, "the index names no tensors: download it again"));
        }
        for (_, shard) in &entries {
            let outside = |part: &str| part.is_empty() || part == "." || part == "..";
            if shard.split('/').any(outside) || shard.contains(['\\', ':', '?', '#', '\0']) {
                let what = format!("`{shard}` is no name of a file in the folder: the index is damaged");
                return Err(Error::format(file, what));
            }
        }
        Ok(ShardIndex { weight_map: entries.into_iter().collect() })
    }

    /// Returns the file names, each once, sorted.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.weight_map.values().map(String::as_str).collect();
        files.sort_unstable();
        files.dedup();
        files
    }
}
