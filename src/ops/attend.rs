//! Attention of rows to rows, without a cache and without a score matrix in memory.
//!   q: [N * T, ..], k and v: [N * S, ..], columns of H heads of Hd -> [N * T, H * Hd]

use super::tiles::attention_tile;
use super::variants::ATTEND_PART;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static ATTEND: Kernel = Kernel {
    name: "attend",
    source: wgsl!(include_str!("../../shaders/attend.wgsl")),
    bindings: &[Read, Read, Read, Write],
    fields: AttendParams::FIELDS,
};

params! {
    struct AttendParams {
        n: u32, t: u32, s: u32, heads: u32, q_stride: u32, q_first: u32, k_stride: u32, k_first: u32, v_stride: u32,
        v_first: u32, y_stride: u32, scale: f32,
    }
}

/// Which columns of which rows attend to which.
#[derive(Clone, Copy)]
pub struct Attend<'g> {
    /// N: sequences that do not see each other.
    pub n: usize,
    /// H
    pub heads: usize,
    /// Hd; a multiple of 4 is faster.
    pub head_dim: usize,
    /// The queries, and the first of their columns; likewise keys and values. If Hd is a multiple of 4, so are these.
    pub q: (Tensor<'g>, usize),
    /// See `q`.
    pub k: (Tensor<'g>, usize),
    /// See `q`.
    pub v: (Tensor<'g>, usize),
    /// Whether a row sees only itself and what is before it.
    pub causal: bool,
}

impl<'g> Attend<'g> {
    /// Computes `softmax(q k^T / sqrt(Hd)) v` for every head of every sequence.
    #[track_caller]
    pub fn run(self) -> Tensor<'g> {
        let y = self.q.0.graph().tensor([self.q.0.rows()[0], self.heads * self.head_dim]);
        self.run_into(y);
        y
    }

    /// Computes the same into a tensor that is there already.
    #[track_caller]
    pub fn run_into(self, y: Tensor<'g>) {
        let graph = self.q.0.graph();
        let (t, s) = (self.q.0.rows()[0] / self.n, self.k.0.rows()[0] / self.n);
        assert_eq!(self.k.0.rows()[0], self.v.0.rows()[0], "attend: keys and values");
        let quads = self.head_dim.div_ceil(4);
        assert_eq!(y.rows(), [self.n * t, self.heads * self.head_dim], "attend: where to write");
        for (rows, first) in [self.q, self.k, self.v] {
            assert!(first + self.heads * self.head_dim <= rows.rows()[1], "attend: columns past the end of a row");
            assert!(
                first.is_multiple_of(4) || !self.head_dim.is_multiple_of(4),
                "attend: heads of whole quads begin at a whole quad"
            );
        }
        let (op, grid) = attention_tile(graph.op(&ATTEND), graph.gpu(), t, self.n * self.heads, [quads; 2]);
        let place = |(t, first): (Tensor<'_>, usize)| (t.stride() as u32, first as u32);
        let ((q_stride, q_first), (k_stride, k_first), (v_stride, v_first)) =
            (place(self.q), place(self.k), place(self.v));
        let op = op
            .part(&ATTEND_PART)
            .constant("HEAD_DIM", self.head_dim)
            .set("ODD", !self.head_dim.is_multiple_of(4))
            .set("CAUSAL", self.causal)
            .bind(self.q.0)
            .bind(self.k.0)
            .bind(self.v.0)
            .bind(y)
            .params(AttendParams {
                n: self.n as u32,
                t: t as u32,
                s: s as u32,
                heads: self.heads as u32,
                q_stride,
                q_first,
                k_stride,
                k_first,
                v_stride,
                v_first,
                y_stride: y.stride() as u32,
                scale: 1.0 / (self.head_dim as f32).sqrt(),
            });
        let seen: usize = if self.causal { (1..=t).map(|row| row.min(s)).sum() } else { t * s };
        op.macs(2 * self.n * self.heads * self.head_dim * seen).dispatch(grid);
    }
}
