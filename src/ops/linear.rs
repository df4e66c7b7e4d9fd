//! `y = x w^T (+ bias) * scale (+ residual)`, with what is fused into it.   x: [T, K], w: [N, K] -> [T, N]
//!
//! One row (decode) is a matrix-vector product that reads the weights once; many rows (prefill) are tiled.

// Long because: the kernels of one row and of many share what is fused into a product.

use super::Bounded;
use super::activation::{Activation, Ends, Gate};
use super::input::{Input, Norm};
use super::merge::SPLITS;
use super::rms_norm::RmsNorm;
use super::tiles::tile;
use super::variants::{
    GATES, INPUT_MERGE, INPUT_NORM, INPUT_PLAIN, LINEAR, SOFT_CAP, dots_parts, ends_with, reduce_by, serial,
    tile_parts, tuning_for, weight_parts,
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
        scale: f32, cap: f32,
    }
}
params! {
    struct TileParams {
        t: u32, k_quads: u32, x_quads: u32, blocks: u32, rows: u32, y_row: u32, y_stride: u32, gate_rows: u32,
        ends: u32, scale: f32, cap: f32,
    }
}

/// Work that a linear layer does besides the product. The default is nothing.
#[derive(Clone, Copy)]
pub struct Linear<'a, 'g> {
    /// Added to every row: [N].
    pub bias: Option<&'a Weight>,
    /// Makes one result of the two halves of the weight's rows. (If they are encoded differently, or exceed a binding,
    /// with one more dispatch.)
    pub gate: Option<Gate>,
    /// Multiplies product and bias.
    pub scale: f32,
    /// Added to the result: [T, N].
    pub residual: Option<Tensor<'g>>,
    /// The result becomes `cap * tanh(result / cap)`.
    pub soft_cap: Option<f32>,
    /// Applied last.
    pub activation: Activation,
    /// Where to write the result; `None`: to a tensor of its own.
    pub into: Option<Tensor<'g>>,
    /// How many of the rows hold tokens: see [`super::Attention`].
    pub state: Option<&'a Region>,
}

impl Default for Linear<'_, '_> {
    fn default() -> Self {
        Linear {
            bias: None,
            gate: None,
            scale: 1.0,
            residual: None,
            soft_cap: None,
            activation: Activation::None,
            into: None,
            state: None,
        }
    }
}

impl Linear<'_, '_> {
    fn ends(&self) -> Ends {
        let Linear { bias, residual, gate, activation, soft_cap, .. } = *self;
        let (bias, residual, capped) = (bias.is_some(), residual.is_some(), soft_cap.is_some());
        Ends { bias, residual, channels: false, capped, gate, activation }
    }
}

/// How a row is made while it is multiplied.
#[derive(Clone, Copy)]
enum Row<'a> {
    Plain,
    Norm(&'a Weight, f32),
    /// Quads of a value head.
    Merge(usize),
}

impl<'g> Tensor<'g> {
    /// Computes `x w^T`.   [T, K] x [N, K] -> [T, N]
    #[track_caller]
    pub fn linear(self, w: &Weight) -> Self {
        self.linear_with(w, Linear::default())
    }

    /// Computes `x w^T` with what is added before and after.
    #[track_caller]
    pub fn linear_with(self, w: &Weight, with: Linear<'_, 'g>) -> Self {
        Input::Plain(self).linear(w, with)
    }
}

impl<'g> Input<'_, 'g> {
    /// Computes `x w^T` of what it stands for, taken in by the product where a kernel can.   [T, K] x [N, K] -> [T, N]
    #[track_caller]
    pub fn linear(&self, w: &Weight, with: Linear<'_, 'g>) -> Tensor<'g> {
        let (x, row) = match self {
            Input::Splits(splits) => (splits.parts, Row::Merge(splits.value_dim / 4)),
            Input::Plain(x) => (*x, Row::Plain),
            Input::Normed(normed) => {
                let [t, k] = normed.x.rows();
                match normed.norm {
                    Norm::Rms(RmsNorm { weight: Some(weight), eps })
                        if t == 1 && !serial(normed.x.graph().gpu()) && k.is_multiple_of(4) =>
                    {
                        (normed.x, Row::Norm(weight, *eps))
                    }
                    _ => (normed.tensor(), Row::Plain),
                }
            }
        };
        let [n, k] = w.shape().rows();
        let t = match self {
            Input::Splits(splits) => {
                assert_eq!(k, splits.heads * splits.value_dim, "linear: splits for a weight of {:?}", w.shape());
                1
            }
            _ => {
                assert_eq!(x.rows()[1], k, "linear: an input of {:?} for a weight of {:?}", x.shape(), w.shape());
                x.rows()[0]
            }
        };
        if let (Some(gate), true) = (with.gate, w.slices().len() > 1) {
            let Linear { residual, scale, soft_cap, activation, into, .. } = with;
            let alone = residual.is_none() && scale == 1.0 && soft_cap.is_none() && into.is_none();
            assert!(alone && activation == Activation::None, "linear: a gate in slices, and more after it");
            return self.linear(w, Linear { gate: None, ..with }).gate(gate, with.state);
        }
        let n = if with.gate.is_some() { n / 2 } else { n };
        let y = with.into.unwrap_or_else(|| x.graph().tensor([t, n]));
        assert_eq!(y.rows(), [t, n], "linear: where to write");
        if let Some(residual) = with.residual {
            assert_eq!(residual.shape(), y.shape(), "linear: the residual");
        }
        for slice in w.slices() {
            if t == 1 { linear_vec(x, row, y, slice, with, k) } else { linear_tile(x, y, slice, with, k) }
        }
        y
    }
}

