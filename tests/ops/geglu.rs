//! `Tensor::geglu`, and how exact its gelu is.

use crate::gpu::{activation, each_folding, each_setup, run};
use crate::reference::layers::{geglu, wide};
use crate::reference::weights::Numbers;
use crate::tolerance::{Tolerance, check};

#[test]
fn gates_open_and_close() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (t, f) in [(1, 1), (1, 2), (2, 3), (3, 5), (5, 31), (1, 64), (7, 100), (67, 129), (2, 1280)] {
            // Gates near nothing, where they bend, and so far out that squares and powers overflow.
            for size in [1e-3, 1.0, 8.0, 1e25] {
                let mut x = numbers.floats(t * 2 * f);
                x.chunks_exact_mut(f).skip(1).step_by(2).flatten().for_each(|v| *v *= size);
                let region = activation(gpu, &x, 2 * f);
                let got = run(gpu, |g| g.given(&region, [t, 2 * f]).geglu()).values;
                check(&format!("{name}: [{t}, {f}] of size {size}"), &geglu(&wide(&x), f), &got, Tolerance::F32);
            }
        }
    });
}

/// gelu(x) by itself: within 4e-7 of max(1, |x|) everywhere, and never of the wrong sign.
#[test]
fn gelu_is_exact_near_zero_and_far_out() {
    each_setup(|name, gpu| {
        let gates: Vec<f32> =
            (-12_000..=12_000).map(|i| i as f32 / 1000.0).chain([-300.0, 300.0, -1e-6, 1e-20]).collect();
        let rows: Vec<f32> = gates.iter().flat_map(|g| [1.0, *g]).collect();
        let region = activation(gpu, &rows, 2);
        let got = run(gpu, |g| g.given(&region, [gates.len(), 2]).geglu()).values;
        let want = geglu(&wide(&rows), 1);
        check(name, &want, &got, Tolerance::F32);
        for ((x, want), got) in gates.iter().zip(&want).zip(&got) {
            let error = (f64::from(*got) - want).abs();
            assert!(error <= 4e-7 * f64::from(x.abs().max(1.0)), "{name}: gelu({x}) is {got}, not {want}");
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
        let got = run(gpu, |g| g.given(&region, [t, 2 * f]).geglu()).values;
        check(name, &geglu(&wide(&x), f), &got, Tolerance::F32);
    });
}
