//! `y = x * scale + shift`, and perhaps softly limited: latents as an image decoder wants them.

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static RESCALE: Kernel = Kernel {
    name: "rescale",
    source: wgsl!(include_str!("../../shaders/rescale.wgsl")),
    bindings: &[Read, Write],
    fields: RescaleParams::FIELDS,
};

params! { struct RescaleParams { quads: u32, scale: f32, shift: f32, limit: f32 } }

impl<'g> Tensor<'g> {
    /// Computes `x * scale + shift`; with a limit `l`, `l * tanh(y / l)` of that.
    #[track_caller]
    pub fn rescale(self, scale: f32, shift: f32, limit: Option<f32>) -> Self {
        let y = self.graph().tensor(self.shape());
        self.rescale_into(scale, shift, limit, y);
        y
    }

    /// Computes the same into a tensor that is there already.
    #[track_caller]
    pub fn rescale_into(self, scale: f32, shift: f32, limit: Option<f32>, y: Self) {
        assert_eq!(y.shape(), self.shape(), "rescale: where to write");
        let quads = self.rows()[0] * self.stride() / 4;
        let op = self.graph().op(&RESCALE).set("LIMIT", limit.is_some()).bind(self).bind(y);
        op.params(RescaleParams { quads: quads as u32, scale, shift, limit: limit.unwrap_or(1.0) })
            .dispatch_linear(quads.div_ceil(64));
    }
}
