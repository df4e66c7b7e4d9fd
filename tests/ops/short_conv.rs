//! `Tensor::short_conv` against its formula, chunk after chunk, so that what the ring remembers is read.

use inkstone::gpu::Gpu;
use inkstone::ops::ShortConv;
use std::rc::Rc;
use support::gpu::{activation, each_folding, each_setup, run, state, untouched, upload, vector};
use support::reference::layers::short_conv;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

/// Feeds chunks of `t` rows, of which `n` hold tokens, one after the other.
fn try_case(name: &str, gpu: &Rc<Gpu>, dim: usize, width: usize, biased: bool, chunks: &[[usize; 2]]) {
    let mut numbers = Numbers((dim + width) as u64);
    let total: usize = chunks.iter().map(|c| c[1]).sum();
    let longest = chunks.iter().map(|c| c[0]).max().unwrap();
    let capacity = longest + width - 1;
    let (w, bias) = (numbers.floats(dim * width), numbers.floats(dim));
    let x = numbers.floats(total * 3 * dim);
    let want = short_conv(&x, &w, &if biased { bias.clone() } else { vec![0.0; dim] }, width);
    let (weight, b) = (vector(gpu, &w), vector(gpu, &bias));
    // What was there before the first position must not matter.
    let ring = upload(gpu, &vec![1e9f32; capacity * dim]);
    let mut pos = 0;
    for &[t, n] in chunks {
        let mut rows = x[pos * 3 * dim..(pos + n) * 3 * dim].to_vec();
        rows.resize(t * 3 * dim, 77.0);
        let (region, state) = (activation(gpu, &rows, 3 * dim), state(gpu, pos, n));
        let bias = biased.then_some(&b);
        let conv = ShortConv { weight: &weight, bias, width, ring: &ring, capacity, state: &state };
        let got = run(gpu, |g| g.given(&region, [t, 3 * dim]).short_conv(&conv)).values;
        let what = format!("{name}: {n} of {t} rows of {dim} at {pos}, width {width}, bias {biased}");
        check(&what, &want[pos * dim..(pos + n) * dim], &got[..n * dim], Tolerance::F32);
        untouched(&what, &got, n, dim);
        pos += n;
    }
}

#[test]
fn rings_go_round() {
    each_setup(|name, gpu| {
        for (dim, width, biased) in [(1, 2, false), (5, 3, true), (64, 3, false), (30, 7, true)] {
            // Rows one by one; then chunks, not all full; rings that go round several times.
            try_case(name, gpu, dim, width, biased, &[[1, 1]; 9]);
            try_case(name, gpu, dim, width, biased, &[[4, 4], [4, 2], [1, 1], [4, 3], [1, 1], [1, 1], [4, 4], [4, 4]]);
            try_case(name, gpu, dim, width, biased, &[[67, 67], [1, 1], [67, 60], [67, 1], [1, 1]]);
        }
    });
}

/// More workgroups than a dimension of a grid has.
#[test]
fn more_elements_than_one_dimension_of_a_grid() {
    each_folding(|name, gpu| try_case(name, gpu, 260, 3, true, &[[33, 33], [33, 20]]));
}
