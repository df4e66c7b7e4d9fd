//! Fused multiply-adds without end: what an adapter's arithmetic can do.

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static MULTIPLY_ADD: Kernel = Kernel {
    name: "multiply_add",
    source: wgsl!(include_str!("../../shaders/multiply_add.wgsl")),
    bindings: &[Read, Write],
    fields: RoundParams::FIELDS,
};

params! { struct RoundParams { rounds: u32 } }

impl<'g> Tensor<'g> {
    /// Computes of every four elements `m` the sum of eight chains: `v = m + i; rounds times v = v m + m`.
    /// [n, 1024] -> [n, 1024]
    #[track_caller]
    pub fn multiply_add(self, rounds: usize) -> Self {
        let [workgroups, row] = self.rows();
        assert_eq!(row, 1024, "multiply_add: a row to each workgroup of 256");
        let y = self.graph().tensor(self.shape());
        let op = self.graph().op(&MULTIPLY_ADD).bind(self).bind(y);
        op.params(RoundParams { rounds: rounds as u32 }).dispatch([workgroups, 1, 1]);
        y
    }
}
