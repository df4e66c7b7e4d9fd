//! A model's own defaults, by its files.

use super::open::ImageFiles;
use super::options::{Defaults, MOST_SIDE};
use super::scheduler::Sampler;
use crate::config::diffusion::scheduler::Spacing;

/// Reads from a model's files how it wants to be used.
pub(super) fn defaults(files: &ImageFiles) -> Defaults {
    let factor = files.vae.factor();
    let levels = files.unet.block_out_channels.len();
    let multiple = factor.max(8).min(factor << (levels - 1));
    let [height, width] =
        files.unet.sample_size.map(|side| (side * factor).clamp(multiple, MOST_SIDE) / multiple * multiple);
    let scheduler = &files.scheduler;
    let sampler = Sampler::from_config(scheduler);
    // Only the schedule tells models that were distilled to few steps; some models that are trained down to no signal
    // have the same one.
    let few = scheduler.class.starts_with("Euler")
        && scheduler.spacing == Some(Spacing::Trailing)
        && !scheduler.rescale_betas_zero_snr;
    let (steps, guidance) = match (&sampler, few) {
        (Ok(Sampler::Lcm), _) => (4, if files.unet.time_cond_proj_dim.is_some() { 8.0 } else { 1.0 }),
        (_, true) => (1, 0.0),
        _ => (20, if files.family.is_xl() { 5.0 } else { 7.5 }),
    };
    Defaults { size: [width, height], steps, guidance, sampler: sampler.map_err(|e| e.to_string()), multiple }
}
