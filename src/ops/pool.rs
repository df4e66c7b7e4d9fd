//! Pooling: a row for each sequence of those that lie one after the other.   [T, D] -> [N, D]

use super::Bounded;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, params, wgsl};

pub(super) static POOL: Kernel = Kernel {
    name: "pool",
    source: wgsl!(include_str!("../../shaders/pool.wgsl")),
    bindings: &[Read, Read, Write, Read],
    fields: PoolParams::FIELDS,
};

params! { struct PoolParams { n: u32, quads: u32, y_quads: u32, y_first: u32, kind: u32 } }

/// How the rows of a sequence become one; the numbers are those of `shaders/pool.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Pool {
    /// Their mean.
    Mean,
    /// The first.
    First,
    /// The last.
    Last,
    /// Of each element the largest.
    Max,
    /// Their mean, in which the first counts once, the second twice and so on.
    WeightedMean,
    /// Their sum over the root of their number.
    MeanSqrtLength,
}

impl<'g> Tensor<'g> {
    /// Makes one row of the rows of each of `n` sequences in each of these ways, whose results lie side by side.
    /// `spans`: for each sequence four words on the GPU: the first of its rows that count, the row before which they
    /// end, the row where the sequence begins, and nothing. `state`: `[1]` how many sequences there are.
    ///   -> [n, D * ways]
    #[track_caller]
    pub fn pool(self, ways: &[Pool], spans: &Region, n: usize, state: &Region) -> Self {
        let [_, dim] = self.rows();
        assert!(ways.len() == 1 || dim.is_multiple_of(4), "pool: results side by side begin at a whole quad");
        let y = self.graph().tensor([n, dim * ways.len()]);
        let quads = super::quads(self);
        for (i, way) in ways.iter().enumerate() {
            let op = self.graph().op(&POOL).bind(self).region(spans).bind(y).bounded(Some(state));
            op.params(PoolParams {
                n: n as u32,
                quads,
                y_quads: super::quads(y),
                y_first: i as u32 * quads,
                kind: *way as u32,
            })
            .dispatch_linear((n * quads as usize).div_ceil(64));
        }
        y
    }
}
