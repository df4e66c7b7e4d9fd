//! `y = (x - mean) / sqrt(variance + eps) * w + b`, row by row (Ba et al. 2016).   x: [T, D], w and b: [D] -> [T, D]

use super::variants::{groups, reduce};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, Weight, params, wgsl};

pub(super) static LAYER_NORM: Kernel = Kernel {
    name: "layer_norm",
    source: wgsl!(include_str!("../../shaders/layer_norm.wgsl")),
    bindings: &[Read, Read, Read, Write],
    fields: LayerNormParams::FIELDS,
};

params! { struct LayerNormParams { rows: u32, dim: u32, quads: u32, eps: f32 } }

/// A layer's weights.
#[derive(Clone)]
pub struct LayerNorm {
    /// [D]
    pub weight: Weight,
    /// [D]
    pub bias: Weight,
    /// Added to the variance.
    pub eps: f32,
}

impl<'g> Tensor<'g> {
    /// LayerNorm of every row.
    #[track_caller]
    pub fn layer_norm(self, norm: &LayerNorm) -> Self {
        let [rows, dim] = self.rows();
        assert_eq!(norm.weight.shape().dims(), [dim], "the norm's weights");
        let y = self.graph().tensor(self.shape());
        let gpu = self.graph().gpu();
        reduce(self.graph().op(&LAYER_NORM), gpu)
            .bind(self)
            .vector(Some(&norm.weight))
            .vector(Some(&norm.bias))
            .bind(y)
            .params(LayerNormParams { rows: rows as u32, dim: dim as u32, quads: super::quads(self), eps: norm.eps })
            .dispatch_linear(rows.div_ceil(groups(gpu)));
        y
    }
}
