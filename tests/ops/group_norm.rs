//! `Map::group_norm` (group_norm_sums, group_norm) against its formula, at once and with the sums of bands.

use inkstone::gpu::{Gpu, Graph, Plan, Region};
use inkstone::ops::{Activation, GroupNorm, Map, Rows, Sums};
use pollster::block_on;
use std::rc::Rc;
use support::gpu::{SENTINEL, activation, download, each_setup, run, submit, upload, vector};
use support::reference::layers::activate;
use support::reference::maps::group_norm;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

const EPS: f32 = 1e-5;

/// A layer and what it makes of `x`, [n, pixels, C].
fn layer(
    gpu: &Rc<Gpu>,
    x: &[f32],
    n: usize,
    [c, groups]: [usize; 2],
    silu: bool,
    numbers: &mut Numbers,
) -> (GroupNorm, Vec<f64>) {
    let (w, b) = (numbers.floats(c), numbers.floats(c));
    let mut want = group_norm(x, n, groups, &w, &b, EPS);
    if silu {
        want.iter_mut().for_each(|v| *v = activate(*v, Activation::Silu));
    }
    (GroupNorm { weight: vector(gpu, &w), bias: vector(gpu, &b), groups, eps: EPS }, want)
}

fn try_case(
    name: &str,
    gpu: &Rc<Gpu>,
    x: &[f32],
    [n, h, w]: [usize; 3],
    shape: [usize; 2],
    silu: bool,
    numbers: &mut Numbers,
) {
    let c = shape[0];
    let (norm, want) = layer(gpu, x, n, shape, silu, numbers);
    let region = activation(gpu, x, c);
    let got = run(gpu, |g| Map::new(g.given(&region, [n * h * w, c]), n, w, Rows::all(h)).group_norm(&norm, silu).t);
    let what = format!("{name}: {n} pictures of {h} by {w}, channels and groups {shape:?}, silu {silu}");
    check(&what, &want, &got.values, Tolerance::F32);
    // The padding of rows is zero, whatever the input's held.
    let rows: Vec<f32> = download(gpu, &got.region);
    let padding = |row: &[f32]| row[c..].iter().all(|v| *v == 0.0);
    assert!(rows.chunks_exact(c.next_multiple_of(4)).all(padding), "{what}: the padding");
}

/// Groups of one channel, of channels that share quads with other groups, of many; pictures of one pixel and of many.
#[test]
fn groups_of_every_size() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (c, groups) in [
            (1, 1),
            (2, 2),
            (3, 1),
            (4, 4),
            (5, 5),
            (6, 2),
            (12, 4),
            (30, 10),
            (32, 32),
            (40, 4),
            (96, 32),
            (320, 32),
            (10, 2),
            (7, 1),
            (64, 1),
        ] {
            for (n, h, w) in [(1, 1, 1), (2, 1, 3), (1, 5, 7), (3, 4, 4), (2, 17, 9)] {
                for silu in [false, true] {
                    let x = numbers.floats(n * h * w * c);
                    try_case(name, gpu, &x, [n, h, w], [c, groups], silu, &mut numbers);
                }
            }
        }
    });
}

/// A group whose sums are made in up to 32 stretches.
#[test]
fn many_stretches() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        // The last is as wide as it is low: more stretches than pixels would fill evenly.
        for ([n, h, w], shape) in [
            ([1, 64, 64], [8, 2]),
            ([2, 67, 61], [6, 2]),
            ([1, 200, 210], [8, 1]),
            ([1, 1, 33], [8000, 1]),
            ([1, 1, 5], [20000, 2]),
        ] {
            let x = numbers.floats(n * h * w * shape[0]);
            try_case(name, gpu, &x, [n, h, w], shape, true, &mut numbers);
        }
    });
}

/// Means of a thousand deviations, other in each group and picture: squares less the square of the mean would have no digit
/// left.
#[test]
fn means_far_from_zero() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        for ([n, h, w], [c, groups]) in
            [([1, 5, 5], [8, 2]), ([2, 64, 64], [8, 2]), ([1, 40, 50], [96, 32]), ([1, 256, 128], [4, 1])]
        {
            let mut x = numbers.floats(n * h * w * c);
            let far =
                |i: usize| if (i % c / (c / groups) + i / (h * w * c)).is_multiple_of(2) { 1000.0 } else { -500.0 };
            x.iter_mut().enumerate().for_each(|(i, v)| *v += far(i));
            try_case(name, gpu, &x, [n, h, w], [c, groups], false, &mut numbers);
        }
    });
}

