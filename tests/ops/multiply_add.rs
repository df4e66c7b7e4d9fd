//! `Tensor::multiply_add` against its formula.

use support::gpu::{activation, each_setup, run};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

#[test]
fn every_round_is_computed() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        for (workgroups, rounds) in [(1, 0), (1, 1), (3, 7), (16, 128)] {
            let x: Vec<f32> = numbers.floats(workgroups * 1024).iter().map(|v| v.abs() * 0.9).collect();
            let region = activation(gpu, &x, 1024);
            let got = run(gpu, |g| g.given(&region, [workgroups, 1024]).multiply_add(rounds)).values;
            let chains = |m: f64| (0..8).map(move |i| (0..rounds).fold(m + f64::from(i), |v, _| v * m + m));
            let want: Vec<f64> = x.iter().map(|&m| chains(f64::from(m)).sum()).collect();
            check(&format!("{name}: {workgroups} x {rounds}"), &want, &got, Tolerance::F32);
        }
    });
}
