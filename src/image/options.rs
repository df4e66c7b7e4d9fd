//! A caller's options for pictures, and their checks.

use super::scheduler::Sampler;
use crate::format::{json::JsonObject, variants};
use crate::{Error, Result};
use serde::Deserialize;

/// The program whose noise is reproduced for a seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum NoiseKind {
    /// The noise of torch's generator on the CPU: diffusers, ComfyUI.
    #[default]
    Cpu,
    /// The noise of torch's generator on a GPU, Philox: AUTOMATIC1111.
    Gpu,
}

/// How the picture is shown while it is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Preview {
    /// No preview.
    #[default]
    None,
    /// A projection of the latents to colours, where the autoencoder is too large to be run every step.
    Latent,
    /// By the tiny autoencoder, if it is loaded; else as `Latent`.
    Tiny,
}

/// The options of one call, as in `ImageOptions` of the JavaScript API.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct ImageOptions {
    /// A description of what the picture should not show.
    pub negative_prompt: Option<String>,
    /// Width in pixels; default: the model's own size, or that of a picture to start from.
    pub width: Option<usize>,
    /// Height in pixels, likewise.
    pub height: Option<usize>,
    /// How many steps the sampler takes.
    pub steps: Option<usize>,
    /// How strongly the prompt guides (Ho and Salimans 2022); up to 1 there is no guidance: the negative prompt plays
    /// no part and a step takes half the time.
    pub guidance_scale: Option<f32>,
    /// Picture `i` of a batch has this seed plus `i`; default: random.
    pub seed: Option<u64>,
    /// The program whose noise is reproduced.
    #[serde(deserialize_with = "variants::read")]
    pub noise: NoiseKind,
    /// The sampler's name; default: the model's own.
    #[cfg_attr(test, ts(as = "Option<Sampler>"))]
    pub sampler: Option<String>,
    /// How much fresh noise DDIM adds (Song et al. 2021).
    pub eta: f32,
    /// How many of the text encoder's last layers are left out.
    pub clip_skip: usize,
    /// How many pictures to make.
    pub batch: Option<usize>,
    /// How much of a given picture is repainted, above 0 and up to 1; default: 0.8.
    pub strength: Option<f32>,
    /// The seed of another noise to mix in.
    pub variation_seed: Option<u64>,
    /// How much of that noise, 0 to 1.
    pub variation_strength: f32,
    /// How pictures are shown while they are painted.
    #[serde(deserialize_with = "variants::read")]
    pub preview: Preview,
}

/// The pictures and latents that a caller gives.
#[derive(Clone, Debug, Default)]
pub struct ImageInputs {
    /// A picture to start from: RGBA, `width * height * 4`.
    pub image: Option<Vec<u8>>,
    /// The mask of the region to repaint, RGBA: white is repainted.
    pub mask: Option<Vec<u8>>,
    /// Noise to start from instead of the seed's, [batch, C, h, w].
    pub latents: Option<Vec<f32>>,
}

/// Defaults of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Steps.
    pub steps: usize,
    /// Guidance.
    pub guidance: f32,
    /// The sampler that the model names, or why it is not supported.
    pub sampler: std::result::Result<Sampler, String>,
    /// Sides must be a multiple of this.
    pub multiple: usize,
}

/// Options, with defaults filled in and checked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub width: usize,
    pub height: usize,
    pub steps: usize,
    pub guidance: f32,
    pub seed: u64,
    pub sampler: Sampler,
    pub batch: usize,
    /// How much of the given picture is repainted; `None`: there is none.
    pub strength: Option<f32>,
    pub options: ImageOptions,
}

/// The most pixels of a side.
pub(super) const MOST_SIDE: usize = 4096;
/// The largest seed that JavaScript's numbers hold exactly.
const SEEDS: u64 = 1 << 53;
/// Seeds chosen here are below this: short enough to be typed.
const SHORT: u64 = 1 << 32;

impl Request {
    /// Computes the seed of picture `i` of the batch.
    pub fn seed_of(&self, i: usize) -> u64 {
        self.seed.wrapping_add(i as u64)
    }

    /// Computes the seed of the noise that is mixed in for picture `i`.
    pub fn variation_seed_of(&self, i: usize) -> u64 {
        self.options.variation_seed.unwrap_or(self.seed.wrapping_add(1)).wrapping_add(i as u64)
    }
}

fn refuse<T>(what: String) -> Result<T> {
    Err(Error::unsupported(what))
}

impl ImageOptions {
    /// Reads options from their JSON form.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the wrong option.
    pub fn from_json(value: serde_json::Value) -> Result<Self> {
        JsonObject::options(&value.to_string(), |what| format!("an option is wrong ({what}); see the documentation"))
    }

    /// Fills in the model's defaults, and checks all options. `random` is the seed if none is given.
    pub(super) fn resolve(self, d: &Defaults, inputs: &ImageInputs, random: u64) -> Result<Request> {
        let (width, height) = (self.width.unwrap_or(d.size[0]), self.height.unwrap_or(d.size[1]));
        for (name, side) in [("width", width), ("height", height)] {
            if side == 0 || !side.is_multiple_of(d.multiple) || side > MOST_SIDE {
                return refuse(format!("{name} is {side}; give a multiple of {} from {0} to {MOST_SIDE}", d.multiple));
            }
        }
        let steps = self.steps.unwrap_or(d.steps);
        if !(1..=1000).contains(&steps) {
            return refuse(format!("steps is {steps}; give 1 to 1000"));
        }
        let guidance = self.guidance_scale.unwrap_or(d.guidance);
        let numbers = [("guidanceScale", guidance, 100.0), ("eta", self.eta, 1.0)];
        for (name, v, most) in numbers.into_iter().chain([("variationStrength", self.variation_strength, 1.0)]) {
            if !(0.0..=most).contains(&v) {
                return refuse(format!("{name} is {v}; give a number from 0 to {most}"));
            }
        }
        let strength = self.strength.unwrap_or(0.8);
        if !(strength > 0.0 && strength <= 1.0) {
            return refuse(format!("strength is {strength}; give a number above 0 and up to 1"));
        }
        let batch = self.batch.unwrap_or(1);
        if !(1..=64).contains(&batch) {
            return refuse(format!("batch is {batch}; give 1 to 64"));
        }
        if [self.seed, self.variation_seed].iter().flatten().any(|s| *s >= SEEDS) {
            return refuse("a seed is too large; give one below 2^53".into());
        }
        let sampler = match &self.sampler {
            None => d.sampler.clone().map_err(Error::unsupported)?,
            Some(name) => Sampler::from_name(name).ok_or_else(|| {
                let known: Vec<_> = Sampler::ALL.iter().map(|s| s.name()).collect();
                Error::unsupported(format!("the sampler `{name}` is not known; give one of {}", known.join(", ")))
            })?,
        };
        for (name, rgba) in [("image", &inputs.image), ("mask", &inputs.mask)] {
            if rgba.as_ref().is_some_and(|bytes| bytes.len() != width * height * 4) {
                return refuse(format!("the {name} does not have {width} x {height} pixels"));
            }
        }
        if inputs.mask.is_some() && inputs.image.is_none() {
            return refuse("there is a mask but no image; give the image that it belongs to".into());
        }
        Ok(Request {
            width,
            height,
            steps,
            guidance,
            seed: self.seed.unwrap_or(random % SHORT),
            sampler,
            batch,
            strength: inputs.image.is_some().then_some(strength),
            options: self,
        })
    }
}
