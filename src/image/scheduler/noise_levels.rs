//! Noise levels: those of training, and those that a sampler visits.

use super::Sampler;
use crate::config::diffusion::scheduler::{BetaSchedule, Prediction, SchedulerConfig, Spacing};
use crate::{Error, Result};

/// More training steps than any model has.
const MAX_TRAINING: usize = 10_000;

/// The timesteps and noise levels that a sampler visits, from noise to picture.
pub struct NoiseLevels {
    pub prediction: Prediction,
    /// Training steps divided by sampling steps, rounded down: how far apart the alphas of one step are.
    pub stride: i64,
    /// One for each step; LCM has its own.
    pub timesteps: Vec<f64>,
    /// One for each step and the one where the last step ends.
    pub sigmas: Vec<f64>,
    /// Factor of the first noise.
    pub noise_scale: f64,
    /// The cumulative products of alphas, one for each training step.
    alphas: Vec<f64>,
    /// The product where the last step ends.
    last_alpha: f64,
}

impl NoiseLevels {
    /// Computes the levels of `sampler`'s class with the model's settings.
    pub fn new(config: &SchedulerConfig, sampler: Sampler, steps: usize, strength: f64) -> Result<Self> {
        let training = config.num_train_timesteps;
        if !(2..=MAX_TRAINING).contains(&training) {
            return Err(Error::unsupported(format!("models trained with {training} steps are not supported")));
        }
        if !(1..=training).contains(&steps) {
            return Err(Error::unsupported(format!("{steps} steps are not possible; choose from 1 to {training}")));
        }
        use Sampler::{Ddim, Ddpm, Deis, Dpmpp2m, Dpmpp2mKarras, Euler, EulerA, Heun, Lcm, Lms, Pndm, Unipc};
        // Levels are ratios of noise to signal: diffusers keeps a trace of signal for those that compute with them.
        let trace = matches!(sampler, Euler | EulerA | Dpmpp2m | Dpmpp2mKarras | Unipc);
        let rescale = config.rescale_betas_zero_snr && !matches!(sampler, Pndm | Heun | Lms | Deis);
        let alphas = alphas(config, sampler, rescale, trace)?;
        let levels: Vec<f64> = alphas.iter().map(|&a| f64::from(((1.0 - a) / a).sqrt())).collect();

        let multistep = matches!(sampler, Dpmpp2m | Dpmpp2mKarras | Unipc | Deis);
        if matches!(sampler, Dpmpp2m | Dpmpp2mKarras) && -levels[training - 1].ln() < config.lambda_min_clipped {
            return Err(Error::unsupported("this model's lambda_min_clipped is not supported; name another sampler"));
        }
        let growing = matches!(sampler, Euler | EulerA | Heun | Lms);
        let usual = if matches!(sampler, Ddim | Pndm | Ddpm | Lcm) { Spacing::Leading } else { Spacing::Linspace };
        // From one of the other spacings a single step would start at a level that is not all noise.
        let spacing = if steps == 1 { Spacing::Trailing } else { config.spacing.unwrap_or(usual) };
        let mut timesteps = timesteps(spacing, training, steps, config.steps_offset, multistep);
        if growing {
            timesteps.iter_mut().for_each(|t| *t = f64::from(*t as f32));
        } else {
            timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        }
        let mut sigmas: Vec<f64> = timesteps.iter().map(|&t| interpolate(&levels, t)).collect();
        let karras = match sampler {
            Dpmpp2mKarras => true,
            Dpmpp2m | EulerA => false,
            _ => config.use_karras_sigmas && (multistep || growing),
        };
        if karras {
            // The multistep classes span all levels of training, the others those of their timesteps.
            let (most, least) =
                if multistep { (levels[training - 1], levels[0]) } else { (sigmas[0], sigmas[steps - 1]) };
            sigmas = ramp(config.sigma_max.unwrap_or(most), config.sigma_min.unwrap_or(least), steps);
            let logs: Vec<f64> = levels.iter().map(|&s| f64::from((s as f32).ln())).collect();
            timesteps = sigmas.iter().map(|&s| timestep(&logs, s)).collect();
            // With this schedule one of the classes cuts off what is behind the point.
            let cuts = sampler == Dpmpp2mKarras && config.beta_schedule == Some(BetaSchedule::SquaredCos);
            if multistep {
                timesteps.iter_mut().for_each(|t| *t = if cuts { t.trunc() } else { t.round_ties_even() });
            }
        }
        let ends_above_zero = match sampler {
            Deis => true,
            Euler | Dpmpp2m | Dpmpp2mKarras | Unipc => config.final_sigma_min,
            _ => false,
        };
        let end = match (ends_above_zero, sampler) {
            (true, Deis | Unipc) if karras => sigmas[steps - 1],
            (true, _) => levels[0],
            _ => 0.0,
        };
        sigmas.push(end);
        sigmas.iter_mut().for_each(|s| *s = f64::from(*s as f32));
        let most = sigmas.iter().copied().fold(0.0, f64::max);
        let alphas: Vec<f64> = alphas.into_iter().map(f64::from).collect();
        let to_one = match sampler {
            Ddpm => true,
            _ => config.set_alpha_to_one.unwrap_or(sampler != Pndm),
        };
        Ok(NoiseLevels {
            prediction: config.prediction,
            stride: (training / steps) as i64,
            timesteps: if sampler == Lcm { distilled(config, steps, strength)? } else { timesteps },
            sigmas,
            noise_scale: match spacing {
                _ if !growing => 1.0,
                Spacing::Leading => (most * most + 1.0).sqrt(),
                _ => most,
            },
            last_alpha: if to_one { 1.0 } else { alphas[0] },
            alphas,
        })
    }

