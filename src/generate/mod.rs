//! From a model to an answer: sampling, prefill, decode, and what is kept between calls.

mod answer;
pub mod autoencoder;
mod chat;
mod decode;
mod estimate;
mod image;
mod language;
pub mod noise;
mod options;
mod result;
mod roofline;
pub mod scheduler;
mod self_test;
mod tune;

pub use estimate::Estimate;
pub use image::{
    Defaults, ImageBytes, ImageFlops, ImageInfo, ImageInputs, ImageLoadOptions, ImageModel, ImageNeed, ImageOptions,
    ImageStep, ImageTimings, Lora, NoiseKind, Picture, Preview, Surroundings, TextMemory,
};
pub use language::{LanguageInfo, LanguageModel, LoadOptions};
pub use options::{GenerateOptions, OnOverflow, Stop};
pub use result::{FinishReason, GenerationResult, Logprob, Timings, TokenLogprob, Usage};
pub use roofline::{Roofline, seconds};
pub use self_test::{KernelReport, Limits, Probe, Suite, budget, self_test};
pub use tune::{Tried, tune};
