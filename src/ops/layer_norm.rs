//! `y = (x - mean) / sqrt(variance + eps) * w + b`, row by row (Ba et al. 2016).   x: [T, D], w and b: [D] -> [T, D]

use super::Bounded;
use super::variants::{groups, reduce};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, Weight, params, wgsl};

pub(super) static LAYER_NORM: Kernel = Kernel {
    name: "layer_norm",
    source: wgsl!(include_str!("../../shaders/layer_norm.wgsl")),
    bindings: &[Read, Read, Read, Write, Read],
    fields: LayerNormParams::FIELDS,
};

params! { struct LayerNormParams { rows: u32, dim: u32, quads: u32, eps: f32 } }

/// The weights of a LayerNorm.
#[derive(Clone)]
pub struct LayerNorm {
    /// [D]
    pub weight: Option<Weight>,
    /// [D]
    pub bias: Option<Weight>,
    /// Added to the variance.
    pub eps: f32,
}

impl<'g> Tensor<'g> {
    /// Normalises every row.
    #[track_caller]
    pub fn layer_norm(self, norm: &LayerNorm) -> Self {
        self.layer_norm_bounded(norm, None)
    }

    /// Normalises every row that holds a token. `state`: see [`super::Attention`].
    #[track_caller]
    pub fn layer_norm_bounded(self, norm: &LayerNorm, state: Option<&Region>) -> Self {
        let [rows, dim] = self.rows();
        for w in [&norm.weight, &norm.bias].into_iter().flatten() {
            assert_eq!(w.shape().dims(), [dim], "the norm's weights");
        }
        let y = self.graph().tensor(self.shape());
        let gpu = self.graph().gpu();
        reduce(self.graph().op(&LAYER_NORM), gpu)
            .set("WEIGHTED", norm.weight.is_some())
            .set("BIASED", norm.bias.is_some())
            .bind(self)
            .vector(norm.weight.as_ref())
            .vector(norm.bias.as_ref())
            .bind(y)
            .bounded(state)
            .params(LayerNormParams { rows: rows as u32, dim: dim as u32, quads: super::quads(self), eps: norm.eps })
            .dispatch_linear(rows.div_ceil(groups(gpu)));
        y
    }
}
