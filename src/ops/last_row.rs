//! The last row that holds a token.   [T, D] -> [1, D]

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, params, wgsl};

pub(super) static LAST_ROW: Kernel = Kernel {
    name: "last_row",
    source: wgsl!(include_str!("../../shaders/last_row.wgsl")),
    bindings: &[Read, Write, Read],
    fields: LastRowParams::FIELDS,
};

params! { struct LastRowParams { quads: u32 } }

impl<'g> Tensor<'g> {
    /// Copies row `state[1] - 1`. `state`: see [`super::Attention`].
    #[track_caller]
    pub fn last_row(self, state: &Region) -> Self {
        let [_, dim] = self.rows();
        let y = self.graph().tensor([1, dim]);
        let quads = super::quads(self);
        self.graph()
            .op(&LAST_ROW)
            .bind(self)
            .bind(y)
            .region(state)
            .params(LastRowParams { quads })
            .dispatch_linear((quads as usize).div_ceil(64));
        y
    }
}
