//! `Tensor::rms_norm` against its formula.

use inkstone::ops::RmsNorm;
use support::gpu::{activation, each_setup, run, state, untouched, vector};
use support::reference::layers::rms_norm;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

const EPS: f32 = 1e-5;

#[test]
fn rows_have_the_norm_of_the_weights() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for dim in [1, 2, 3, 4, 5, 31, 63, 64, 65, 100, 255, 576, 2048, 4099] {
            let w = numbers.floats(dim);
            let norm = RmsNorm { weight: Some(vector(gpu, &w)), eps: EPS };
            for rows in [1, 2, 3, 4, 5, 15, 16, 17, 67] {
                // From numbers that eps outweighs to large ones.
                for size in [1e-4, 1.0, 300.0] {
                    let x: Vec<f32> = numbers.floats(rows * dim).iter().map(|v| v * size).collect();
                    let region = activation(gpu, &x, dim);
                    let got = run(gpu, |g| g.given(&region, [rows, dim]).rms_norm(&norm, None)).values;
                    let what = format!("{name}: {rows} rows of {dim}, size {size}");
                    check(&what, &rms_norm(&x, &w, EPS), &got, Tolerance::F32);
                }
            }
        }
    });
}

#[test]
fn rows_without_a_token_are_not_written() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        let (rows, dim) = (19, 70);
        let (x, w) = (numbers.floats(rows * dim), numbers.floats(dim));
        let region = activation(gpu, &x, dim);
        let norm = RmsNorm { weight: Some(vector(gpu, &w)), eps: EPS };
        for n in [1, 4, 5, 18, 19] {
            let state = state(gpu, 7, n);
            let got = run(gpu, |g| g.given(&region, [rows, dim]).rms_norm(&norm, Some(&state))).values;
            let want = rms_norm(&x[..n * dim], &w, EPS);
            check(&format!("{name}: {n} of {rows} rows"), &want, &got[..n * dim], Tolerance::F32);
            untouched(name, &got, n, dim);
        }
    });
}

/// Without weights, and added to a residual times a factor; bounded.
#[test]
fn weights_and_a_residual_are_at_choice() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        for (rows, dim) in [(1, 1), (1, 64), (5, 31), (17, 100), (67, 257)] {
            let (x, w) = (numbers.floats(rows * dim), numbers.floats(dim));
            let residual = numbers.floats(rows * dim);
            let (region, weight) = (activation(gpu, &x, dim), vector(gpu, &w));
            let added = activation(gpu, &residual, dim);
            for (weighted, scale) in [(false, None), (true, Some(1.0)), (true, Some(-0.25)), (false, Some(3.0))] {
                let norm = RmsNorm { weight: weighted.then(|| weight.clone()), eps: EPS };
                let mut want = rms_norm(&x, if weighted { w.clone() } else { vec![1.0; dim] }.as_slice(), EPS);
                if let Some(scale) = scale {
                    want.iter_mut().zip(&residual).for_each(|(v, r)| *v = *v * scale + f64::from(*r));
                }
                for n in [rows, rows / 2 + 1] {
                    let state = state(gpu, 7, n);
                    let got = run(gpu, |g| {
                        let add = scale.map(|scale| (g.given(&added, [rows, dim]), scale as f32));
                        g.given(&region, [rows, dim]).rms_norm_add(&norm, add, Some(&state))
                    })
                    .values;
                    let what = format!("{name}: {n} of {rows} rows of {dim}, weights {weighted}, added {scale:?}");
                    check(&what, &want[..n * dim], &got[..n * dim], Tolerance::F32);
                    untouched(&what, &got, n, dim);
                }
            }
        }
    });
}
