//! `Tensor::rescale` against its formula.

use support::gpu::{activation, each_setup, run};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

#[test]
fn latents_are_scaled_shifted_and_limited() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (t, dim) in [(1, 1), (9, 3), (64, 4), (77, 16), (1_100_000, 4)] {
            // The last is so large that a tanh of exponentials overflows.
            for size in [0.1, 4.0, 1e4] {
                let x: Vec<f32> = numbers.floats(t * dim).iter().map(|v| v * size).collect();
                let region = activation(gpu, &x, dim);
                for (scale, shift, limit) in [
                    (1.0, 0.0, None),
                    (1.0 / 0.18215, 0.0, None),
                    (0.3611, -0.1159, None),
                    (1.0, 0.0, Some(3.0)),
                    (0.5, 0.25, Some(1.5)),
                ] {
                    let got = run(gpu, |g| g.given(&region, [t, dim]).rescale(scale, shift, limit)).values;
                    let one = |v: &f32| {
                        let v = f64::from(*v) * f64::from(scale) + f64::from(shift);
                        limit.map_or(v, |l| f64::from(l) * (v / f64::from(l)).tanh())
                    };
                    let want: Vec<f64> = x.iter().map(one).collect();
                    let what = format!("{name}: [{t}, {dim}] of size {size}: {scale} {shift} {limit:?}");
                    check(&what, &want, &got, Tolerance::F32);
                }
            }
        }
    });
}
