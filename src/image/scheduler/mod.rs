//! Samplers: from a model's schedule to the numbers that each step needs.
//!
//! Every sampler here is linear in the latents, in the predictor's output, in what it remembers and in fresh noise. So
//! a step is a row of numbers, a [`Stage`], and one kernel runs them all. The device keeps planes of latents: `x`,
//! `saved`, and the history `h1`, `h2`, `h3`. For every evaluation of the predictor, element by element:
//!
//! ```text
//! out    = predictor(input_scale * x, timestep)              // after guidance
//! m      = convert[0] * x + convert[1] * out                 // what this sampler remembers
//! x0     = denoised[0] * x + denoised[1] * out               // the picture as it is estimated now
//! v      = [x, saved, m, h1, h2, h3, noise]
//! x'     = next . v
//! saved' = save . v
//! h3', h2', h1' = shift ? (h2, h1, m) : (h3, h2, h1)
//! ```
//!
//! Rows follow the classes of diffusers, step for step. Where they differ on purpose: one step always starts from pure
//! noise (spacing `trailing`), `PNDMScheduler` never starts with Runge-Kutta steps (as with `skip_prk_steps`),
//! estimates are never clipped (its pipelines switch that off), and `trailing` always has as many steps as were asked
//! for (its count is one too many for 61 steps and some more).

mod direct;
mod dpm;
mod noise_levels;
mod pndm;
mod sigma;
mod unipc;

use crate::config::diffusion::scheduler::{Prediction, SchedulerConfig};
use crate::{Error, Result};
use noise_levels::Schedule;

/// How many values a row weighs: `x`, `saved`, `m`, `h1`, `h2`, `h3` and noise, in this order.
pub const SLOTS: usize = 7;

const X: usize = 0;
const SAVED: usize = 1;
const M: usize = 2;
const H1: usize = 3;
const H2: usize = 4;
const H3: usize = 5;
const NOISE: usize = 6;

/// One evaluation of the predictor and what follows from it; the module says how it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What the predictor is told, in training steps; not always a whole number.
    pub timestep: f32,
    /// What the latents are multiplied by before the predictor sees them.
    pub input_scale: f32,
    /// Weights of `x` and of the output in `m`.
    pub convert: [f32; 2],
    /// Weights of `x` and of the output in the estimate of the picture's latents.
    pub denoised: [f32; 2],
    /// Weights of the next `x`.
    pub next: [f32; SLOTS],
    /// Weights of the next `saved`.
    pub save: [f32; SLOTS],
    /// Whether `m` enters the history.
    pub shift: bool,
    /// Whether a fresh normal draw is needed: `next[6]` is not 0.
    pub noise: bool,
    /// The person's step that this belongs to, from 0: some samplers evaluate more often than they step.
    pub step: usize,
    /// Inpainting: where the picture is to stay, `x'` is `known[0] * original + known[1] * noise`, with the noise that
    /// the first latents were made with.
    pub known: [f32; 2],
}

/// All stages of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The first `x` is `start[0] * latents of the given image + start[1] * noise`; without an image `start[0]` is 0.
    pub start: [f32; 2],
    /// In order; never empty.
    pub stages: Vec<Stage>,
}

/// A way from noise to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// Song et al. 2020, with `eta` from 0 to 1.
    Ddim,
    /// Karras et al. 2022, algorithm 2 without churn.
    Euler,
    /// Euler steps that overshoot and add noise again.
    EulerA,
    /// Two evaluations a step.
    Heun,
    /// Lu et al. 2022, DPM-Solver++ with two steps of memory, or whichever multistep variant the model's file names.
    Dpmpp2m,
    /// The same at the noise levels of Karras et al. 2022.
    Dpmpp2mKarras,
    /// Luo et al. 2023, for models distilled for it.
    Lcm,
    /// Zhao et al. 2023: each step also corrects the one before.
    Unipc,
    /// Liu et al. 2022, four steps of memory.
    Pndm,
    /// Linear multistep with exact weights, four steps of memory.
    Lms,
    /// Ho et al. 2020; for models whose file names it.
    Ddpm,
    /// Zhang and Chen 2022; for models whose file names it.
    Deis,
}

