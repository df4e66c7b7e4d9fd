//! Convolutions in a graph that is run once for each band of a picture's rows: what is made in bands is, bit for bit, what
//! is made at once.

use super::conv2d::filters;
use inkstone::dtype::DType;
use inkstone::gpu::{Choice, Gpu, Graph, Plan, Region, Weight};
use inkstone::ops::{Activation, Conv, Map, Rows};
use pollster::block_on;
use std::rc::Rc;
use support::gpu::{SENTINEL, Stored, activation, download, each_choosing, matrix, run, submit, upload, vector};
use support::reference::maps::Convolution;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

/// Two convolutions, the second of which changes the size; a unit is a row of the smaller picture.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// Of the input.
    size: [usize; 2],
    channels: [usize; 3],
    side: usize,
    stride: usize,
    pad: [usize; 2],
    /// The second convolution's input is enlarged to twice its size, less this.
    enlarged: Option<usize>,
    /// Rows of a unit of the result, and of what the second convolution reads.
    unit: [usize; 2],
    /// Units in a band.
    band: usize,
}

/// Every row of a picture.
fn pictures<'g>(g: &'g Graph, region: &Region, [h, w]: [usize; 2], c: usize) -> Map<'g> {
    Map::new(g.given(region, [h * w, c]), 1, w, Rows::all(h))
}

struct Weights {
    w: [Weight; 2],
    bias: [Weight; 2],
    x: Region,
    /// Added to the first, second result.
    residual: [Region; 2],
}

impl Case {
    fn enlarged(&self) -> Option<[usize; 2]> {
        self.enlarged.map(|less| self.size.map(|n| 2 * n - less))
    }

    fn out(&self) -> [usize; 2] {
        let size = self.enlarged().unwrap_or(self.size);
        size.map(|n| (n + self.pad[0] + self.pad[1] - self.side) / self.stride + 1)
    }

    fn weights(&self, gpu: &Rc<Gpu>, numbers: &mut Numbers) -> Weights {
        let [a, b, c] = self.channels;
        let mut matrix = |o, side: usize, c: usize| {
            let (bytes, _) = filters(DType::F16, o, side * side, c, numbers);
            matrix(gpu, side * side * c.next_multiple_of(32), &[Stored { dtype: DType::F16, bytes }])
        };
        let w = [matrix(b, 3, a), matrix(c, self.side, b)];
        let [[h, width], [out_h, out_w]] = [self.size, self.out()];
        let mut map = |pixels: usize, c: usize| activation(gpu, &numbers.floats(pixels * c), c);
        let (x, residual) = (map(h * width, a), [map(h * width, b), map(out_h * out_w, c)]);
        let bias = [b, c].map(|n| vector(gpu, &numbers.floats(n)));
        Weights { w, bias, x, residual }
    }

    /// What the two convolutions do but for rows.
    fn convs<'a, 'g>(&self, g: &'g Graph, w: &'a Weights) -> [Conv<'a, 'g>; 2] {
        let first = Conv {
            pad: [1, 1],
            bias: Some(&w.bias[0]),
            residual: Some(pictures(g, &w.residual[0], self.size, self.channels[1])),
            activation: Activation::Silu,
            ..Conv::default()
        };
        let second = Conv {
            stride: self.stride,
            pad: self.pad,
            enlarged: self.enlarged(),
            bias: Some(&w.bias[1]),
            residual: Some(pictures(g, &w.residual[1], self.out(), self.channels[2])),
            ..Conv::default()
        };
        [first, second]
    }

    /// At once.
    fn whole(&self, gpu: &Rc<Gpu>, w: &Weights) -> Vec<f32> {
        let got = run(gpu, |g| {
            let [first, second] = self.convs(g, w);
            let x = pictures(g, &w.x, self.size, self.channels[0]);
            x.conv2d(&w.w[0], first).conv2d(&w.w[1], second).t
        });
        got.values
    }

