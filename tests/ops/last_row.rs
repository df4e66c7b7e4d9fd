//! `Tensor::last_row` takes the last row that holds a token.

use support::gpu::{activation, each_setup, run, state};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

#[test]
fn the_last_row_is_the_last_that_holds_a_token() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (t, dim) in [(1, 1), (1, 64), (2, 3), (7, 100), (67, 257), (512, 576)] {
            let x = numbers.floats(t * dim);
            let region = activation(gpu, &x, dim);
            for n in [1, t / 2 + 1, t] {
                let state = state(gpu, 11, n);
                let got = run(gpu, |g| g.given(&region, [t, dim]).last_row(&state)).values;
                check(&format!("{name}: row {n} of [{t}, {dim}]"), &x[(n - 1) * dim..n * dim], &got, Tolerance::Exact);
            }
        }
    });
}