/// Half of a picture is far from the other: stretches whose own means say nothing of the whole.
#[test]
fn stretches_that_differ() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        let (h, w, c) = (128, 100, 4);
        let mut x = numbers.floats(h * w * c);
        x[h * w * c / 3..].iter_mut().for_each(|v| *v += 50.0);
        try_case(name, gpu, &x, [1, h, w], [c, 2], true, &mut numbers);
    });
}

#[test]
fn small_deviations_are_outweighed_by_eps() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(5);
        let x: Vec<f32> = numbers.floats(30 * 8).iter().map(|v| v * 1e-3).collect();
        try_case(name, gpu, &x, [1, 5, 6], [8, 4], false, &mut numbers);
        try_case(name, gpu, &[2.5; 30 * 8], [1, 5, 6], [8, 4], false, &mut numbers);
    });
}

/// A picture's sums of four groups.
fn gathered<'g>(g: &'g Graph, sums: &Region, slots: usize) -> Sums<'g> {
    Sums { t: g.given(sums, [slots * 4, 4]), slots }
}

/// A map of a band's rows; those past the picture's last hold what was there.
fn band<'g>(g: &'g Graph, region: &Region, held: Rows, [w, c]: [usize; 2]) -> Map<'g> {
    let x = Map::new(g.given(region, [held.height * w, c]), 1, w, Rows::all(held.height));
    let near = Map::new(g.tensor([held.count * w, c]), 1, w, held);
    x.copy_rows(held, near);
    near
}

/// The sums of a picture's bands, gathered band by band, are those of the picture: of whole bands, of a last band with fewer
/// rows, of bands whose maps hold more rows than are counted.
#[test]
fn sums_of_bands() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(6);
        let (h, w, c, groups) = (23, 70, 12, 4);
        for (rows, stretches) in [(1, 1), (5, 1), (5, 3), (8, 2), (23, 4), (30, 1)] {
            let x: Vec<f32> = numbers.floats(h * w * c).iter().map(|v| v + 20.0).collect();
            let (norm, want) = layer(gpu, &x, 1, [c, groups], true, &mut numbers);
            let region = activation(gpu, &x, c);
            let bands = h.div_ceil(rows);
            let slots = bands * stretches;
            let sums = upload(gpu, &vec![SENTINEL; slots * groups * 4]);
            let state = upload(gpu, &[0u32; 2]);
            let result = upload(gpu, &vec![SENTINEL; h * w * c]);
            let held = Rows { count: rows, height: h, mul: rows as i32, add: 0 };
            let first = Graph::banded(gpu, &state);
            band(&first, &region, held, [w, c]).sums_into(&norm, gathered(&first, &sums, slots), stretches);
            let second = Graph::banded(gpu, &state);
            let y = Map::new(second.given(&result, [h * w, c]), 1, w, Rows::all(h));
            band(&second, &region, held, [w, c])
                .normalized(&norm, gathered(&second, &sums, slots), true)
                .copy_rows(held, y);
            for graph in [first, second] {
                let plan = block_on(Plan::new(graph)).unwrap();
                for number in 0..bands as u32 {
                    state.write(0, bytemuck::cast_slice(&[number, number]));
                    submit(gpu, &plan);
                }
            }
            let got: Vec<f32> = download(gpu, &result);
            check(&format!("{name}: bands of {rows} rows, {stretches} stretches"), &want, &got, Tolerance::F32);
            // The same sums serve a graph that holds the whole picture.
            let got = run(gpu, |g| {
                let x = Map::new(g.given(&region, [h * w, c]), 1, w, Rows::all(h));
                x.normalized(&norm, gathered(g, &sums, slots), true).t
            });
            check(&format!("{name}: sums of bands of {rows} rows"), &want, &got.values, Tolerance::F32);
        }
    });
}
