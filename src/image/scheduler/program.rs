//! The stages of a picture, by whichever sampler.

use super::noise_levels::NoiseLevels;
use super::{NOISE, Program, Sampler, direct, dpm, pndm, sigma, unipc};
use crate::config::diffusion::scheduler::SchedulerConfig;
use crate::{Error, Result};

/// Computes the rows of `steps` steps as `sampler`'s class of diffusers does when it is made from the model's `config`:
/// settings that the file leaves out have that class's defaults.
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
    let s = NoiseLevels::new(config, sampler, steps, share)?;
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
    // So far each stage holds the weights of its own noise level; it needs those of the next stage, and the start needs
    // those of the first.
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

/// Finds the first step that is taken, and the share of the timesteps that the steps cover. It is less than 1 for
/// pipelines of latent consistency models: these take every step, but begin lower.
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
