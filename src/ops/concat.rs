//! Rows side by side.   a: [T, A], b: [T, B] -> [T, A + B]

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static CONCAT: Kernel = Kernel {
    name: "concat",
    source: wgsl!(include_str!("../../shaders/concat.wgsl")),
    bindings: &[Read, Read, Write],
    fields: ConcatParams::FIELDS,
};

params! { struct ConcatParams { t: u32, a_dim: u32, dim: u32, a_stride: u32, b_stride: u32, y_stride: u32 } }

impl<'g> Tensor<'g> {
    /// Appends to every row the same row of `other`.
    #[track_caller]
    pub fn concat(self, other: Self) -> Self {
        let ([t, a], [rows, b]) = (self.rows(), other.rows());
        assert_eq!(t, rows, "concat: {:?} and {:?}", self.shape(), other.shape());
        let y = self.graph().tensor([t, a + b]);
        self.graph()
            .op(&CONCAT)
            .bind(self)
            .bind(other)
            .bind(y)
            .params(ConcatParams {
                t: t as u32,
                a_dim: a as u32,
                dim: (a + b) as u32,
                a_stride: self.stride() as u32,
                b_stride: other.stride() as u32,
                y_stride: y.stride() as u32,
            })
            .dispatch_linear((t * (a + b)).div_ceil(64));
        y
    }
}
