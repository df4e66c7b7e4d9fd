//! `y = x w^T (+ bias) (+ residual)`, with what is fused into it.   x: [T, K], w: [N, K] -> [T, N]
//!
//! One row (decode) is a matrix-vector product that reads the weights once; many rows (prefill) are tiled.

use super::Bounded;
use super::activation::{Activation, Ends, Gate};
use super::tiles::tile;
use super::variants::{
    INPUT_MERGE, INPUT_NORM, INPUT_PLAIN, LINEAR, dots_parts, ends_with, reduce_by, serial, tile_parts, tuning_for,
    weight_parts,
};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Slice, Tensor, Weight, params, wgsl};

pub(super) static LINEAR_VEC: Kernel = Kernel {
    name: "linear_vec",
    source: wgsl!(include_str!("../../shaders/linear_vec.wgsl")),
    bindings: &[Read, Read, Read, Read, Read, Read, Write],
    fields: VecParams::FIELDS,
};

pub(super) static LINEAR_TILE: Kernel = Kernel {
    name: "linear_tile",
    source: wgsl!(include_str!("../../shaders/linear_tile.wgsl")),
    bindings: &[Read, Read, Read, Read, Read, Write, Read],
    fields: TileParams::FIELDS,
};

pub(super) static LINEAR_TILE_SERIAL: Kernel = Kernel {
    name: "linear_tile_serial",
    source: wgsl!(include_str!("../../shaders/linear_tile_serial.wgsl")),
    bindings: &[Read, Read, Read, Read, Read, Write, Read],
    fields: TileParams::FIELDS,
};

params! {
    struct VecParams {
        k: u32, k_quads: u32, blocks: u32, rows: u32, y_row: u32, gate_rows: u32, eps: f32, ends: u32,
    }
}
params! {
    struct TileParams {
        t: u32, k_quads: u32, x_quads: u32, blocks: u32, rows: u32, y_row: u32, y_stride: u32, gate_rows: u32,
        ends: u32,
    }
}

/// What is fused into a linear layer. The default is nothing.
#[derive(Clone, Copy, Default)]
pub struct Linear<'a, 'g> {
    /// RMSNorm of the input first: its weights and eps.
    pub norm: Option<(&'a Weight, f32)>,
    /// Added to every row: [N].
    pub bias: Option<&'a Weight>,
    /// Added to the result: [T, N].
    pub residual: Option<Tensor<'g>>,
    /// What is made of the two halves of the weight's rows. (If they are encoded differently, or exceed a binding, with one
    /// more dispatch.)
    pub gate: Option<Gate>,
    /// Applied last.
    pub activation: Activation,
    /// Where to write the result; `None`: to a tensor of its own.
    pub into: Option<Tensor<'g>>,
    /// How many of the rows hold tokens: see [`super::Rope`].
    pub state: Option<&'a Region>,
}

impl Linear<'_, '_> {
    fn ends(&self) -> Ends {
        let Linear { bias, residual, gate, activation, .. } = *self;
        Ends { bias: bias.is_some(), residual: residual.is_some(), channels: false, gate, activation }
    }
}

impl<'g> Tensor<'g> {
    /// `x w^T`.   [T, K] x [N, K] -> [T, N]
    #[track_caller]
    pub fn linear(self, w: &Weight) -> Self {
        self.linear_with(w, Linear::default())
    }

    /// `x w^T` with a norm before it, a bias, a residual or a gate after it.
    #[track_caller]
    pub fn linear_with(self, w: &Weight, with: Linear<'_, 'g>) -> Self {
        let ([t, k], [n, wk]) = (self.rows(), w.shape().rows());
        assert_eq!(k, wk, "linear: an input of {k} for a weight of {:?}", w.shape());
        let fused = t == 1 && !serial(self.graph().gpu()) && k.is_multiple_of(4);
        if let (Some((norm, eps)), false) = (with.norm, fused) {
            return self.rms_norm(norm, eps, with.state).linear_with(w, Linear { norm: None, ..with });
        }
        if let (Some(gate), true) = (with.gate, w.slices().len() > 1) {
            assert!(with.residual.is_none(), "linear: a gate and a residual together");
            let both = self.linear_with(w, Linear { gate: None, ..with });
            return match gate {
                Gate::Silu => both.silu_mul(with.state),
                Gate::Geglu => both.geglu(),
            };
        }
        let n = if with.gate.is_some() { n / 2 } else { n };
        let y = with.into.unwrap_or_else(|| self.graph().tensor([t, n]));
        assert_eq!(y.rows(), [t, n], "linear: where to write");
        if let Some(residual) = with.residual {
            assert_eq!(residual.shape(), y.shape(), "linear: the residual");
        }
        for slice in w.slices() {
            if t == 1 {
                self.linear_vec(y, slice, with, k, None);
            } else {
                self.linear_tile(y, slice, with, k);
            }
        }
        y
    }

