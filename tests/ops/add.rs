//! `Tensor::add_rows`, the second term repeating.

use support::gpu::{activation, each_setup, run};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

#[test]
fn rows_repeat() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (t, rows, dim) in [(1, 1, 1), (4, 4, 3), (6, 2, 5), (6, 1, 4), (154, 77, 768), (300_000, 3, 14)] {
            let (a, b) = (numbers.floats(t * dim), numbers.floats(rows * dim));
            let regions = [activation(gpu, &a, dim), activation(gpu, &b, dim)];
            let got = run(gpu, |g| g.given(&regions[0], [t, dim]).add_rows(g.given(&regions[1], [rows, dim]))).values;
            let want: Vec<f32> = a.iter().zip(b.iter().cycle()).map(|(a, b)| a + b).collect();
            check(&format!("{name}: {t} rows of {dim} and {rows}"), &want, &got, Tolerance::Exact);
        }
    });
}