    /// Looks up the cumulative product of alphas at a timestep; a negative timestep is the end.
    pub fn alpha(&self, timestep: f64) -> f64 {
        // Settings that lead beyond training end in a number that is not finite, which the caller refuses.
        if timestep < 0.0 { self.last_alpha } else { self.alphas.get(timestep as usize).copied().unwrap_or(f64::NAN) }
    }
}

/// Computes the cumulative products of alphas, rounded where torch rounds: small differences matter when they are
/// subtracted from 1.
fn alphas(config: &SchedulerConfig, sampler: Sampler, rescale: bool, trace: bool) -> Result<Vec<f32>> {
    let n = config.num_train_timesteps;
    let (start, end, kind) = match sampler {
        Sampler::Lcm => (0.00085, 0.012, BetaSchedule::ScaledLinear),
        Sampler::Heun => (0.00085, 0.012, BetaSchedule::Linear),
        _ => (0.0001, 0.02, BetaSchedule::Linear),
    };
    let (start, end) = (config.beta_start.unwrap_or(start), config.beta_end.unwrap_or(end));
    let line = |start: f64, end: f64| (0..n).map(move |i| (start + (end - start) * (i as f64 / (n - 1) as f64)) as f32);
    let mut betas: Vec<f32> = match (&config.trained_betas, config.beta_schedule.unwrap_or(kind)) {
        (Some(betas), _) => betas.iter().map(|&b| b as f32).collect(),
        (_, BetaSchedule::Linear) => line(start, end).collect(),
        (_, BetaSchedule::ScaledLinear) => line(start.sqrt(), end.sqrt()).map(|b| b * b).collect(),
        (_, BetaSchedule::SquaredCos) => {
            let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            (0..n)
                .map(|i| (1.0 - bar((i + 1) as f64 / n as f64) / bar(i as f64 / n as f64)).min(0.999) as f32)
                .collect()
        }
    };
    if betas.len() != n || !betas.iter().all(|b| (0.0..1.0).contains(b)) {
        return Err(Error::unsupported("the noise schedule of this model's scheduler_config.json is not supported"));
    }
    if rescale {
        // Lin et al. 2023, algorithm 1: move the square roots so that the last is 0 and the first stays.
        let roots: Vec<f32> = products(&betas).into_iter().map(f32::sqrt).collect();
        let (first, last) = (roots[0], roots[n - 1]);
        let scale = first / (first - last);
        let bars: Vec<f32> = roots.into_iter().map(|r| ((r - last) * scale).powi(2)).collect();
        betas = (0..n).map(|i| 1.0 - if i == 0 { bars[0] } else { bars[i] / bars[i - 1] }).collect();
    }
    let mut alphas = products(&betas);
    if rescale && trace {
        alphas[n - 1] = 2f32.powi(-24);
    }
    Ok(alphas)
}