/// Names, as people and as diffusers' files write them.
const NAMES: [(Sampler, &str, &str); 12] = [
    (Sampler::Ddim, "ddim", "DDIMScheduler"),
    (Sampler::Euler, "euler", "EulerDiscreteScheduler"),
    (Sampler::EulerA, "euler_a", "EulerAncestralDiscreteScheduler"),
    (Sampler::Heun, "heun", "HeunDiscreteScheduler"),
    (Sampler::Dpmpp2m, "dpmpp_2m", "DPMSolverMultistepScheduler"),
    (Sampler::Dpmpp2mKarras, "dpmpp_2m_karras", ""),
    (Sampler::Lcm, "lcm", "LCMScheduler"),
    (Sampler::Unipc, "unipc", "UniPCMultistepScheduler"),
    (Sampler::Pndm, "pndm", "PNDMScheduler"),
    (Sampler::Lms, "lms", "LMSDiscreteScheduler"),
    (Sampler::Ddpm, "ddpm", "DDPMScheduler"),
    (Sampler::Deis, "deis", "DEISMultistepScheduler"),
];

impl Sampler {
    /// Every one.
    pub const ALL: [Sampler; NAMES.len()] = {
        let mut all = [Sampler::Ddim; NAMES.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = NAMES[i].0;
            i += 1;
        }
        all
    };

    /// The sampler of this name, as the options of a picture write it.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, n, _)| *n == name).map(|(sampler, ..)| *sampler)
    }

    /// The name that [`from_name`](Self::from_name) knows.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(sampler, ..)| *sampler == self).map_or("", |(_, name, _)| name)
    }

    /// The sampler that the model's file names.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a class that is not here.
    pub fn from_config(config: &SchedulerConfig) -> Result<Self> {
        let known = NAMES.iter().find(|(.., class)| *class == config.class && !class.is_empty());
        match known.map(|(sampler, ..)| *sampler) {
            Some(Sampler::Dpmpp2m) if config.use_karras_sigmas => Ok(Sampler::Dpmpp2mKarras),
            Some(sampler) => Ok(sampler),
            None => {
                let what =
                    format!("the model asks for {}, which is not supported; name a sampler yourself", config.class);
                Err(Error::unsupported(what))
            }
        }
    }
}

/// The rows of `steps` steps as `sampler`'s class of diffusers computes them when it is made from the model's
/// `config`: what the file says counts, what it leaves out has that class's default.
///
/// With a `strength` in (0, 1] an image is changed: of the steps only the last `floor(steps * strength)` are taken.
/// Inpainting at full strength starts without one, from noise alone. `eta`, from 0 to 1, is the share of fresh noise in
/// [`Sampler::Ddim`].
///
/// # Errors
/// [`Error::Unsupported`] for numbers out of range and for settings that are not supported.
pub fn program(
    config: &SchedulerConfig,
    sampler: Sampler,
    steps: usize,
    strength: Option<f32>,
    eta: f32,
) -> Result<Program> {
    if !(0.0..=1.0).contains(&eta) {
        return Err(Error::unsupported(format!("eta is {eta}; give a number from 0 to 1")));
    }
    let (begin, share) = begin(steps, strength, sampler == Sampler::Lcm && config.consistency)?;
    let s = Schedule::new(config, sampler, steps, share)?;
    let mut stages = match sampler {
        Sampler::Ddim => direct::ddim(&s, begin, eta.into()),
        Sampler::Ddpm => direct::ddpm(&s, begin, config)?,
        Sampler::Lcm => direct::lcm(&s, begin, config),
        Sampler::Pndm => pndm::stages(&s, begin),
        Sampler::Euler | Sampler::EulerA => sigma::euler(&s, begin, sampler == Sampler::EulerA),
        Sampler::Heun => sigma::heun(&s, begin),
        Sampler::Lms => sigma::lms(&s, begin),
        Sampler::Dpmpp2m | Sampler::Dpmpp2mKarras | Sampler::Deis => dpm::stages(&s, begin, config, sampler)?,
        Sampler::Unipc => unipc::stages(&s, begin, config)?,
    };
    // So far each stage holds the weights of its own level of noise: those of the one before it, and of the start.
    let mut level = [1.0, 0.0];
    for stage in stages.iter_mut().rev() {
        std::mem::swap(&mut level, &mut stage.known);
        stage.noise = stage.next[NOISE] != 0.0;
        let numbers = [stage.input_scale, stage.timestep].into_iter().chain(stage.convert).chain(stage.denoised);
        if !numbers.chain(stage.next).chain(stage.save).chain(stage.known).all(f32::is_finite) {
            let name = sampler.name();
            return Err(Error::unsupported(format!(
                "{name} cannot take {steps} steps with this model; choose another"
            )));
        }
    }
    Ok(Program { start: if strength.is_some() { level } else { [0.0, s.noise_scale as f32] }, stages })
}

