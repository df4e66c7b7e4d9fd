//! Stages as most samplers begin them.

use super::noise_levels::NoiseLevels;
use super::{NoiseLevel, SAVED, SLOTS, Stage, narrow, row};

impl Stage {
    /// Makes a stage that remembers estimates of the picture; `next` is still to be set.
    pub(super) fn new(s: &NoiseLevels, timestep: f64, level: NoiseLevel, step: usize) -> Self {
        let picture = narrow(level.picture(s.prediction));
        Stage {
            timestep: timestep as f32,
            input_scale: 1.0,
            convert: picture,
            denoised: picture,
            next: [0.0; SLOTS],
            save: row([(SAVED, 1.0)]),
            shift: false,
            noise: false,
            step,
            known: narrow([level.a, level.s]),
        }
    }

    /// Makes a stage for latents that grow with the noise, `picture + sigma * noise`; it remembers the noise.
    pub(super) fn growing(s: &NoiseLevels, timestep: f64, sigma: f64, step: usize) -> Self {
        let level = NoiseLevel::sigma(sigma);
        let scaled = |[x, out]: [f64; 2]| narrow([x * level.a, out]);
        Stage {
            input_scale: level.a as f32,
            convert: scaled(level.noise(s.prediction)),
            denoised: scaled(level.picture(s.prediction)),
            known: narrow([1.0, sigma]),
            ..Stage::new(s, timestep, level, step)
        }
    }
}