    /// `merge(x) w^T (+ residual)`: `self` is what [`super::Attention::decode`] left, [`super::SPLITS`] splits to a head.
    #[track_caller]
    pub fn merge_linear(self, w: &Weight, head_dim: usize, bias: Option<&Weight>, residual: Option<Self>) -> Self {
        let [n, k] = w.shape().rows();
        let y = self.graph().tensor([1, n]);
        let with = Linear { bias, residual, ..Linear::default() };
        w.slices().iter().for_each(|slice| self.linear_vec(y, slice, with, k, Some(head_dim)));
        y
    }

    #[track_caller]
    fn linear_vec(self, y: Self, slice: &Slice, with: Linear<'_, 'g>, k: usize, merge: Option<usize>) {
        let gpu = self.graph().gpu();
        let gated = with.gate.is_some();
        let rows = if gated { slice.rows / 2 } else { slice.rows };
        let (row_groups, blocks) = (rows.div_ceil(if gated { 2 } else { 4 }), k.div_ceil(32));
        let tuning = tuning_for(gpu, row_groups, blocks);
        let mut op = reduce_by(self.graph().op(&LINEAR_VEC).parts(weight_parts(slice.dtype)), gpu, tuning);
        if let Some(head_dim) = merge {
            op = op.constant("HEAD_QUADS", head_dim / 4).constant("SPLITS", super::SPLITS);
        }
        let input = match (merge, with.norm) {
            (Some(_), _) => &INPUT_MERGE,
            (None, Some(_)) => &INPUT_NORM,
            (None, None) => &INPUT_PLAIN,
        };
        ends_with(op.part(input).parts(dots_parts(gpu, slice.dtype)).part(&LINEAR), gpu, with.ends())
            .set("K_TAIL", !k.is_multiple_of(32))
            .weight(slice)
            .bind(self)
            .vector(with.norm.map(|(w, _)| w))
            .vector(with.bias)
            .bind_or_nothing(with.residual)
            .bind(y)
            .params(VecParams {
                k: k as u32,
                k_quads: k.div_ceil(4) as u32,
                blocks: blocks as u32,
                rows: rows as u32,
                y_row: slice.row as u32,
                gate_rows: rows as u32,
                eps: with.norm.map_or(0.0, |(_, eps)| eps),
                ends: with.ends().bits(),
            })
            .macs(slice.rows * k)
            .dispatch_linear(row_groups.div_ceil(tuning.groups()));
    }

    #[track_caller]
    fn linear_tile(self, y: Self, slice: &Slice, with: Linear<'_, 'g>, k: usize) {
        let gpu = self.graph().gpu();
        let [t, _] = self.rows();
        let gated = with.gate.is_some();
        let rows = if gated { slice.rows / 2 } else { slice.rows };
        let (op, [columns, tiles]) = if serial(gpu) {
            let invocations = rows.div_ceil(if gated { 4 } else { 8 });
            let op = self.graph().op(&LINEAR_TILE_SERIAL).set("WG", 4u32).set("K_TAIL", !k.is_multiple_of(32));
            (op, [invocations.div_ceil(4), t.div_ceil(16)])
        } else {
            tile(self.graph().op(&LINEAR_TILE).parts(tile_parts(gpu, slice.dtype)), gpu, [t, slice.rows], 512)
        };
        ends_with(op.parts(weight_parts(slice.dtype)).part(&LINEAR), gpu, with.ends())
            .weight(slice)
            .bind(self)
            .vector(with.bias)
            .bind_or_nothing(with.residual)
            .bind(y)
            .bounded(with.state)
            .params(TileParams {
                t: t as u32,
                k_quads: k.div_ceil(4) as u32,
                x_quads: super::quads(self),
                blocks: k.div_ceil(32) as u32,
                rows: rows as u32,
                y_row: slice.row as u32,
                y_stride: y.stride() as u32,
                gate_rows: rows as u32,
                ends: with.ends().bits(),
            })
            .macs(t * slice.rows * k)
            .dispatch_rows(columns, tiles);
    }
}
