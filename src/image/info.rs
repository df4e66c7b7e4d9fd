//! An image model's options for loading, its description, and its results.

use super::open::Autoencoder;
use crate::load::Quantize;
use serde::{Deserialize, Serialize};

/// How to load an image model.
#[derive(Clone, Debug, Default)]
pub struct ImageLoadOptions {
    /// How weights stored as floats are quantized; `None`: as it suits the model's size.
    pub quantize: Option<Quantize>,
    /// Whether it paints in the background: submits may hold the GPU longer.
    pub background: bool,
    /// Which autoencoder to load.
    pub vae: Autoencoder,
    /// Whether the text encoders are released between prompts.
    pub text_encoder: TextMemory,
    /// Bytes that everything together should take at most; `None`: no bound.
    pub budget: Option<u64>,
}

/// Whether the text encoders are released once a prompt is encoded: for a new prompt they are read again from the
/// model's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum TextMemory {
    /// They are released if everything together would take more than the budget.
    #[default]
    Auto,
    /// They stay on the GPU.
    Keep,
    /// They are released.
    Release,
}

/// A description of a loaded image model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageInfo {
    /// `stable-diffusion` or `stable-diffusion-xl`.
    pub architecture: &'static str,
    /// The parts that were loaded.
    pub components: Vec<String>,
    /// Width and height that it was trained for.
    pub default_size: [usize; 2],
    /// Steps taken unless told otherwise.
    pub default_steps: usize,
    /// Guidance unless told otherwise.
    pub default_guidance: f32,
    /// The sampler used unless told otherwise.
    #[cfg_attr(test, ts(as = "crate::image::scheduler::Sampler"))]
    pub default_sampler: &'static str,
    /// Samplers to choose from.
    #[cfg_attr(test, ts(as = "Vec<crate::image::scheduler::Sampler>"))]
    pub samplers: Vec<&'static str>,
    /// Sides must be a multiple of this.
    pub multiple_of: usize,
    /// The LoRAs that it was loaded with, by the names that prompts call them: `<lora:name:0.8>`.
    pub loras: Vec<String>,
    /// Number of weights.
    pub parameters: u64,
    /// How most weights are encoded.
    pub quantization: String,
    /// Bytes on the GPU.
    pub bytes: ImageBytes,
    /// The device's tier.
    #[cfg_attr(test, ts(as = "crate::gpu::Tier"))]
    pub tier: &'static str,
    /// The adapter's name.
    pub adapter: String,
    /// The family of kernel variants in use.
    #[cfg_attr(test, ts(as = "crate::gpu::Family"))]
    pub family: &'static str,
    /// Choices that differ from the kernels of its family, since they are quicker on this adapter.
    #[cfg_attr(test, ts(as = "Vec<crate::gpu::Choice>"))]
    pub choices: Vec<&'static str>,
}

/// Bytes on the GPU.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageBytes {
    /// Weights that are on the GPU now.
    pub weights: u64,
    /// Activations and the rest, for the latest size.
    pub scratch: u64,
    /// The most that was allocated on the device at a moment, other models included: during the latest call that
    /// painted, or else while the model was loaded.
    pub peak: u64,
}

/// A finished step of a picture.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageStep {
    /// Its number in the batch.
    pub picture: usize,
    /// Steps done, from 1 on.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Milliseconds that this step took.
    pub ms: f64,
    /// A preview: width, height, RGBA.
    #[serde(skip)]
    pub preview: Option<(usize, usize, Vec<u8>)>,
}

/// Times of a picture, in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageTimings {
    /// Encoding the prompts.
    pub text_ms: f64,
    /// Each step.
    pub step_ms: Vec<f64>,
    /// Decoding the latents.
    pub decode_ms: f64,
    /// From the call to the picture.
    pub total_ms: f64,
}

/// Floating-point operations of products, convolutions and attention, for a picture.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ImageFlops {
    /// A denoising step, with and without the prompt.
    pub step: u64,
    /// Decoding the latents.
    pub decode: u64,
}

/// A finished picture.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Picture {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// [H, W, 3], 0 to 1.
    #[serde(skip)]
    pub pixels: Vec<f32>,
    /// The latents it was decoded from, [C, h, w].
    #[serde(skip)]
    pub latents: Vec<f32>,
    /// Its seed.
    pub seed: u64,
    /// Its parameters, as AUTOMATIC1111 writes them.
    pub parameters: String,
    /// Times of its parts.
    pub timings: ImageTimings,
    /// Operations that were computed.
    pub flops: ImageFlops,
}

/// Is called after every step.
pub type OnStep<'a> = &'a dyn Fn(ImageStep);

/// A clock and a random number, which a call needs from its caller.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Counts milliseconds since some fixed moment.
    pub clock: &'a dyn Fn() -> f64,
    /// For a seed where none is given.
    pub random: u64,
}
