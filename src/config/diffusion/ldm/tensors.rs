//! The tensors of a single-file checkpoint, and where each tensor of the diffusers layout is among them.

use crate::config::diffusion::index::PipelineFamily;
use crate::format::TensorInfo;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The part of a stored tensor that a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// All of it. (A matrix may be stored as a convolution of one tap, [O, I, 1, 1].)
    Whole,
    /// Some of its rows.
    Rows {
        /// The first of them.
        first: usize,
        /// How many.
        count: usize,
    },
    /// All of it, but stored [I, O].
    Transposed,
}

/// Where tensors are: from their name (`unet.conv_in.weight`) to the stored one.
pub type TensorMap = BTreeMap<String, (String, Take)>;

/// Which Stable Diffusion a checkpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointKind {
    /// 1.x, whose text encoder is CLIP's.
    Sd1,
    /// 2.x, whose text encoder is OpenCLIP's.
    Sd2,
    /// XL, with both.
    Sdxl,
}

impl CheckpointKind {
    /// Returns the family of pipelines.
    pub fn family(self) -> PipelineFamily {
        if self == CheckpointKind::Sdxl { PipelineFamily::Sdxl } else { PipelineFamily::Sd }
    }
}

/// The tensors of a part of a checkpoint, by the names that follow the part's prefix.
pub(super) struct CheckpointPart<'a> {
    prefix: &'a str,
    pub tensors: BTreeMap<&'a str, &'a TensorInfo>,
    pub file: &'a str,
}

impl<'a> CheckpointPart<'a> {
    /// Returns the part that has `sign` after one of the prefixes.
    pub fn find(tensors: &'a [TensorInfo], prefixes: &[&'a str], sign: &str, file: &'a str) -> Option<Self> {
        let has = |prefix: &str| tensors.iter().any(|t| t.name.strip_prefix(prefix) == Some(sign));
        let prefix = *prefixes.iter().find(|prefix| has(prefix))?;
        let part = tensors.iter().filter_map(|t| Some((t.name.strip_prefix(prefix)?, t)));
        Some(CheckpointPart { prefix, tensors: part.collect(), file })
    }

    /// Returns a dimension of the tensor `name`.
    pub fn dim(&self, name: &str, axis: usize) -> Result<usize> {
        let full = || format!("{}{name}", self.prefix);
        let tensor = self.tensors.get(name).ok_or_else(|| Error::Missing { tensor: full() })?;
        let what = || format!("`{}` has shape {:?}: the file is damaged, download it again", full(), tensor.shape);
        tensor.shape.get(axis).copied().ok_or_else(|| Error::format(self.file, what()))
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

/// Returns the largest power of two up to 32 that divides all of `channels`.
pub(super) fn groups(channels: &[usize]) -> usize {
    let divides = |groups: &usize| channels.iter().all(|c| c.is_multiple_of(*groups));
    [32, 16, 8, 4, 2].into_iter().find(divides).unwrap_or(1)
}
