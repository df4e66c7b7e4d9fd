//! Gates, for halves that lie side by side: see [`Gate`].   [T, 2F] -> [T, F]

use super::Bounded;
use super::activation::Gate;
use super::variants::{GATES, GELU};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, params, wgsl};

pub(super) static GATE: Kernel = Kernel {
    name: "gate",
    source: wgsl!(include_str!("../../shaders/gate.wgsl")),
    bindings: &[Read, Write, Read],
    fields: GateParams::FIELDS,
};

params! { struct GateParams { t: u32, dim: u32, x_stride: u32, y_stride: u32, kind: u32 } }

impl<'g> Tensor<'g> {
    /// Makes one of the two halves of every row. `state`: see [`super::Attention`].
    #[track_caller]
    pub fn gate(self, gate: Gate, state: Option<&Region>) -> Self {
        let [t, both] = self.rows();
        let dim = both / 2;
        let y = self.graph().tensor([t, dim]);
        self.graph()
            .op(&GATE)
            .part(&GELU)
            .part(&GATES)
            .bind(self)
            .bind(y)
            .bounded(state)
            .params(GateParams {
                t: t as u32,
                dim: dim as u32,
                x_stride: self.stride() as u32,
                y_stride: y.stride() as u32,
                kind: gate as u32,
            })
            .dispatch_linear((t * dim).div_ceil(64));
        y
    }
}
