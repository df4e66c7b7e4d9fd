//! How tall the tiles are of kernels that make many rows: taller ones read less from workgroup memory, but there must
//! be enough of them for a GPU, and it must have the registers.

use super::variants::{ATTENTION_SERIAL, ATTENTION_TILE, COLUMNS, serial};
use crate::gpu::{Choice, Gpu, OpBuilder};

/// Says how tall tiles are for `t` rows of input by `rows` rows of weights: 64 by 64, or 32 by 64 where there would not
/// be `enough` of them. Also of how many workgroups the grid is, [tiles of weights, tiles of input].
pub(crate) fn tile<'g>(
    op: OpBuilder<'g>,
    gpu: &Gpu,
    [t, rows]: [usize; 2],
    enough: usize,
) -> (OpBuilder<'g>, [usize; 2]) {
    let columns = rows.div_ceil(64);
    let tall = t.div_ceil(64) * columns >= enough && !gpu.chose(Choice::ShortTiles);
    let height = if tall { 64 } else { 32 };
    (op.part(&COLUMNS).set("TILE_ROWS", height as u32), [columns, t.div_ceil(height)])
}

/// Fills the attention slot for `heads` heads with `queries` queries each; a key has `quads` quads, a value
/// `value_quads`. Also says of how many workgroups its grid is.
pub(crate) fn attention_tile<'g>(
    op: OpBuilder<'g>,
    gpu: &Gpu,
    queries: usize,
    heads: usize,
    [quads, value_quads]: [usize; 2],
) -> (OpBuilder<'g>, [usize; 3]) {
    /// Eights of quads that an invocation can hold for four queries; a larger head is made by several workgroups, each
    /// of which computes the scores for itself.
    const MOST: usize = 5;
    let op = op.constant("HEAD_QUADS", quads).constant("VALUE_QUADS", value_quads);
    if serial(gpu) {
        let [fours, one] = &ATTENTION_SERIAL;
        // Four queries' sums would exceed the 8 KiB that WGSL grants a function.
        let large = (quads + value_quads) * 64 > 7680;
        let (part, at_once) = if large || gpu.adapter().llvmpipe { (one, 1) } else { (fours, 4) };
        let workgroups = (queries.div_ceil(at_once) * heads).div_ceil(4);
        let [x, y] = gpu.adapter().folded(workgroups);
        return (op.part(part).set("WG", 4u32), [x, y, 1]);
    }
    let eights = value_quads.div_ceil(8);
    let enough = queries.div_ceil(64) * heads >= 256;
    let tall = eights <= 2 && enough && !gpu.chose(Choice::ShortAttention);
    let stretches = eights.div_ceil(MOST);
    let op = op
        .parts(&ATTENTION_TILE)
        .part(&COLUMNS)
        .constant("QUERY_FOURS", if tall { 2usize } else { 1 })
        .constant("VALUE_STEPS", eights.div_ceil(stretches));
    // Tiles of queries, heads, stretches of the heads' values.
    (op, [queries.div_ceil(if tall { 64 } else { 32 }), heads, stretches])
}