/// The first step that is taken; and of how large a share of the timesteps, which is less than all for pipelines of
/// latent consistency models: these take every step, but begin lower.
fn begin(steps: usize, strength: Option<f32>, consistency: bool) -> Result<(usize, f64)> {
    let Some(strength) = strength else { return Ok((0, 1.0)) };
    if !(0.0..=1.0).contains(&strength) {
        return Err(Error::unsupported(format!("strength is {strength}; give a number above 0, at most 1")));
    }
    // 0.7 means 0.7, not the float32 below it: 20 steps at 0.7 are 14.
    let exact = (f64::from(strength) * 1e6).round() / 1e6;
    if consistency {
        return Ok((0, exact));
    }
    match (steps as f64 * exact) as usize {
        0 => Err(Error::unsupported(format!("{steps} steps at strength {strength} are none; raise one of them"))),
        taken => Ok((steps - taken.min(steps), 1.0)),
    }
}

/// A level of noise: latents there are `a * picture + s * noise` with `a * a + s * s = 1`.
#[derive(Clone, Copy)]
struct Level {
    a: f64,
    s: f64,
}

impl Level {
    /// Of the cumulative product of alphas.
    fn alpha(alpha: f64) -> Self {
        Level { a: alpha.sqrt(), s: (1.0 - alpha).sqrt() }
    }

    /// Of noise `sigma` times as strong as the picture.
    fn sigma(sigma: f64) -> Self {
        let a = 1.0 / (sigma * sigma + 1.0).sqrt();
        Level { a, s: sigma * a }
    }

    /// Half the logarithm of the ratio of signal to noise.
    fn lambda(self) -> f64 {
        self.a.ln() - self.s.ln()
    }

    /// Weights of `x` and the output in the picture.
    fn picture(self, prediction: Prediction) -> [f64; 2] {
        match prediction {
            Prediction::V => [self.a, -self.s],
            _ => [1.0 / self.a, -self.s / self.a],
        }
    }

    /// Weights of `x` and the output in the noise.
    fn noise(self, prediction: Prediction) -> [f64; 2] {
        match prediction {
            Prediction::V => [self.s, self.a],
            _ => [0.0, 1.0],
        }
    }
}

/// A row from its weights that are not 0.
fn row<const N: usize>(weights: [(usize, f64); N]) -> [f32; SLOTS] {
    let mut row = [0.0; SLOTS];
    for (slot, weight) in weights {
        row[slot] = weight as f32;
    }
    row
}

fn narrow(pair: [f64; 2]) -> [f32; 2] {
    pair.map(|v| v as f32)
}

impl Stage {
    /// A stage that remembers estimates of the picture; where it leads is still to be said.
    fn new(s: &Schedule, timestep: f64, level: Level, step: usize) -> Self {
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

    /// The same for latents that grow with the noise, `picture + sigma * noise`; it remembers the noise.
    fn growing(s: &Schedule, timestep: f64, sigma: f64, step: usize) -> Self {
        let level = Level::sigma(sigma);
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
