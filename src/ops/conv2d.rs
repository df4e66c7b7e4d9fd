//! Convolution of feature maps: implicit GEMM, no column buffer.   x: [N, H, W, C], w: [O, side, side, C] -> [N, H', W', O]

use super::activation::{Activation, Ends};
use super::map::{Map, Rows};
use super::tiles::tile;
use super::variants::{COLUMNS, CONV, TILE, ends_with, serial, weight_by_fours, weight_parts};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Choice, Kernel, Params, Tensor, Weight, params, wgsl};

const BINDINGS: &[crate::gpu::Access] = &[Read, Read, Read, Read, Read, Read, Write, Read];

pub(super) static CONV2D: Kernel = Kernel {
    name: "conv2d",
    source: wgsl!(include_str!("../../shaders/conv2d.wgsl")),
    bindings: BINDINGS,
    fields: ConvParams::FIELDS,
};

pub(super) static CONV2D_SERIAL: Kernel = Kernel {
    name: "conv2d_serial",
    source: wgsl!(include_str!("../../shaders/conv2d_serial.wgsl")),
    bindings: BINDINGS,
    fields: ConvParams::FIELDS,
};

pub(super) static CONV2D_WINOGRAD: Kernel = Kernel {
    name: "conv2d_winograd",
    source: wgsl!(include_str!("../../shaders/conv2d_winograd.wgsl")),
    bindings: BINDINGS,
    fields: ConvParams::FIELDS,
};

params! {
    struct ConvParams {
        pixels: u32, out_w: u32, out_pixels: u32, side: u32, stride: u32, pad: u32, up: u32,
        x_rows: u32, x_w: u32, x_quads: u32, c_quads: u32, c_blocks: u32, limit_h: u32, limit_w: u32,
        rows: u32, y_row: u32, y_stride: u32, y_rows: u32, r_rows: u32, channels_stride: u32, channels_first: u32,
        ends: u32, out_mul: i32, out_add: i32, x_mul: i32, x_add: i32, y_mul: i32, y_add: i32, r_mul: i32, r_add: i32,
    }
}

/// Channels of one tap that share a block of weights: rows of a convolution's weights are padded to whole blocks per tap.
pub const CHANNEL_BLOCK: usize = 32;