    /// In bands. `copied`: the input is first brought to a map of the band's rows, instead of read where it is.
    fn banded(&self, gpu: &Rc<Gpu>, w: &Weights, copied: bool) -> Vec<f32> {
        let ([h, width], [a, _, c], [out_h, out_w]) = (self.size, self.channels, self.out());
        let [out_unit, in_unit] = self.unit;
        let state = upload(gpu, &[0u32; 2]);
        // The picture, and after it room for a band.
        let y = upload(gpu, &vec![SENTINEL; (out_h + self.band * out_unit) * out_w * c.next_multiple_of(4)]);
        let graph = Graph::banded(gpu, &state);
        let [first, second] = self.convs(&graph, w);
        let out = Rows { count: self.band * out_unit, height: out_h, mul: out_unit as i32, add: 0 };
        // What the second reads around its rows, then what the first reads around those.
        let halo = self.side;
        let middle = |more: usize| Rows {
            count: self.band * in_unit + 2 * (halo + more),
            height: h,
            mul: in_unit as i32,
            add: -((halo + more) as i32),
        };
        let mut x = pictures(&graph, &w.x, self.size, a);
        if copied {
            let rows = middle(1);
            let near = Map::new(graph.tensor([rows.count * width, a]), 1, width, rows);
            x.copy_rows(rows, near);
            x = near;
        }
        let into = pictures(&graph, &y, self.out(), c);
        x.conv2d(&w.w[0], Conv { rows: Some(middle(0)), ..first })
            .conv2d(&w.w[1], Conv { rows: Some(out), into: Some(into), ..second });
        let plan = block_on(Plan::new(graph)).unwrap();
        for (number, unit) in (0..out_h.div_ceil(out_unit)).step_by(self.band).enumerate() {
            state.write(0, bytemuck::cast_slice(&[unit as u32, number as u32]));
            submit(gpu, &plan);
        }
        let all: Vec<f32> = download(gpu, &y);
        let (rows, past) = all.split_at(out_h * out_w * c.next_multiple_of(4));
        assert!(past.iter().all(|v| *v == SENTINEL), "{self:?}: what lies past the picture's last row was written");
        rows.chunks_exact(c.next_multiple_of(4)).flat_map(|row| row[..c].to_vec()).collect()
    }
}

const SAME: Case = Case {
    size: [13, 9],
    channels: [3, 10, 5],
    side: 3,
    stride: 1,
    pad: [1, 1],
    enlarged: None,
    unit: [1, 1],
    band: 4,
};

#[test]
fn bands_make_what_is_made_at_once() {
    let cases = [
        SAME,
        Case { side: 1, pad: [0, 0], ..SAME },
        Case { pad: [0, 0], ..SAME },
        Case { channels: [32, 64, 66], ..SAME },
        Case { stride: 2, unit: [1, 2], ..SAME },
        Case { stride: 2, pad: [0, 1], unit: [1, 2], ..SAME },
        Case { stride: 2, pad: [0, 1], unit: [1, 2], size: [16, 8], ..SAME },
        Case { enlarged: Some(0), unit: [2, 1], ..SAME },
        Case { enlarged: Some(1), unit: [2, 1], ..SAME },
    ];
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(1);
        for case in cases {
            let weights = case.weights(gpu, &mut numbers);
            let want = case.whole(gpu, &weights);
            // One unit at a time, bands that end with the picture, bands that do not, one band larger than it.
            for band in [1, 3, 4, 13, 20] {
                for copied in [false, true] {
                    let case = Case { band, ..case };
                    let got = case.banded(gpu, &weights, copied);
                    check(&format!("{name}: {case:?}, copied {copied}"), &want, &got, Tolerance::Exact);
                }
            }
        }
    });
}

