//! `y = x / sqrt(mean(x^2) + eps) * w`, row by row (Zhang and Sennrich 2019).   x: [T, D], w: [D] -> [T, D]

use super::Bounded;
use super::variants::{groups, reduce};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, Weight, params, wgsl};

pub(super) static RMS_NORM: Kernel = Kernel {
    name: "rms_norm",
    source: wgsl!(include_str!("../../shaders/rms_norm.wgsl")),
    bindings: &[Read, Read, Write, Read],
    fields: RmsNormParams::FIELDS,
};

params! { struct RmsNormParams { rows: u32, dim: u32, quads: u32, eps: f32 } }

impl<'g> Tensor<'g> {
    /// RMSNorm of every row. `state`: see [`super::Rope`].
    #[track_caller]
    pub fn rms_norm(self, w: &Weight, eps: f32, state: Option<&Region>) -> Self {
        let [rows, dim] = self.rows();
        assert_eq!(w.shape().dims(), [dim], "the norm's weights");
        let y = self.graph().tensor(self.shape());
        let gpu = self.graph().gpu();
        reduce(self.graph().op(&RMS_NORM), gpu)
            .bind(self)
            .vector(Some(w))
            .bind(y)
            .bounded(state)
            .params(RmsNormParams { rows: rows as u32, dim: dim as u32, quads: super::quads(self), eps })
            .dispatch([rows.div_ceil(groups(gpu)), 1, 1]);
        y
    }
}
