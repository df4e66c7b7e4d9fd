//! Token embedding: `y[t] = w[ids[t]] * scale`.   w: [V, D], ids: [T] -> [T, D]

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

params! { struct EmbedParams { t: u32, blocks: u32, quads: u32, row: u32, rows: u32, scale: f32 } }

/// Which rows of a table are read.
#[derive(Clone, Copy)]
enum Rows<'a> {
    /// Those whose numbers are here.
    Of(&'a Region),
    /// Those of the positions from `[0]` of here on.
    AtPositions(&'a Region),
}

impl Graph {
    /// Reads rows of the embedding table `w`, times `scale`, for `t` token ids that lie in `ids` on the GPU. `state`:
    /// see [`super::Attention`].
    #[track_caller]
    pub fn embed(&self, w: &Weight, ids: &Region, t: usize, scale: f32, state: Option<&Region>) -> Tensor<'_> {
        let y = self.tensor([t, w.shape().rows()[1]]);
        self.rows_of(w, Rows::Of(ids), y, Some(scale), state);
        y
    }

    /// Reads rows; without a scale they are added to `y`.
    fn rows_of<'g>(&'g self, w: &Weight, rows: Rows<'_>, y: Tensor<'g>, scale: Option<f32>, state: Option<&Region>) {
        let [t, dim] = y.rows();
        let blocks = dim.div_ceil(32);
        for slice in w.slices() {
            let op = self
                .op(&EMBED)
                .parts(weight_parts(slice.dtype))
                .set("ADDED", scale.is_none())
                .set("POSITIONS", matches!(rows, Rows::AtPositions(_)));
            let (Rows::Of(ids) | Rows::AtPositions(ids)) = rows;
            op.weight(slice)
                .region(ids)
                .bind(y)
                .bounded(state)
                .params(EmbedParams {
                    t: t as u32,
                    blocks: blocks as u32,
                    quads: super::quads(y),
                    row: slice.row as u32,
                    rows: slice.rows as u32,
                    scale: scale.unwrap_or(1.0),
                })
                .dispatch_linear((t * blocks).div_ceil(64));
        }
    }
}

impl<'g> Tensor<'g> {
    /// Adds the rows of a table of learned positions, in place: row t of `w` to the row at position t. `state`: see
    /// [`super::Attention`].
    #[track_caller]
    pub fn add_positions(self, w: &Weight, state: &Region) -> Self {
        assert_eq!(self.rows()[1], w.shape().rows()[1], "add_positions: a table of {:?}", w.shape());
        self.graph().rows_of(w, Rows::AtPositions(state), self, None, Some(state));
        self
    }

    /// Adds rows of the table `w`, in place: those whose numbers lie in `ids` on the GPU. `state`: see
    /// [`super::Attention`].
    #[track_caller]
    pub fn add_embedded(self, w: &Weight, ids: &Region, state: Option<&Region>) -> Self {
        assert_eq!(self.rows()[1], w.shape().rows()[1], "add_embedded: a table of {:?}", w.shape());
        self.graph().rows_of(w, Rows::Of(ids), self, None, state);
        self
    }
}
