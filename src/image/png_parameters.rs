//! A picture's parameters in the words of AUTOMATIC1111's web UI, which other tools read.

use super::options::{NoiseKind, Request};
use super::scheduler::Sampler;
use std::fmt::Write;

/// Names a sampler as that web UI does.
fn name(sampler: Sampler) -> &'static str {
    match sampler {
        Sampler::Ddim => "DDIM",
        Sampler::Euler => "Euler",
        Sampler::EulerA => "Euler a",
        Sampler::Heun => "Heun",
        Sampler::Dpmpp2m => "DPM++ 2M",
        Sampler::Dpmpp2mKarras => "DPM++ 2M Karras",
        Sampler::Lcm => "LCM",
        Sampler::Unipc => "UniPC",
        Sampler::Pndm => "PLMS",
        Sampler::Lms => "LMS",
        Sampler::Ddpm => "DDPM",
        Sampler::Deis => "DEIS",
    }
}

/// Writes the text of the PNG chunk `parameters` for picture `i` of the batch.
pub(super) fn text(prompt: &str, r: &Request, i: usize, model: &str) -> String {
    let (o, mut text) = (&r.options, prompt.to_string());
    let seed = r.seed_of(i);
    // Writing to a string does not fail.
    let _ = (|| {
        if let Some(negative) = o.negative_prompt.as_deref().filter(|n| !n.is_empty()) {
            write!(text, "\nNegative prompt: {negative}")?;
        }
        write!(text, "\nSteps: {}, Sampler: {}, CFG scale: {}, Seed: {seed}", r.steps, name(r.sampler), r.guidance)?;
        write!(text, ", Size: {}x{}", r.width, r.height)?;
        if !model.is_empty() {
            write!(text, ", Model: {model}")?;
        }
        if o.clip_skip > 0 {
            write!(text, ", Clip skip: {}", o.clip_skip + 1)?;
        }
        if let Some(strength) = r.strength {
            write!(text, ", Denoising strength: {strength}")?;
        }
        if o.eta > 0.0 {
            write!(text, ", Eta: {}", o.eta)?;
        }
        if o.variation_strength > 0.0 {
            let seed = r.variation_seed_of(i);
            write!(text, ", Variation seed: {seed}, Variation seed strength: {}", o.variation_strength)?;
        }
        if o.noise == NoiseKind::Cpu {
            write!(text, ", RNG: CPU")?;
        }
        Ok::<(), std::fmt::Error>(())
    })();
    text
}
