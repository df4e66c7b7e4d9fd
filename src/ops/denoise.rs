//! One step of a sampler, on the device: guidance, prediction, update, the model's next input.

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, params, wgsl};

pub(super) static DENOISE: Kernel = Kernel {
    name: "denoise",
    source: wgsl!(include_str!("../../shaders/denoise.wgsl")),
    bindings: &[Read, Read, Read, Read, Write, Write],
    fields: DenoiseParams::FIELDS,
};

params! { struct DenoiseParams { quads: u32 } }

/// Planes of latents: x, saved, three of history, x0.
pub const PLANES: usize = 6;
/// Planes of what is kept of a picture: the original, the first noise, the mask.
pub const KEPT_PLANES: usize = 3;
/// Numbers of a stage, see `shaders/denoise.wgsl`.
pub const STAGE: usize = 24;

/// What a step of a sampler works on. Planes are latents of one picture, [h * w, C], one after the other.
#[derive(Clone, Copy)]
pub struct Denoise<'a> {
    /// [`STAGE`] numbers.
    pub stage: &'a Region,
    /// A plane of fresh noise.
    pub noise: &'a Region,
    /// [`KEPT_PLANES`] planes; `None`: everything is painted.
    pub kept: Option<&'a Region>,
    /// [`PLANES`] planes.
    pub latents: &'a Region,
    /// The model's input: one plane, two if guided.
    pub input: &'a Region,
    /// Whether the prediction has two halves, without and with the prompt.
    pub guided: bool,
}

impl Tensor<'_> {
    /// Takes the step that the stage says, `self` being the model's prediction.
    #[track_caller]
    pub fn denoise(self, d: &Denoise<'_>) {
        let planes = if d.guided { 2 } else { 1 };
        let quads = self.rows()[0] / planes * self.stride() / 4;
        let op = self.graph().op(&DENOISE).set("GUIDED", d.guided).set("KNOWN", d.kept.is_some());
        let op = op.region(d.stage).bind(self).region(d.noise);
        let op = match d.kept {
            Some(kept) => op.region(kept),
            None => op.nothing(),
        };
        op.region(d.latents)
            .region(d.input)
            .params(DenoiseParams { quads: quads as u32 })
            .dispatch_linear(quads.div_ceil(64));
    }
}
