//! Convolution of feature maps: implicit GEMM, no column buffer.
//!   x: [N, H, W, C], w: [O, side, side, C] -> [N, H', W', O]

use super::activation::{Activation, Ends};
use super::map::{Map, Rows};
use super::tiles::tile;
use super::variants::{COLUMNS, CONV, TILE, ends_with, serial, weight_by_fours, weight_parts};
use crate::dtype::BLOCK;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Choice, Gpu, Kernel, OpBuilder, Params, Slice, Tensor, Weight, params, wgsl};

const fn kernel(name: &'static str, source: &'static str) -> Kernel {
    const BINDINGS: &[crate::gpu::Access] = &[Read, Read, Read, Read, Read, Read, Write, Read];
    Kernel { name, source, bindings: BINDINGS, fields: ConvParams::FIELDS }
}

pub(super) static CONV2D: Kernel = kernel("conv2d", wgsl!(include_str!("../../shaders/conv2d.wgsl")));
pub(super) static CONV2D_SERIAL: Kernel =
    kernel("conv2d_serial", wgsl!(include_str!("../../shaders/conv2d_serial.wgsl")));
pub(super) static CONV2D_WINOGRAD: Kernel =
    kernel("conv2d_winograd", wgsl!(include_str!("../../shaders/conv2d_winograd.wgsl")));

params! {
    // x is the input, y the result, r the residual; of each map the rows that it holds, and of `out` those to make, are
    // numbered `mul * band + add`.
    struct ConvParams {
        pixels: u32, out_w: u32, out_pixels: u32, side: u32, stride: u32, pad: u32, up: u32,
        x_rows: u32, x_w: u32, x_quads: u32, c_quads: u32, c_blocks: u32, limit_h: u32, limit_w: u32,
        rows: u32, y_row: u32, y_stride: u32, y_rows: u32, r_rows: u32, channels_stride: u32, channels_first: u32,
        ends: u32, out_mul: i32, out_add: i32, x_mul: i32, x_add: i32, y_mul: i32, y_add: i32, r_mul: i32, r_add: i32,
    }
}

/// Channels of one tap that share a block of weights: rows of a convolution's weights are padded to whole blocks per
/// tap.
pub const CHANNEL_BLOCK: usize = BLOCK;

/// A convolution's options. The default: stride 1, no padding, nothing added.
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
    /// Applied to the sum of all.
    pub activation: Activation,
    /// Which rows to make; `None`: all.
    pub rows: Option<Rows>,
    /// Where to write them; `None`: to a tensor of their own.
    pub into: Option<Map<'g>>,
}

/// A convolution with its sizes.
struct Filtering<'a, 'g> {
    x: Map<'g>,
    y: Map<'g>,
    with: Conv<'a, 'g>,
    /// Taps in a row.
    side: usize,
    stride: usize,
    /// Height and width that the taps see.
    limit: [usize; 2],
    /// Rows to make.
    rows: Rows,
    /// Rows that the residual holds.
    residual: Rows,
}

impl<'a, 'g> Filtering<'a, 'g> {
    #[track_caller]
    fn new(x: Map<'g>, w: &Weight, with: Conv<'a, 'g>) -> Self {
        let [out_channels, k] = w.shape().rows();
        let padded = x.channels().next_multiple_of(CHANNEL_BLOCK);
        let side = (k / padded).isqrt();
        assert_eq!(side * side * padded, k, "conv2d: {} channels for a weight of {:?}", x.channels(), w.shape());
        let stride = with.stride.max(1);
        let limit = with.enlarged.unwrap_or([x.rows.height, x.w]);
        let [out_h, out_w] = limit.map(|n| (n + with.pad[0] + with.pad[1] - side) / stride + 1);
        let rows = with.rows.unwrap_or(Rows::all(out_h));
        assert_eq!(rows.height, out_h, "conv2d: rows of another picture");
        let y = with.into.unwrap_or_else(|| {
            Map::new(x.t.graph().tensor([x.n * rows.count * out_w, out_channels]), x.n, out_w, rows)
        });
        assert_eq!((y.w, y.channels(), y.rows.height), (out_w, out_channels, out_h), "conv2d: where to write");
        if let Some(r) = with.residual {
            assert_eq!((r.w, r.channels(), r.rows.height), (out_w, out_channels, out_h), "conv2d: the residual");
        }
        let residual = with.residual.map_or(y.rows, |r| r.rows);
        Filtering { x, y, with, side, stride, limit, rows, residual }
    }

    /// Counts the pixels to make.
    fn pixels(&self) -> usize {
        self.x.n * self.rows.count * self.y.w
    }

