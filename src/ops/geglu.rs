//! `y = x * gelu(gate)` for values and gates side by side (Shazeer 2020).   [T, 2F] -> [T, F]

use super::variants::GELU;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static GEGLU: Kernel = Kernel {
    name: "geglu",
    source: wgsl!(include_str!("../../shaders/geglu.wgsl")),
    bindings: &[Read, Write],
    fields: GegluParams::FIELDS,
};

params! { struct GegluParams { t: u32, dim: u32, x_stride: u32, y_stride: u32 } }

impl<'g> Tensor<'g> {
    /// `x[.., ..F] * gelu(x[.., F..])`.
    #[track_caller]
    pub fn geglu(self) -> Self {
        let [t, both] = self.rows();
        let dim = both / 2;
        let y = self.graph().tensor([t, dim]);
        let (x_stride, y_stride) = (self.stride() as u32, y.stride() as u32);
        let op = self.graph().op(&GEGLU).part(&GELU).bind(self).bind(y);
        op.params(GegluParams { t: t as u32, dim: dim as u32, x_stride, y_stride })
            .dispatch_linear((t * dim).div_ceil(64));
        y
    }
}
