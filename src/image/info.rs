//! What an image model is loaded with, what is known of it, and what comes out of it.

use super::open::Autoencoder;
use crate::load::Quantize;
use serde::Serialize;

/// How to load an image model.
#[derive(Clone, Debug, Default)]
pub struct ImageLoadOptions {
    /// What becomes of weights stored as floats; `None`: what fits.
    pub quantize: Option<Quantize>,
    /// Nobody is looking: submits may hold the GPU longer.
    pub background: bool,
    /// Which autoencoder.
    pub vae: Autoencoder,
    /// Whether the text encoders leave the GPU between prompts.
    pub text_encoder: TextMemory,
    /// Bytes that everything together should take at most; `None`: there is enough.
    pub budget: Option<u64>,
}

/// Whether the text encoders leave the GPU once a prompt is encoded: for a new one they are read again from where the
/// model's files are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextMemory {
    /// They leave if all together would take more than the budget.
    #[default]
    Auto,
    /// They stay.
    Keep,
    /// They leave.
    Release,
}

impl TextMemory {
    /// The option's name in JavaScript.
    pub fn from_name(name: &str) -> Option<TextMemory> {
        match name {
            "auto" => Some(TextMemory::Auto),
            "keep" => Some(TextMemory::Keep),
            "release" => Some(TextMemory::Release),
            _ => None,
        }
    }
}

/// What is known of a loaded image model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
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
    pub default_sampler: &'static str,
    /// Samplers to choose from.
    pub samplers: Vec<&'static str>,
    /// Sides must be a multiple of this.
    pub multiple_of: usize,
    /// The LoRAs that it was loaded with, by the names that prompts call them.
    pub loras: Vec<String>,
    /// Number of weights.
    pub parameters: u64,
    /// How most weights are encoded.
    pub quantization: String,
    /// Bytes on the GPU.
    pub bytes: ImageBytes,
    /// The device's tier.
    pub tier: &'static str,
    /// The adapter's name.
    pub adapter: String,
    /// The family of kernel variants in use.
    pub family: &'static str,
    /// Where the adapter departs from it: see [`crate::gpu::Choice`].
    pub choices: Vec<&'static str>,
}

/// Bytes on the GPU.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ImageBytes {
    /// Weights that are there now.
    pub weights: u64,
    /// Activations and the rest, for the latest size.
    pub scratch: u64,
    /// The most that was live on the device, other models included, while the model was loaded and while the latest
    /// pictures were painted, whichever was last.
    pub peak: u64,
}

/// How far a picture is.
#[derive(Clone, Debug)]
pub struct ImageStep {
    /// Its number in the batch.
    pub picture: usize,
    /// Steps done, from 1 on.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Milliseconds that this step took.
    pub ms: f64,
    /// What it looks like: width, height, RGBA.
    pub preview: Option<(usize, usize, Vec<u8>)>,
}

/// Times of a picture, in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
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
pub struct ImageFlops {
    /// A denoising step, with and without the prompt.
    pub step: u64,
    /// Decoding the latents.
    pub decode: u64,
}

/// A finished picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// [H, W, 3], 0 to 1.
    pub pixels: Vec<f32>,
    /// The latents it was decoded from, [C, h, w].
    pub latents: Vec<f32>,
    /// Its seed.
    pub seed: u64,
    /// How it was made, as AUTOMATIC1111 writes it.
    pub parameters: String,
    /// How long it took.
    pub timings: ImageTimings,
    /// What was computed.
    pub flops: ImageFlops,
}

/// Hears how far the pictures are.
pub type OnStep<'a> = &'a dyn Fn(ImageStep);

/// What a call needs from outside: time in milliseconds, and a random number.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Milliseconds since some moment.
    pub clock: &'a dyn Fn() -> f64,
    /// For a seed where none is given.
    pub random: u64,
}
