//! Token embedding: `y[t] = w[ids[t]]`.   w: [V, D], ids: [T] -> [T, D]

use super::Bounded;
use super::variants::weight_parts;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Graph, Kernel, Params, Region, Tensor, Weight, params, wgsl};

pub(super) static EMBED: Kernel = Kernel {
    name: "embed",
    source: wgsl!(include_str!("../../shaders/embed.wgsl")),
    bindings: &[Read, Read, Read, Write, Read],
    fields: EmbedParams::FIELDS,
};

params! { struct EmbedParams { t: u32, blocks: u32, quads: u32, row: u32, rows: u32 } }

impl Graph {
    /// Rows of the embedding table `w` for `t` token ids that lie in `ids` on the GPU. `state`: see [`super::Rope`].
    #[track_caller]
    pub fn embed(&self, w: &Weight, ids: &Region, t: usize, state: Option<&Region>) -> Tensor<'_> {
        let [_, dim] = w.shape().rows();
        let y = self.tensor([t, dim]);
        let blocks = dim.div_ceil(32);
        for slice in w.slices() {
            self.op(&EMBED)
                .parts(weight_parts(slice.dtype))
                .weight(slice)
                .region(ids)
                .bind(y)
                .bounded(state)
                .params(EmbedParams {
                    t: t as u32,
                    blocks: blocks as u32,
                    quads: super::quads(y),
                    row: slice.row as u32,
                    rows: slice.rows as u32,
                })
                .dispatch_linear((t * blocks).div_ceil(64));
        }
        y
    }
}
