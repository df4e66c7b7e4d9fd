//! Sums.   a: [T, D], b: [R, D], R dividing T -> [T, D]

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static ADD: Kernel = Kernel {
    name: "add",
    source: wgsl!(include_str!("../../shaders/add.wgsl")),
    bindings: &[Read, Read, Write],
    fields: AddParams::FIELDS,
};

params! { struct AddParams { quads: u32, repeat: u32 } }

impl<'g> Tensor<'g> {
    /// Computes `a + b`; the rows of `other` repeat until those of `self` end.
    #[track_caller]
    pub fn add_rows(self, other: Self) -> Self {
        let ([t, a], [rows, b]) = (self.rows(), other.rows());
        assert!(a == b && t.is_multiple_of(rows), "add: {:?} and {:?}", self.shape(), other.shape());
        let y = self.graph().tensor(self.shape());
        let row = self.stride() / 4;
        let op = self.graph().op(&ADD).bind(self).bind(other).bind(y);
        op.params(AddParams { quads: (t * row) as u32, repeat: (rows * row) as u32 })
            .dispatch_linear((t * row).div_ceil(64));
        y
    }
}