#[track_caller]
fn linear_vec<'g>(x: Tensor<'g>, row: Row<'_>, y: Tensor<'g>, slice: &Slice, with: Linear<'_, 'g>, k: usize) {
    let gpu = x.graph().gpu();
    let gated = with.gate.is_some();
    let rows = if gated { slice.rows / 2 } else { slice.rows };
    let (row_groups, blocks) = (rows.div_ceil(if gated { 2 } else { 4 }), k.div_ceil(32));
    let tuning = tuning_for(gpu, row_groups, blocks);
    let op = reduce_by(x.graph().op(&LINEAR_VEC).parts(weight_parts(slice.dtype)), gpu, tuning);
    let (op, norm) = match row {
        Row::Plain => (op.part(&INPUT_PLAIN), None),
        Row::Norm(weight, eps) => (op.part(&INPUT_NORM), Some((weight, eps))),
        Row::Merge(quads) => (op.constant("HEAD_QUADS", quads).constant("SPLITS", SPLITS).part(&INPUT_MERGE), None),
    };
    ends_with(op.parts(dots_parts(gpu, slice.dtype)).part(&LINEAR).part(&GATES).part(&SOFT_CAP), gpu, with.ends())
        .set("K_TAIL", !k.is_multiple_of(32))
        .weight(slice)
        .bind(x)
        .vector(norm.map(|(w, _)| w))
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
            eps: norm.map_or(0.0, |(_, eps)| eps),
            ends: with.ends().bits(),
            scale: with.scale,
            cap: with.soft_cap.unwrap_or(1.0),
        })
        .macs(slice.rows * k)
        .dispatch_linear(row_groups.div_ceil(tuning.groups()));
}

#[track_caller]
fn linear_tile<'g>(x: Tensor<'g>, y: Tensor<'g>, slice: &Slice, with: Linear<'_, 'g>, k: usize) {
    let gpu = x.graph().gpu();
    let [t, _] = x.rows();
    let gated = with.gate.is_some();
    let rows = if gated { slice.rows / 2 } else { slice.rows };
    let (op, [columns, tiles]) = if serial(gpu) {
        let invocations = rows.div_ceil(if gated { 4 } else { 8 });
        let op = x.graph().op(&LINEAR_TILE_SERIAL).set("WG", 4u32).set("K_TAIL", !k.is_multiple_of(32));
        (op, [invocations.div_ceil(4), t.div_ceil(16)])
    } else {
        tile(x.graph().op(&LINEAR_TILE).parts(tile_parts(gpu, slice.dtype)), gpu, [t, slice.rows], 512)
    };
    ends_with(op.parts(weight_parts(slice.dtype)).part(&LINEAR).part(&GATES).part(&SOFT_CAP), gpu, with.ends())
        .weight(slice)
        .bind(x)
        .vector(with.bias)
        .bind_or_nothing(with.residual)
        .bind(y)
        .bounded(with.state)
        .params(TileParams {
            t: t as u32,
            k_quads: k.div_ceil(4) as u32,
            x_quads: super::quads(x),
            blocks: k.div_ceil(32) as u32,
            rows: rows as u32,
            y_row: slice.row as u32,
            y_stride: y.stride() as u32,
            gate_rows: rows as u32,
            ends: with.ends().bits(),
            scale: with.scale,
            cap: with.soft_cap.unwrap_or(1.0),
        })
        .macs(t * slice.rows * k)
        .dispatch_rows(columns, tiles);
}
