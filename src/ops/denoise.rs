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

/// The numbers of a step, in the order in which `shaders/denoise.wgsl` reads them. Rows weigh x, saved, m, h1, h2, h3
/// and noise.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct DenoiseStage {
    /// How much further than without the prompt to go towards the prediction with it.
    pub guidance: f32,
    /// Factor of the latents when the model reads them next.
    pub input_scale: f32,
    /// Weights of x and the prediction in m, which the sampler remembers.
    pub convert: [f32; 2],
    /// Weights of x and the prediction in the estimated picture.
    pub denoised: [f32; 2],
    /// Weights of the next x.
    pub next: [f32; 7],
    /// Weights of the next saved.
    pub save: [f32; 7],
    /// 1: m enters the history; 0: it does not.
    pub shift: f32,
    /// Not read.
    pub unused: f32,
    /// Weights of the original and the first noise where the picture is kept.
    pub known: [f32; 2],
}

/// Numbers of a [`DenoiseStage`].
pub const STAGE: usize = size_of::<DenoiseStage>() / 4;

/// The memory that a step of a sampler works on. Planes are latents of one picture, [h * w, C], one after the other.
#[derive(Clone, Copy)]
pub struct Denoise<'a> {
    /// A [`DenoiseStage`].
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

#[cfg(test)]
mod tests {
    use super::{DENOISE, DenoiseStage};
    use std::collections::BTreeSet;
    use std::mem::offset_of;

    /// Finds the numbers that the shader reads: `stage[2]` reads one, `row(6u, ...)` a row of seven.
    fn read(begin: &str) -> BTreeSet<usize> {
        let after = DENOISE.source.split(begin).skip(1);
        after.filter_map(|s| s.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
    }

    #[test]
    fn the_shader_reads_the_numbers_where_they_are() {
        let pairs =
            [offset_of!(DenoiseStage, convert), offset_of!(DenoiseStage, denoised), offset_of!(DenoiseStage, known)];
        let single = [
            offset_of!(DenoiseStage, guidance),
            offset_of!(DenoiseStage, input_scale),
            offset_of!(DenoiseStage, shift),
        ];
        let numbers = pairs.into_iter().flat_map(|at| [at, at + 4]).chain(single).map(|at| at / 4).collect();
        assert_eq!(read("stage["), numbers);
        let rows = [offset_of!(DenoiseStage, next), offset_of!(DenoiseStage, save)].map(|at| at / 4);
        assert_eq!(read("row("), BTreeSet::from(rows));
    }
}