/// What a convolution does besides multiplying. The default: stride 1, no padding, nothing added.
#[derive(Clone, Copy, Default)]
pub struct Conv<'a, 'g> {
    /// Rows and columns from one output pixel to the next; 0 stands for 1.
    pub stride: usize,
    /// Zeros around the input: before its first and after its last row and column.
    pub pad: [usize; 2],
    /// The input is first enlarged to this height and width, about twice its own, nearest pixel.
    pub enlarged: Option<[usize; 2]>,
    /// Added to every pixel: [O].
    pub bias: Option<&'a Weight>,
    /// Added to every pixel of a picture: the columns of [N, ..] or [1, ..] from a number on.
    pub channels: Option<(Tensor<'g>, usize)>,
    /// Added to the result: as large as it.
    pub residual: Option<Map<'g>>,
    /// What it ends with.
    pub activation: Activation,
    /// Which rows to make; `None`: all.
    pub rows: Option<Rows>,
    /// Where to write them; `None`: to a tensor of their own.
    pub into: Option<Map<'g>>,
}

impl<'g> Map<'g> {
    /// `conv(x, w)` with what `with` adds. `w` is [O, side * side * C'], C' being C padded to [`CHANNEL_BLOCK`].
    #[track_caller]
    pub fn conv2d(self, w: &Weight, with: Conv<'_, 'g>) -> Map<'g> {
        let graph = self.t.graph();
        let [out_channels, k] = w.shape().rows();
        let padded = self.channels().next_multiple_of(CHANNEL_BLOCK);
        let side = (k / padded).isqrt();
        assert_eq!(side * side * padded, k, "conv2d: {} channels for a weight of {:?}", self.channels(), w.shape());
        let stride = with.stride.max(1);
        let [limit_h, limit_w] = with.enlarged.unwrap_or([self.rows.height, self.w]);
        let extent = |n: usize| (n + with.pad[0] + with.pad[1] - side) / stride + 1;
        let (out_h, out_w) = (extent(limit_h), extent(limit_w));
        let rows = with.rows.unwrap_or(Rows::all(out_h));
        assert_eq!(rows.height, out_h, "conv2d: rows of another picture");
        let y = with.into.unwrap_or_else(|| {
            Map::new(graph.tensor([self.n * rows.count * out_w, out_channels]), self.n, out_w, rows)
        });
        assert_eq!((y.w, y.channels(), y.rows.height), (out_w, out_channels, out_h), "conv2d: where to write");
        if let Some(r) = with.residual {
            assert_eq!((r.w, r.channels(), r.rows.height), (out_w, out_channels, out_h), "conv2d: the residual");
        }
        let residual = with.residual.map_or(y.rows, |r| r.rows);
        let banded = [self.rows, rows, y.rows, residual].iter().any(|r| r.mul != 0);
        let pixels = self.n * rows.count * out_w;
        let gpu = graph.gpu();
        let by_winograd = gpu.chose(Choice::Winograd) && (side, stride) == (3, 1);
        let ends = Ends {
            bias: with.bias.is_some(),
            residual: with.residual.is_some(),
            channels: with.channels.is_some(),
            gate: None,
            activation: with.activation,
        };
        for slice in w.slices() {
            let (op, [columns, tiles]) = if serial(gpu) {
                let c_tail = !self.channels().is_multiple_of(CHANNEL_BLOCK);
                let op = graph.op(&CONV2D_SERIAL).set("WG", 4u32).set("C_TAIL", c_tail);
                (op, [slice.rows.div_ceil(8).div_ceil(4), pixels.div_ceil(16)])
            } else if by_winograd && weight_by_fours(slice.dtype) {
                // Rows of tiles begin at even rows of the picture, bands perhaps at odd ones.
                let high = if banded { rows.count / 2 + 1 } else { rows.count.div_ceil(2) };
                let tiles = self.n * high * out_w.div_ceil(2);
                (graph.op(&CONV2D_WINOGRAD).part(&COLUMNS), [slice.rows.div_ceil(32), tiles.div_ceil(32)])
            } else {
                tile(graph.op(&CONV2D).part(&TILE[0]), gpu, [pixels, slice.rows], 256)
            };
            let op = ends_with(op.parts(weight_parts(slice.dtype)).part(&CONV), gpu, ends)
                .set("BANDED", banded)
                .weight(slice)
                .bind(self.t)
                .vector(with.bias)
                .bind_or_nothing(with.channels.map(|c| c.0))
                .bind_or_nothing(with.residual.map(|r| r.t))
                .bind(y.t);
            let op = match banded {
                true => op.region(graph.band()),
                false => op.nothing(),
            };
            op.params(ConvParams {
                pixels: pixels as u32,
                out_w: out_w as u32,
                out_pixels: (rows.count * out_w) as u32,
                side: side as u32,
                stride: stride as u32,
                pad: with.pad[0] as u32,
                up: if with.enlarged.is_some() { 2 } else { 1 },
                x_rows: self.rows.count as u32,
                x_w: self.w as u32,
                x_quads: super::quads(self.t),
                c_quads: self.channels().div_ceil(4) as u32,
                c_blocks: (padded / CHANNEL_BLOCK) as u32,
                limit_h: limit_h as u32,
                limit_w: limit_w as u32,
                rows: slice.rows as u32,
                y_row: slice.row as u32,
                y_stride: y.t.stride() as u32,
                y_rows: y.rows.count as u32,
                r_rows: residual.count as u32,
                channels_stride: with.channels.map_or(0, |c| if c.0.rows()[0] == 1 { 0 } else { c.0.stride() as u32 }),
                channels_first: with.channels.map_or(0, |c| c.1 as u32),
                ends: ends.bits(),
                out_mul: rows.mul,
                out_add: rows.add,
                x_mul: self.rows.mul,
                x_add: self.rows.add,
                y_mul: y.rows.mul,
                y_add: y.rows.add,
                r_mul: residual.mul,
                r_add: residual.add,
            })
            .macs(pixels * slice.rows * self.channels() * side * side)
            .dispatch_rows(columns, tiles);
        }
        y
    }
}