fn products(betas: &[f32]) -> Vec<f32> {
    let mut product = 1f64;
    let next = |&beta: &f32| {
        product *= f64::from(1.0 - beta);
        product as f32
    };
    betas.iter().map(next).collect()
}

/// Computes the timesteps from the noisiest on. The multistep classes count the end as a point and leave it out.
fn timesteps(spacing: Spacing, training: usize, steps: usize, offset: i64, multistep: bool) -> Vec<f64> {
    let extra = usize::from(multistep);
    let points = steps + extra;
    let n = training as f64;
    match spacing {
        Spacing::Leading => {
            let stride = training / points;
            (extra..points).rev().map(|i| (i * stride) as f64 + offset as f64).collect()
        }
        Spacing::Trailing => {
            // The difference as numpy's arange has it.
            let down = (n - n / steps as f64) - n;
            (0..steps).map(|i| (n + i as f64 * down).round_ties_even() - 1.0).collect()
        }
        Spacing::Linspace => {
            let stride = (n - 1.0) / (points - 1) as f64;
            (extra..points).rev().map(|i| if i == points - 1 { n - 1.0 } else { i as f64 * stride }).collect()
        }
    }
}

/// Interpolates the level at a timestep between those of training.
fn interpolate(levels: &[f64], t: f64) -> f64 {
    let t = t.clamp(0.0, (levels.len() - 1) as f64);
    let low = (t as usize).min(levels.len() - 2);
    (levels[low + 1] - levels[low]) * (t - low as f64) + levels[low]
}

/// Computes the noise levels of Karras et al. 2022, equation 5 with rho 7.
fn ramp(most: f64, least: f64, steps: usize) -> Vec<f64> {
    let (most, least) = (most.powf(1.0 / 7.0), least.powf(1.0 / 7.0));
    let part = |i: usize| if i == 0 { 0.0 } else { i as f64 / (steps - 1) as f64 };
    (0..steps).map(|i| (most + part(i) * (least - most)).powi(7)).collect()
}

/// Finds the timestep of a level, between those of training in the logarithm.
fn timestep(logs: &[f64], sigma: f64) -> f64 {
    let log = sigma.max(1e-10).ln();
    let low = logs.partition_point(|&l| l <= log).saturating_sub(1).min(logs.len() - 2);
    let part = (logs[low] - log) / (logs[low] - logs[low + 1]);
    low as f64 + part.clamp(0.0, 1.0)
}

/// Computes LCM's timesteps: evenly from those that the model was distilled at, or from a share of them.
fn distilled(config: &SchedulerConfig, steps: usize, share: f64) -> Result<Vec<f64>> {
    let (training, original) = (config.num_train_timesteps, config.original_inference_steps);
    let most = (original as f64 * share) as usize;
    if original > training || most < steps {
        let what = format!("with lcm this model can take 1 to {most} steps, not {steps}; choose fewer");
        return Err(Error::unsupported(what));
    }
    let part = most as f64 / steps as f64;
    let index = |i: usize| most - (i as f64 * part) as usize;
    Ok((0..steps).map(|i| (index(i) * (training / original)) as f64 - 1.0).collect())
}
