//! `Tensor::gate` against its formulas, and how exact its functions are.

use inkstone::ops::Gate;
use support::gpu::{activation, each_folding, each_setup, run, state, untouched};
use support::reference::layers::{gate, wide};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

const KINDS: [Gate; 6] = [Gate::Silu, Gate::Geglu, Gate::GeluTanh, Gate::Gelu, Gate::ReluSquared, Gate::Relu];

#[test]
fn gates_open_and_close() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (t, f) in [(1, 1), (1, 2), (2, 3), (3, 5), (5, 31), (1, 64), (7, 100), (67, 129), (2, 1536)] {
            // Gates from near nothing to so closed that exp overflows f32.
            for (kind, size) in KINDS.into_iter().flat_map(|kind| [1e-3, 1.0, 8.0, 200.0].map(|size| (kind, size))) {
                let mut x: Vec<f32> = numbers.floats(t * 2 * f).iter().map(|v| v * size).collect();
                // One is open: among gates that are all closed there would be nothing to compare with.
                (x[0], x[f]) = (x[0].abs(), x[f].abs());
                let region = activation(gpu, &x, 2 * f);
                let got = run(gpu, |g| g.given(&region, [t, 2 * f]).gate(kind, None)).values;
                let what = format!("{name}: {kind:?} [{t}, {f}] of size {size}");
                check(&what, &gate(&wide(&x), f, kind), &got, Tolerance::F32);
            }
        }
        // So far out that squares and powers overflow.
        for (kind, f) in KINDS.into_iter().flat_map(|kind| [3, 1280].map(|f| (kind, f))) {
            let size = if kind == Gate::ReluSquared { 1e15 } else { 1e25 };
            let mut x = numbers.floats(2 * f);
            let gates = if kind == Gate::Geglu { f..2 * f } else { 0..f };
            x[gates].iter_mut().for_each(|v| *v *= size);
            let region = activation(gpu, &x, 2 * f);
            let got = run(gpu, |g| g.given(&region, [1, 2 * f]).gate(kind, None)).values;
            let what = format!("{name}: {kind:?} [1, {f}] of size {size}");
            check(&what, &gate(&wide(&x), f, kind), &got, Tolerance::F32);
        }
    });
}

/// The functions by themselves: within 4e-7 of max(1, |x|) everywhere, and never of the wrong sign.
#[test]
fn gates_are_exact_near_zero_and_far_out() {
    each_setup(|name, gpu| {
        let gates: Vec<f32> =
            (-12_000..=12_000).map(|i| i as f32 / 1000.0).chain([-300.0, 300.0, -1e-6, 1e-20]).collect();
        for kind in KINDS.into_iter().filter(|kind| *kind != Gate::ReluSquared) {
            let row = |g: &f32| if kind == Gate::Geglu { [1.0, *g] } else { [*g, 1.0] };
            let rows: Vec<f32> = gates.iter().flat_map(row).collect();
            let region = activation(gpu, &rows, 2);
            let got = run(gpu, |g| g.given(&region, [gates.len(), 2]).gate(kind, None)).values;
            let want = gate(&wide(&rows), 1, kind);
            check(name, &want, &got, Tolerance::F32);
            for ((x, want), got) in gates.iter().zip(&want).zip(&got) {
                let error = (f64::from(*got) - want).abs();
                let right = error <= 4e-7 * f64::from(x.abs().max(1.0));
                assert!(right, "{name}: {kind:?} of {x} is {got}, not {want}");
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
            let got = run(gpu, |g| g.given(&region, [t, 2 * f]).gate(Gate::Silu, Some(&state))).values;
            let want = gate(&wide(&x[..n * 2 * f]), f, Gate::Silu);
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
        for kind in [Gate::Silu, Gate::Geglu] {
            let got = run(gpu, |g| g.given(&region, [t, 2 * f]).gate(kind, None)).values;
            check(name, &gate(&wide(&x), f, kind), &got, Tolerance::F32);
        }
    });
}
