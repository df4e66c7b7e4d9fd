//! Noise against torch.

use crate::{distance, floats};
use inkstone::image::noise::{Noise, Philox, TorchRng, slerp};

/// Some of a long draw and always its end, as the recipe stores it.
fn some(drawn: &[f32]) -> Vec<f32> {
    if drawn.len() < 100 {
        return drawn.to_vec();
    }
    let (body, end) = drawn.split_at(drawn.len() - 20);
    body.iter().step_by(53).chain(end).copied().collect()
}

#[test]
fn draws_what_torch_draws_on_the_cpu() {
    let streams: Vec<(u64, Vec<usize>)> = serde_json::from_str(include_str!("golden/noise.json")).unwrap();
    let golden = floats(include_bytes!("golden/noise.f32"));
    let (mut read, mut worst) = (0, 0f64);
    for (seed, sizes) in streams {
        let mut rng = TorchRng::new(seed);
        for (draw, n) in sizes.into_iter().enumerate() {
            let got = some(&rng.randn(n));
            let want = &golden[read..read + got.len()];
            read += got.len();
            let off = distance(&got, want);
            assert!(off <= 1e-6, "seed {seed}, draw {draw} of {n}: {off:e}");
            worst = worst.max(off);
        }
    }
    assert_eq!(read, golden.len());
    println!("noise: {read} numbers, largest difference {worst:.1e}");
}

#[test]
fn seeds_count_to_32_bits_on_the_cpu_and_to_64_on_the_gpu() {
    let cpu = |seed| TorchRng::new(seed).randn(20);
    assert_eq!(cpu(7), cpu((1 << 32) + 7));
    assert_ne!(cpu(7), cpu(8));
    let gpu = |seed| Philox::new(seed).randn(20);
    assert_ne!(gpu(7), gpu((1 << 32) + 7));
}

#[test]
fn draws_what_torch_draws_on_cuda() {
    // The first of torch.randn(6, device="cuda") after torch.manual_seed.
    let known = [
        (0, [-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797]),
        (42, [0.1940, 2.1614, -0.1721, 0.8491, -1.9244, 0.6530]),
    ];
    for (seed, want) in known {
        let got = Noise::Philox(Philox::new(seed)).randn(6);
        assert!(distance(&got, &want) <= 5.01e-5, "seed {seed}: {got:?}");
    }
    // The published answer for counter and key 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
    let unit = |word: u32| (f64::from(word) + 0.5) / 4294967296.0;
    let (radius, turn) = ((-2.0 * unit(0x6627_e8d5).ln()).sqrt(), unit(0xe169_c58d));
    let want = (radius * (std::f64::consts::TAU * turn).sin()) as f32;
    assert_eq!(Philox::new(0).randn(1), [want]);
}

#[test]
fn philox_draws_are_of_one_stream() {
    let mut rng = Philox::new(1234);
    let (first, second) = (rng.randn(64), rng.randn(64));
    assert_ne!(first, second);
    // An element does not depend on how many are drawn.
    let mut again = Philox::new(1234);
    assert_eq!(again.randn(8), first[..8]);
    assert_eq!(again.randn(99)[..64], second);
}

#[test]
fn noise_is_normal() {
    for mut noise in [Noise::Torch(TorchRng::new(9)), Noise::Philox(Philox::new(9))] {
        let drawn = noise.randn(100_000);
        let mean = drawn.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e5;
        let square = drawn.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / 1e5;
        // Five standard deviations of either.
        assert!(mean.abs() < 5.0 / 1e5f64.sqrt() && (square - 1.0).abs() < 5.0 * (2.0 / 1e5f64).sqrt());
    }
}

#[test]
fn variations_turn_each_column() {
    let (height, width) = (3, 2);
    let base: Vec<f32> = TorchRng::new(1).randn(2 * height * width);
    let other: Vec<f32> = TorchRng::new(2).randn(2 * height * width);
    let mixed = |strength| slerp(strength, &base, &other, [height, width]);
    assert!(distance(&mixed(0.0), &base) < 1e-6);
    assert!(distance(&mixed(1.0), &other) < 1e-6);
    // One column by the formula, written out.
    let column = |v: &[f32]| [v[1], v[3], v[5]].map(f64::from);
    let (a, b) = (column(&base), column(&other));
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let angle = (dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())).acos();
    let got = column(&mixed(0.3));
    for i in 0..3 {
        let want = ((0.7 * angle).sin() * a[i] + (0.3 * angle).sin() * b[i]) / angle.sin();
        assert!((got[i] - want).abs() < 1e-6);
    }
    // Without an arc between them, straight.
    assert!(distance(&slerp(0.4, &base, &base, [height, width]), &base) < 1e-6);
    assert_eq!(slerp(0.25, &[0.0; 4], &[4.0; 4], [2, 2]), [1.0; 4]);
}
