//! Samplers: from a model's schedule to the numbers that each step needs.
//!
//! Every sampler here is linear in the latents, in the predictor's output, in what it remembers and in fresh noise. So
//! a step is a row of numbers, a [`Stage`], and one kernel runs them all. The device keeps planes of latents: `x`,
//! `saved`, and the history `h1`, `h2`, `h3`. For every evaluation of the predictor, element by element:
//!
//! ```text
//! out    = predictor(input_scale * x, timestep)              // after guidance
//! m      = convert[0] * x + convert[1] * out                 // remembered by this sampler
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
mod program;
mod sigma;
mod stage;
mod unipc;

pub use program::program;

use crate::config::diffusion::scheduler::{Prediction, SchedulerConfig};
use crate::format::variants;
use crate::{Error, Result};
use serde::Deserialize;

/// The values that a row weighs: `x`, `saved`, `m`, `h1`, `h2`, `h3` and noise, in this order.
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
    /// The time that the predictor reads, in training steps; not always a whole number.
    pub timestep: f32,
    /// Factor of the latents before the predictor reads them.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "SamplerName"))]
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
    #[serde(rename = "dpmpp_2m")]
    Dpmpp2m,
    /// The same at the noise levels of Karras et al. 2022.
    #[serde(rename = "dpmpp_2m_karras")]
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

/// Their classes in diffusers' files.
const CLASSES: [(Sampler, &str); 12] = [
    (Sampler::Ddim, "DDIMScheduler"),
    (Sampler::Euler, "EulerDiscreteScheduler"),
    (Sampler::EulerA, "EulerAncestralDiscreteScheduler"),
    (Sampler::Heun, "HeunDiscreteScheduler"),
    (Sampler::Dpmpp2m, "DPMSolverMultistepScheduler"),
    (Sampler::Dpmpp2mKarras, ""),
    (Sampler::Lcm, "LCMScheduler"),
    (Sampler::Unipc, "UniPCMultistepScheduler"),
    (Sampler::Pndm, "PNDMScheduler"),
    (Sampler::Lms, "LMSDiscreteScheduler"),
    (Sampler::Ddpm, "DDPMScheduler"),
    (Sampler::Deis, "DEISMultistepScheduler"),
];

impl Sampler {
    /// Every one.
    pub const ALL: [Sampler; CLASSES.len()] = {
        let mut all = [Sampler::Ddim; CLASSES.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = CLASSES[i].0;
            i += 1;
        }
        all
    };

    /// Finds the sampler of this name, as the options of a picture write it.
    pub fn from_name(name: &str) -> Option<Self> {
        variants::named(name)
    }

    /// Gives the name that [`from_name`](Self::from_name) finds.
    pub fn name(self) -> &'static str {
        variants::names::<Sampler>()[self as usize]
    }

    /// Finds the sampler that the model's file names.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a class that is not here.
    pub fn from_config(config: &SchedulerConfig) -> Result<Self> {
        let known = CLASSES.iter().find(|(_, class)| *class == config.class && !class.is_empty());
        match known.map(|(sampler, _)| *sampler) {
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

/// A level of noise: latents there are `a * picture + s * noise` with `a * a + s * s = 1`.
#[derive(Clone, Copy)]
struct NoiseLevel {
    a: f64,
    s: f64,
}

impl NoiseLevel {
    /// Converts a cumulative product of alphas.
    fn alpha(alpha: f64) -> Self {
        NoiseLevel { a: alpha.sqrt(), s: (1.0 - alpha).sqrt() }
    }

    /// Converts the ratio of noise to picture.
    fn sigma(sigma: f64) -> Self {
        let a = 1.0 / (sigma * sigma + 1.0).sqrt();
        NoiseLevel { a, s: sigma * a }
    }

    /// Computes half the logarithm of the ratio of signal to noise.
    fn lambda(self) -> f64 {
        self.a.ln() - self.s.ln()
    }

    /// Computes the weights of `x` and the output in the picture.
    fn picture(self, prediction: Prediction) -> [f64; 2] {
        match prediction {
            Prediction::V => [self.a, -self.s],
            _ => [1.0 / self.a, -self.s / self.a],
        }
    }

    /// Computes the weights of `x` and the output in the noise.
    fn noise(self, prediction: Prediction) -> [f64; 2] {
        match prediction {
            Prediction::V => [self.s, self.a],
            _ => [0.0, 1.0],
        }
    }
}

/// Makes a row from its weights that are not 0.
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
