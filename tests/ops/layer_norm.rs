//! `Tensor::layer_norm` against its formula.

use inkstone::gpu::Gpu;
use inkstone::ops::LayerNorm;
use std::rc::Rc;
use support::gpu::{activation, each_setup, run, state, untouched, vector};
use support::reference::layers::layer_norm;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

const EPS: f32 = 1e-5;

fn try_case(name: &str, gpu: &Rc<Gpu>, x: &[f32], dim: usize, numbers: &mut Numbers) {
    let (w, b, rows) = (numbers.floats(dim), numbers.floats(dim), x.len() / dim);
    let norm = LayerNorm { weight: Some(vector(gpu, &w)), bias: Some(vector(gpu, &b)), eps: EPS };
    let region = activation(gpu, x, dim);
    let got = run(gpu, |g| g.given(&region, [rows, dim]).layer_norm(&norm)).values;
    check(&format!("{name}: {rows} rows of {dim}"), &layer_norm(x, &w, &b, EPS), &got, Tolerance::F32);
}

#[test]
fn rows_have_the_mean_and_deviation_of_the_weights() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for dim in [1, 2, 3, 4, 5, 31, 63, 64, 65, 100, 255, 768, 1280, 2048, 4099] {
            for rows in [1, 3, 4, 5, 16, 67] {
                // From numbers that eps outweighs to large ones.
                for size in [1e-3, 1.0, 300.0] {
                    let x: Vec<f32> = numbers.floats(rows * dim).iter().map(|v| v * size).collect();
                    try_case(name, gpu, &x, dim, &mut numbers);
                }
            }
        }
    });
}

/// A mean of many deviations, other in every row: squares less the square of the mean would have no digit left.
#[test]
fn means_far_from_zero() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        for dim in [3, 64, 1280] {
            let x: Vec<f32> = numbers.floats(21 * dim);
            let x: Vec<f32> = x.iter().enumerate().map(|(i, v)| v + ((i / dim) as f32 - 10.0) * 100.0).collect();
            try_case(name, gpu, &x, dim, &mut numbers);
        }
    });
}

/// One channel of a text encoder's rows is hundreds of times the others.
#[test]
fn a_channel_that_outweighs_the_others() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        let mut x = numbers.floats(7 * 768);
        x.iter_mut().skip(133).step_by(768).for_each(|v| *v += 500.0);
        try_case(name, gpu, &x, 768, &mut numbers);
    });
}

/// Without weights, without biases, without both; bounded.
#[test]
fn weights_and_biases_are_at_choice() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        for (rows, dim) in [(1, 2), (1, 64), (5, 31), (17, 100), (67, 257)] {
            let (x, w, b) = (numbers.floats(rows * dim), numbers.floats(dim), numbers.floats(dim));
            let region = activation(gpu, &x, dim);
            for (weighted, biased) in [(false, false), (true, false), (false, true), (true, true)] {
                let (weight, bias) = (weighted.then(|| vector(gpu, &w)), biased.then(|| vector(gpu, &b)));
                let norm = LayerNorm { weight, bias, eps: EPS };
                let ones = if weighted { w.clone() } else { vec![1.0; dim] };
                let zeros = if biased { b.clone() } else { vec![0.0; dim] };
                let want = layer_norm(&x, &ones, &zeros, EPS);
                for n in [rows, rows / 2 + 1] {
                    let state = state(gpu, 7, n);
                    let got =
                        run(gpu, |g| g.given(&region, [rows, dim]).layer_norm_bounded(&norm, Some(&state))).values;
                    let what = format!("{name}: {n} of {rows} rows of {dim}, weights {weighted}, biases {biased}");
                    check(&what, &want[..n * dim], &got[..n * dim], Tolerance::F32);
                    untouched(&what, &got, n, dim);
                }
            }
        }
    });
}