/// A band's own result, a residual of the band's rows, and rows that a band holds of one tensor and makes of another.
#[test]
fn bands_of_their_own_with_residuals_of_their_own() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(2);
        for case in [SAME, Case { side: 1, pad: [0, 0], ..SAME }] {
            // The same channels everywhere, so that the first result may be added to the second.
            let case = Case { channels: [10; 3], ..case };
            let (w, [h, width]) = (case.weights(gpu, &mut numbers), case.size);
            let plain = |i: usize| Conv { pad: [[1, 1], case.pad][i], bias: Some(&w.bias[i]), ..Conv::default() };
            let want = run(gpu, |g| {
                let y = pictures(g, &w.x, case.size, 10).conv2d(&w.w[0], plain(0));
                y.conv2d(&w.w[1], Conv { residual: Some(y), ..plain(1) }).t
            });
            let state = upload(gpu, &[0u32; 2]);
            let result = upload(gpu, &vec![SENTINEL; h * width * 12]);
            let graph = Graph::banded(gpu, &state);
            let rows = |count, add| Rows { count, height: h, mul: 1, add };
            let y = pictures(&graph, &w.x, case.size, 10).conv2d(&w.w[0], Conv { rows: Some(rows(9, -2)), ..plain(0) });
            // Two of the rows that it holds are made later, or never.
            let into = Map::new(graph.tensor([7 * width, 10]), 1, width, rows(7, -1));
            let z = y.conv2d(&w.w[1], Conv { rows: Some(rows(5, 0)), residual: Some(y), into: Some(into), ..plain(1) });
            z.copy_rows(rows(5, 0), pictures(&graph, &result, case.size, 10));
            let plan = block_on(Plan::new(graph)).unwrap();
            for row in (0..h as u32).step_by(5) {
                state.write(0, bytemuck::cast_slice(&[row, row / 5]));
                submit(gpu, &plan);
            }
            let got: Vec<f32> = download(gpu, &result);
            let got: Vec<f32> = got.chunks_exact(12).flat_map(|row| row[..10].to_vec()).collect();
            check(&format!("{name}: {case:?}"), &want.values, &got, Tolerance::Exact);
        }
    });
}

/// Maps that hold some of two pictures' rows. Rows of the input that are not held are zeros; of the result some are made,
/// fewer than the residual holds.
#[test]
fn maps_of_other_rows_each() {
    each_choosing(Choice::Winograd, |name, gpu| {
        let mut numbers = Numbers(3);
        let (n, h, w, c, o) = (2, 10, 5, 6, 3);
        let (bytes, values) = filters(DType::F32, o, 9, c, &mut numbers);
        let filters = matrix(gpu, 9 * 32, &[Stored { dtype: DType::F32, bytes }]);
        for (first, count) in [(0, 4), (3, 2), (6, 4)] {
            let (held, added) = (numbers.floats(n * count * w * c), numbers.floats(n * h * w * o));
            let mut pictures = vec![0.0; n * h * w * c];
            for (picture, held) in pictures.chunks_exact_mut(h * w * c).zip(held.chunks_exact(count * w * c)) {
                picture[first * w * c..][..held.len()].copy_from_slice(held);
            }
            let channels = [c, 32];
            let formula = Convolution { size: [h, w], channels, side: 3, stride: 1, pad: [1, 1], enlarged: None };
            let all = formula.run(&pictures, &values);
            let all: Vec<f64> = all.iter().zip(&added).map(|(y, r)| y + f64::from(*r)).collect();
            let want: Vec<f64> = all.chunks_exact(h * w * o).flat_map(|y| y[2 * w * o..9 * w * o].to_vec()).collect();
            // Other numbers follow in memory.
            let region = activation(gpu, &[held, numbers.floats(h * w * c)].concat(), c);
            let added = activation(gpu, &added, o);
            let got = run(gpu, |g| {
                let rows = |count, first: usize| Rows { count, height: h, mul: 0, add: first as i32 };
                let x = Map::new(g.given(&region, [n * count * w, c]), n, w, rows(count, first));
                let residual = Some(Map::new(g.given(&added, [n * h * w, o]), n, w, Rows::all(h)));
                x.conv2d(&filters, Conv { pad: [1, 1], rows: Some(rows(7, 2)), residual, ..Conv::default() }).t
            });
            check(&format!("{name}: rows from {first} on, {count} of them"), &want, &got.values, Tolerance::F32);
        }
    });
}