    /// Says whether some rows move with the band.
    fn banded(&self) -> bool {
        [self.x.rows, self.rows, self.y.rows, self.residual].iter().any(|r| r.mul != 0)
    }

    /// Chooses the kernel for a slice of the weight: its dispatch, and how many workgroups it takes, by columns and
    /// rows.
    fn kernel(&self, gpu: &Gpu, slice: &Slice) -> (OpBuilder<'g>, [usize; 2]) {
        let (graph, pixels) = (self.x.t.graph(), self.pixels());
        if serial(gpu) {
            let c_tail = !self.x.channels().is_multiple_of(CHANNEL_BLOCK);
            let op = graph.op(&CONV2D_SERIAL).set("WG", 4u32).set("C_TAIL", c_tail);
            return (op, [slice.rows.div_ceil(8).div_ceil(4), pixels.div_ceil(16)]);
        }
        let by_winograd = gpu.chose(Choice::Winograd) && (self.side, self.stride) == (3, 1);
        if by_winograd && weight_by_fours(slice.dtype) {
            // Rows of tiles begin at even rows of the picture, bands perhaps at odd ones.
            let high = if self.banded() { self.rows.count / 2 + 1 } else { self.rows.count.div_ceil(2) };
            let tiles = self.x.n * high * self.y.w.div_ceil(2);
            return (graph.op(&CONV2D_WINOGRAD).part(&COLUMNS), [slice.rows.div_ceil(32), tiles.div_ceil(32)]);
        }
        tile(graph.op(&CONV2D).part(&TILE[0]), gpu, [pixels, slice.rows], 256)
    }

    fn ends(&self) -> Ends {
        let Conv { activation, bias, residual, channels, .. } = self.with;
        let (bias, residual, channels) = (bias.is_some(), residual.is_some(), channels.is_some());
        Ends { bias, residual, channels, capped: false, gate: None, activation }
    }

    fn params(&self, slice: &Slice) -> ConvParams {
        let (x, y, r, out) = (self.x, self.y, self.residual, self.rows);
        let channels = self.with.channels;
        ConvParams {
            pixels: self.pixels() as u32,
            out_w: y.w as u32,
            out_pixels: (out.count * y.w) as u32,
            side: self.side as u32,
            stride: self.stride as u32,
            pad: self.with.pad[0] as u32,
            up: if self.with.enlarged.is_some() { 2 } else { 1 },
            x_rows: x.rows.count as u32,
            x_w: x.w as u32,
            x_quads: super::quads(x.t),
            c_quads: x.channels().div_ceil(4) as u32,
            c_blocks: x.channels().div_ceil(CHANNEL_BLOCK) as u32,
            limit_h: self.limit[0] as u32,
            limit_w: self.limit[1] as u32,
            rows: slice.rows as u32,
            y_row: slice.row as u32,
            y_stride: y.t.stride() as u32,
            y_rows: y.rows.count as u32,
            r_rows: r.count as u32,
            channels_stride: channels.map_or(0, |c| if c.0.rows()[0] == 1 { 0 } else { c.0.stride() as u32 }),
            channels_first: channels.map_or(0, |c| c.1 as u32),
            ends: self.ends().bits(),
            out_mul: out.mul,
            out_add: out.add,
            x_mul: x.rows.mul,
            x_add: x.rows.add,
            y_mul: y.rows.mul,
            y_add: y.rows.add,
            r_mul: r.mul,
            r_add: r.add,
        }
    }
}

impl<'g> Map<'g> {
    /// Records `conv(x, w)` with the options in `with`. `w` is [O, side * side * C'], C' being C padded to
    /// [`CHANNEL_BLOCK`].
    #[track_caller]
    pub fn conv2d(self, w: &Weight, with: Conv<'_, 'g>) -> Map<'g> {
        let (f, graph) = (Filtering::new(self, w, with), self.t.graph());
        for slice in w.slices() {
            let (op, [columns, tiles]) = f.kernel(graph.gpu(), slice);
            let op = ends_with(op.parts(weight_parts(slice.dtype)).part(&CONV), graph.gpu(), f.ends())
                .set("BANDED", f.banded())
                .weight(slice)
                .bind(self.t)
                .vector(with.bias)
                .bind_or_nothing(with.channels.map(|c| c.0))
                .bind_or_nothing(with.residual.map(|r| r.t))
                .bind(f.y.t);
            let op = match f.banded() {
                true => op.region(graph.band()),
                false => op.nothing(),
            };
            op.params(f.params(slice))
                .macs(f.pixels() * slice.rows * self.channels() * f.side * f.side)
                .dispatch_rows(columns, tiles);
        }
        f.y
    }
}
