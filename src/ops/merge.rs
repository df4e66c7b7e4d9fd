//! The splits that [`super::Attention::decode`] leaves, and their merge.   -> [1, H * Hv]

use super::variants::INPUT_MERGE;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static MERGE: Kernel = Kernel {
    name: "merge",
    source: wgsl!(include_str!("../../shaders/merge.wgsl")),
    bindings: &[Read, Write],
    fields: MergeParams::FIELDS,
};

params! { struct MergeParams { k_quads: u32 } }

/// Splits of the cache in [`super::Attention::decode`]: enough to occupy a GPU, few enough to merge for free.
pub const SPLITS: usize = 8;

/// The splits that [`super::Attention::decode`] leaves: for each head [`SPLITS`] sums of values with their maxima and
/// weights.
#[derive(Clone, Copy)]
pub struct Splits<'g> {
    /// The sums of every head, then their maxima and weights: [H * SPLITS * (Hv + 2)].
    pub parts: Tensor<'g>,
    /// H
    pub heads: usize,
    /// Hv: elements of a value head.
    pub value_dim: usize,
}

impl<'g> Splits<'g> {
    /// Merges them.
    #[track_caller]
    pub fn merge(self) -> Tensor<'g> {
        let graph = self.parts.graph();
        let k = self.heads * self.value_dim;
        let y = graph.tensor([1, k]);
        graph
            .op(&MERGE)
            .part(&INPUT_MERGE)
            .constant("HEAD_QUADS", self.value_dim / 4)
            .constant("SPLITS", SPLITS)
            .bind(self.parts)
            .bind(y)
            .params(MergeParams { k_quads: (k / 4) as u32 })
            .dispatch_linear((k / 4).div_ceil(64));
        y
    }
}
