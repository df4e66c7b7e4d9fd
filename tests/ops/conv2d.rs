//! `Map::conv2d` (conv2d, conv2d_serial, conv2d_winograd) against a loop over pixels and taps. Bands: see conv2d_bands.

use inkstone::dtype::DType;
use inkstone::gpu::{Choice, Gpu};
use inkstone::ops::{Activation, CHANNEL_BLOCK, Conv, Map, Rows};
use std::rc::Rc;
use support::gpu::{Stored, activation, each_choosing, each_folding, matrix, run, vector};
use support::reference::layers::activate;
use support::reference::maps::Convolution;
use support::reference::weights::{Numbers, made_up};
use support::tolerance::{Tolerance, check};

/// Filters of `taps` taps of `c` channels, each tap padded to whole blocks: bytes, and the numbers they stand for. The last
/// quad's padding is zeros; what lies past it nobody may use, for not every encoding has a zero.
pub fn filters(dtype: DType, o: usize, taps: usize, c: usize, numbers: &mut Numbers) -> (Vec<u8>, Vec<f64>) {
    let padded = c.next_multiple_of(CHANNEL_BLOCK);
    let (mut bytes, mut values) = made_up(dtype, o * taps * padded, numbers);
    let absent = |i: usize| (c..c.next_multiple_of(4)).contains(&(i % padded));
    values.iter_mut().enumerate().filter(|(i, _)| absent(*i)).for_each(|(_, v)| *v = 0.0);
    let block_bytes = dtype.block_bytes() * 32 / dtype.block_len();
    let each = block_bytes / 32;
    for (b, block) in bytes.chunks_exact_mut(block_bytes).enumerate() {
        for i in (0..32).filter(|i| absent(b * 32 + i)) {
            match dtype {
                DType::Q8_0 => block[2 + i] = 0,
                // Of two weights in a byte, eight stands for zero.
                DType::Q4_0 if i < 16 => block[2 + i] = block[2 + i] & 0xf0 | 8,
                DType::Q4_0 => block[2 + i - 16] = block[2 + i - 16] & 0x0f | 0x80,
                _ => block[i * each..(i + 1) * each].fill(0),
            }
        }
    }
    (bytes, values)
}

/// A convolution to try, by filters that are stored in slices.
#[derive(Clone, Debug)]
struct Case<'a> {
    n: usize,
    size: [usize; 2],
    c: usize,
    slices: &'a [(DType, usize)],
    side: usize,
    stride: usize,
    pad: [usize; 2],
    enlarged: Option<[usize; 2]>,
    bias: bool,
    /// Rows of what is added to each picture's channels, and the column where it begins.
    channels: Option<(usize, usize)>,
    residual: bool,
    activation: Activation,
}

const PLAIN: Case<'static> = Case {
    n: 1,
    size: [5, 6],
    c: 4,
    slices: &[(DType::F32, 7)],
    side: 3,
    stride: 1,
    pad: [1, 1],
    enlarged: None,
    bias: false,
    channels: None,
    residual: false,
    activation: Activation::None,
};

fn try_case(name: &str, gpu: &Rc<Gpu>, c: &Case<'_>, numbers: &mut Numbers) {
    let (mut parts, mut weights) = (Vec::new(), Vec::new());
    for &(dtype, rows) in c.slices {
        let (bytes, values) = filters(dtype, rows, c.side * c.side, c.c, numbers);
        parts.push(Stored { dtype, bytes });
        weights.extend(values);
    }
    let (n, size, padded) = (c.n, c.size, c.c.next_multiple_of(CHANNEL_BLOCK));
    let channels = [c.c, padded];
    let formula = Convolution { size, channels, side: c.side, stride: c.stride, pad: c.pad, enlarged: c.enlarged };
    let o = weights.len() / (c.side * c.side * padded);
    let [out_h, out_w] = formula.out();
    let pixels = out_h * out_w;
    let (x, bias, residual) =
        (numbers.floats(n * size[0] * size[1] * c.c), numbers.floats(o), numbers.floats(n * pixels * o));
    let (rows, first) = c.channels.unwrap_or((1, 0));
    let added = numbers.floats(rows * (first + o + 3));

    let mut want = formula.run(&x, &weights);
    for (i, v) in want.iter_mut().enumerate() {
        let row = if rows == 1 { 0 } else { i / (pixels * o) };
        *v += if c.bias { f64::from(bias[i % o]) } else { 0.0 };
        *v += if c.channels.is_some() { f64::from(added[row * (first + o + 3) + first + i % o]) } else { 0.0 };
        *v += if c.residual { f64::from(residual[i]) } else { 0.0 };
        *v = activate(*v, c.activation);
    }

    let w = matrix(gpu, c.side * c.side * padded, &parts);
    let bias = vector(gpu, &bias);
    let [x, added, residual] =
        [(&x, c.c), (&added, first + o + 3), (&residual, o)].map(|(v, last)| activation(gpu, v, last));
    let got = run(gpu, |g| {
        let map = |region, [h, w]: [usize; 2], c| Map::new(g.given(region, [n * h * w, c]), n, w, Rows::all(h));
        let with = Conv {
            stride: c.stride,
            pad: c.pad,
            enlarged: c.enlarged,
            bias: c.bias.then_some(&bias),
            channels: c.channels.map(|_| (g.given(&added, [rows, first + o + 3]), first)),
            residual: c.residual.then(|| map(&residual, [out_h, out_w], o)),
            activation: c.activation,
            ..Conv::default()
        };
        map(&x, size, c.c).conv2d(&w, with).t
    });
    check(&format!("{name}: {c:?}"), &want, &got.values, Tolerance::F32);
}

