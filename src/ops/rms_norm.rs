//! `y = x / sqrt(mean(x^2) + eps) * w (+ residual)`, row by row (Zhang and Sennrich 2019).
//!   x: [T, D], w: [D] -> [T, D]

use super::Bounded;
use super::variants::{groups, reduce};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, Weight, params, wgsl};

pub(super) static RMS_NORM: Kernel = Kernel {
    name: "rms_norm",
    source: wgsl!(include_str!("../../shaders/rms_norm.wgsl")),
    bindings: &[Read, Read, Read, Write, Read],
    fields: RmsNormParams::FIELDS,
};

params! { struct RmsNormParams { rows: u32, dim: u32, quads: u32, eps: f32, scale: f32 } }

/// The weights of an RMS norm.
#[derive(Clone)]
pub struct RmsNorm {
    /// [D]
    pub weight: Option<Weight>,
    /// Added to the mean square.
    pub eps: f32,
}

impl<'g> Tensor<'g> {
    /// Normalises every row. `state`: see [`super::Attention`].
    #[track_caller]
    pub fn rms_norm(self, norm: &RmsNorm, state: Option<&Region>) -> Self {
        self.rms_norm_add(norm, None, state)
    }

    /// Normalises every row and, if there is a residual, adds the result times a factor to it.
    #[track_caller]
    pub fn rms_norm_add(self, norm: &RmsNorm, add: Option<(Self, f32)>, state: Option<&Region>) -> Self {
        let [rows, dim] = self.rows();
        if let Some(w) = &norm.weight {
            assert_eq!(w.shape().dims(), [dim], "the norm's weights");
        }
        if let Some((residual, _)) = add {
            assert_eq!(residual.shape(), self.shape(), "the norm's residual");
        }
        let y = self.graph().tensor(self.shape());
        let gpu = self.graph().gpu();
        reduce(self.graph().op(&RMS_NORM), gpu)
            .set("WEIGHTED", norm.weight.is_some())
            .set("RESIDUAL", add.is_some())
            .bind(self)
            .vector(norm.weight.as_ref())
            .bind_or_nothing(add.map(|a| a.0))
            .bind(y)
            .bounded(state)
            .params(RmsNormParams {
                rows: rows as u32,
                dim: dim as u32,
                quads: super::quads(self),
                eps: norm.eps,
                scale: add.map_or(1.0, |a| a.1),
            })
            .dispatch_linear(rows.div_ceil(groups(gpu)));
        y
    }
}
