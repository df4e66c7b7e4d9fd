//! Samplers whose latents grow with the noise, `picture + sigma * noise`, and follow the derivative by sigma: Euler
//! with and without fresh noise, Heun, linear multistep.

use super::noise_levels::NoiseLevels;
use super::{H1, H2, H3, M, NOISE, SAVED, SLOTS, Stage, X, row};

/// Makes the stages of Euler's method (Karras et al. 2022); `ancestral` steps go further down and come back with fresh
/// noise.
pub fn euler(s: &NoiseLevels, begin: usize, ancestral: bool) -> Vec<Stage> {
    let stage = |i: usize| {
        let (from, to) = (s.sigmas[i], s.sigmas[i + 1]);
        let (down, up) = if ancestral {
            let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
            ((to * to - up * up).sqrt(), up)
        } else {
            (to, 0.0)
        };
        let next = row([(X, 1.0), (M, down - from), (NOISE, up)]);
        Stage { next, ..Stage::growing(s, s.timesteps[i], from, i - begin) }
    };
    (begin..s.timesteps.len()).map(stage).collect()
}

/// Makes the stages of Heun's method (Karras et al. 2022, algorithm 1): a step is taken, and taken again with the mean
/// of the derivatives at both ends; the last, to no noise at all, only once.
pub fn heun(s: &NoiseLevels, begin: usize) -> Vec<Stage> {
    let mut stages = Vec::new();
    for i in begin..s.timesteps.len() {
        let (from, to) = (s.sigmas[i], s.sigmas[i + 1]);
        stages.push(Stage {
            next: row([(X, 1.0), (M, to - from)]),
            save: row([(X, 1.0)]),
            shift: true,
            ..Stage::growing(s, s.timesteps[i], from, i - begin)
        });
        if let Some(&t) = s.timesteps.get(i + 1) {
            let half = (to - from) / 2.0;
            stages.push(Stage {
                next: row([(SAVED, 1.0), (M, half), (H1, half)]),
                ..Stage::growing(s, t, to, i - begin)
            });
        }
    }
    stages
}

/// Makes the stages of the linear multistep method: steps along the polynomial through the last four derivatives.
pub fn lms(s: &NoiseLevels, begin: usize) -> Vec<Stage> {
    let stage = |i: usize| {
        let mut next = [0.0; SLOTS];
        next[X] = 1.0;
        // Where an image's steps begin later, diffusers weighs as if there were derivatives of the steps before.
        let order = (i + 1).min(4);
        let weights = (0..order).map(|k| weight(&s.sigmas, i, order, k));
        for (slot, weight) in [M, H1, H2, H3].into_iter().zip(weights).take(i - begin + 1) {
            next[slot] = weight as f32;
        }
        Stage { next, shift: true, ..Stage::growing(s, s.timesteps[i], s.sigmas[i], i - begin) }
    };
    (begin..s.timesteps.len()).map(stage).collect()
}

/// Integrates, over step `i`, of the polynomial that is 1 at level `i - k` and 0 at the others of `order`.
fn weight(sigmas: &[f64], i: usize, order: usize, k: usize) -> f64 {
    let at = |sigma: f64| {
        let others = (0..order).filter(|&j| j != k);
        others.map(|j| (sigma - sigmas[i - j]) / (sigmas[i - k] - sigmas[i - j])).product::<f64>()
    };
    // Two points of Gauss and Legendre integrate polynomials up to the third degree exactly.
    let (middle, half) = ((sigmas[i + 1] + sigmas[i]) / 2.0, (sigmas[i + 1] - sigmas[i]) / 2.0);
    let off = half / 3f64.sqrt();
    half * (at(middle - off) + at(middle + off))
}