/// Channels around the edges of quads and blocks, filters around those of tiles.
#[test]
fn channels_around_every_edge() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(1);
        for c in [1, 2, 3, 4, 5, 7, 8, 12, 20, 30, 31, 32, 33, 36, 63, 64, 65, 96, 100] {
            try_case(name, gpu, &Case { c, ..PLAIN }, &mut numbers);
            try_case(name, gpu, &Case { c, side: 1, pad: [0, 0], ..PLAIN }, &mut numbers);
        }
        for o in [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 127, 130] {
            for c in [3, 64] {
                try_case(name, gpu, &Case { c, slices: &[(DType::F32, o)], ..PLAIN }, &mut numbers);
            }
        }
    });
}

/// Every side, stride and padding of published models, and some of none, on pictures around the edges of tiles.
#[test]
fn sides_strides_and_paddings() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(2);
        for size in [[1, 1], [1, 7], [2, 2], [3, 4], [4, 8], [9, 11], [16, 16], [33, 2]] {
            for (side, pads) in
                [(1, &[[0, 0]][..]), (2, &[[0, 0]]), (3, &[[1, 1], [0, 1], [0, 0], [1, 0], [2, 2]]), (5, &[[2, 2]])]
            {
                for (stride, pad) in [1, 2, 3].into_iter().flat_map(|s| pads.iter().map(move |p| (s, *p))) {
                    if size.iter().any(|n| n + pad[0] + pad[1] < side) {
                        continue;
                    }
                    for n in [1, 2] {
                        try_case(name, gpu, &Case { n, size, side, stride, pad, ..PLAIN }, &mut numbers);
                    }
                }
            }
        }
    });
}

/// Twice as large, or one less where a picture was halved from an odd side.
#[test]
fn enlarged_inputs() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(3);
        for size in [[1, 1], [1, 5], [3, 4], [8, 8], [7, 13]] {
            let [h, w] = size.map(|n| 2 * n);
            for enlarged in [[h, w], [h - 1, w], [h, w - 1], [h - 1, w - 1]] {
                for (n, c) in [(1, 4), (2, 33)] {
                    try_case(name, gpu, &Case { n, size, c, enlarged: Some(enlarged), ..PLAIN }, &mut numbers);
                }
                let c = Case { size, enlarged: Some(enlarged), stride: 2, bias: true, residual: true, ..PLAIN };
                try_case(name, gpu, &c, &mut numbers);
            }
        }
    });
}

/// Everything that can be added, in every combination, and everything a convolution can end with.
#[test]
fn what_is_added_and_what_it_ends_with() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(4);
        for mask in 0..8 {
            let on = |bit: usize| mask & (1 << bit) != 0;
            for (n, rows, first) in [(1, 1, 0), (2, 1, 5), (2, 2, 0), (3, 3, 8)] {
                let channels = on(1).then_some((rows, first));
                let c = Case { n, bias: on(0), channels, residual: on(2), ..PLAIN };
                try_case(name, gpu, &Case { slices: &[(DType::F32, 70)], ..c }, &mut numbers);
            }
        }
        for activation in [Activation::Silu, Activation::Gelu, Activation::QuickGelu, Activation::Relu] {
            let c = Case { n: 2, c: 40, activation, ..PLAIN };
            try_case(name, gpu, &c, &mut numbers);
            try_case(name, gpu, &Case { bias: true, channels: Some((2, 4)), residual: true, ..c }, &mut numbers);
        }
    });
}

#[test]
fn encodings_and_their_mixtures_in_slices() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(5);
        for dtype in [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0] {
            for c in [4, 7, 32, 50, 96] {
                for (side, pad) in [(3, [1, 1]), (1, [0, 0])] {
                    let slices = &[(dtype, 67)];
                    try_case(name, gpu, &Case { c, slices, side, pad, ..PLAIN }, &mut numbers);
                }
            }
        }
        // A weight over the binding limit is cut by rows; mixtures are what any cut must survive.
        let mixed: [&[(DType, usize)]; 3] = [
            &[(DType::F32, 1), (DType::F32, 70), (DType::F32, 3)],
            &[(DType::Q4_0, 64), (DType::Q8_0, 16), (DType::F16, 5)],
            &[(DType::BF16, 33), (DType::F32, 2)],
        ];
        for slices in mixed {
            for c in [6, 32] {
                let fused = Case { bias: true, channels: Some((2, 8)), residual: true, ..PLAIN };
                try_case(name, gpu, &Case { n: 2, c, slices, activation: Activation::Silu, ..fused }, &mut numbers);
            }
        }
    });
}

/// So many pixels that GPUs get tall tiles (of the first slice); the last tile is not full on either side.
#[test]
fn as_many_pixels_as_a_picture_has() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let slices = &[(DType::F16, 130), (DType::Q8_0, 67)];
        let c = Case { size: [62, 91], slices, side: 2, pad: [0, 0], bias: true, residual: true, ..PLAIN };
        try_case(name, gpu, &c, &mut Numbers(7));
    });
}

/// More tiles of pixels than a dimension of a grid has workgroups.
#[test]
fn more_tiles_than_one_dimension_of_a_grid() {
    each_folding(|name, gpu| {
        // The tallest tile has 64 pixels.
        let c = Case { size: [33, 35], c: 1, slices: &[(DType::F32, 2)], side: 1, pad: [0, 0], ..PLAIN };
        try_case(name, gpu, &c, &mut Numbers(6));
        // Those of Winograd's method have 32 tiles of 2 x 2.
        gpu.choose(Choice::Winograd, true);
        try_case(name, gpu, &Case { size: [50, 51], side: 3, pad: [1, 1], ..c }, &mut Numbers(8));
    });
}
