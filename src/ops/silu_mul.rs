//! `y = silu(gate) * up` for gates and ups side by side.   [T, 2F] -> [T, F]

use super::Bounded;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, params, wgsl};

pub(super) static SILU_MUL: Kernel = Kernel {
    name: "silu_mul",
    source: wgsl!(include_str!("../../shaders/silu_mul.wgsl")),
    bindings: &[Read, Write, Read],
    fields: SiluMulParams::FIELDS,
};

params! { struct SiluMulParams { t: u32, dim: u32, x_stride: u32, y_stride: u32 } }

impl<'g> Tensor<'g> {
    /// `silu(x[.., ..F]) * x[.., F..]`. `state`: see [`super::Rope`].
    #[track_caller]
    pub fn silu_mul(self, state: Option<&Region>) -> Self {
        let [t, both] = self.rows();
        let dim = both / 2;
        let y = self.graph().tensor([t, dim]);
        self.graph()
            .op(&SILU_MUL)
            .bind(self)
            .bind(y)
            .bounded(state)
            .params(SiluMulParams {
                t: t as u32,
                dim: dim as u32,
                x_stride: self.stride() as u32,
                y_stride: y.stride() as u32,
            })
            .dispatch_linear((t * dim).div_ceil(64));
        y
    }
}
