//! Samplers that estimate the picture and go from there to the next level of noise: DDIM, DDPM, LCM.

use super::noise_levels::NoiseLevels;
use super::{M, NOISE, NoiseLevel, Stage, X, row};
use crate::config::diffusion::scheduler::SchedulerConfig;
use crate::{Error, Result};

/// Makes a stage for each timestep. `weights`: those of `x`, of the estimated picture and of noise, from the timestep's
/// number, the timestep and its level.
fn stages(s: &NoiseLevels, begin: usize, weights: impl Fn(usize, f64, NoiseLevel) -> [f64; 3]) -> Vec<Stage> {
    let stage = |i: usize| {
        let t = s.timesteps[i];
        let level = NoiseLevel::alpha(s.alpha(t));
        let [x, picture, noise] = weights(i, t, level);
        Stage { next: row([(X, x), (M, picture), (NOISE, noise)]), ..Stage::new(s, t, level, i - begin) }
    };
    (begin..s.timesteps.len()).map(stage).collect()
}

/// Makes the stages of DDIM (Song et al. 2020, equations 12 and 16).
pub fn ddim(s: &NoiseLevels, begin: usize, eta: f64) -> Vec<Stage> {
    stages(s, begin, |_, t, level| {
        let (alpha, after) = (s.alpha(t), s.alpha(t - s.stride as f64));
        let noise = eta * ((1.0 - after) / (1.0 - alpha) * (1.0 - alpha / after)).sqrt();
        // x without the picture is its noise, level.s times as strong.
        let kept = (1.0 - after - noise * noise).max(0.0).sqrt() / level.s;
        [kept, after.sqrt() - kept * level.a, noise]
    })
}

/// Makes the stages of DDPM (Ho et al. 2020, equation 7).
pub fn ddpm(s: &NoiseLevels, begin: usize, config: &SchedulerConfig) -> Result<Vec<Stage>> {
    let large = match config.variance_type.as_deref() {
        None | Some("fixed_small" | "fixed_small_log") => false,
        Some("fixed_large") => true,
        Some(other) => {
            return Err(Error::unsupported(format!("variance_type {other} is not supported; name a sampler")));
        }
    };
    Ok(stages(s, begin, |i, t, _| {
        let (alpha, after) = (s.alpha(t), s.alpha(s.timesteps.get(i + 1).copied().unwrap_or(-1.0)));
        let beta = 1.0 - alpha / after;
        let small = (1.0 - after) / (1.0 - alpha);
        let variance = if large { beta } else { (small * beta).max(1e-20) };
        let noise = if t > 0.0 { variance.sqrt() } else { 0.0 };
        [(alpha / after).sqrt() * small, after.sqrt() * beta / (1.0 - alpha), noise]
    }))
}

/// Makes the stages of LCM (Luo et al. 2023): the picture is estimated anew at every step, and noise is added for the
/// next.
pub fn lcm(s: &NoiseLevels, begin: usize, config: &SchedulerConfig) -> Vec<Stage> {
    stages(s, begin, |i, t, _| {
        // The boundary condition of consistency models: at timestep 0 the latents are the picture.
        let scaled = t * config.timestep_scaling;
        let (skip, out) = (0.25 / (scaled * scaled + 0.25), scaled / (scaled * scaled + 0.25).sqrt());
        let after = s.timesteps.get(i + 1).map_or(1.0, |&t| s.alpha(t));
        [after.sqrt() * skip, after.sqrt() * out, (1.0 - after).sqrt()]
    })
}
