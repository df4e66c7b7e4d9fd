//! `Tensor::silu_mul` against its formula.

use crate::gpu::{activation, each_folding, each_setup, run, state, untouched};
use crate::reference::layers::{silu_mul, wide};
use crate::reference::weights::Numbers;
use crate::tolerance::{Tolerance, check};

#[test]
fn gates_open_and_close() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (t, f) in [(1, 1), (1, 2), (2, 3), (3, 5), (5, 31), (1, 64), (7, 100), (67, 129), (2, 1536)] {
            // Gates from wide open to so closed that exp overflows f32.
            for size in [1.0, 8.0, 200.0] {
                let x: Vec<f32> = numbers.floats(t * 2 * f).iter().map(|v| v * size).collect();
                let region = activation(gpu, &x, 2 * f);
                let got = run(gpu, |g| g.given(&region, [t, 2 * f]).silu_mul(None)).values;
                check(&format!("{name}: [{t}, {f}] of size {size}"), &silu_mul(&wide(&x), f), &got, Tolerance::F32);
            }
        }
    });
}

#[test]
fn rows_without_a_token_are_not_written() {
    each_setup(|name, gpu| {
        let (t, f) = (9, 30);
        let x = Numbers(2).floats(t * 2 * f);
        let region = activation(gpu, &x, 2 * f);
        for n in [1, 4, 9] {
            let state = state(gpu, 3, n);
            let got = run(gpu, |g| g.given(&region, [t, 2 * f]).silu_mul(Some(&state))).values;
            let want = silu_mul(&wide(&x[..n * 2 * f]), f);
            check(&format!("{name}: {n} of {t} rows"), &want, &got[..n * f], Tolerance::F32);
            untouched(name, &got, n, f);
        }
    });
}

/// More workgroups than a dimension of a grid has.
#[test]
fn more_elements_than_one_dimension_of_a_grid() {
    each_folding(|name, gpu| {
        let (t, f) = (33, 260);
        let x = Numbers(3).floats(t * 2 * f);
        let region = activation(gpu, &x, 2 * f);
        let got = run(gpu, |g| g.given(&region, [t, 2 * f]).silu_mul(None)).values;
        check(name, &silu_mul(&wide(&x), f), &got, Tolerance::F32);
    });
}
