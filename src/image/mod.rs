//! Image models: from files to a picture. Text encoders, noise predictor, autoencoder, and the loop between them.

mod adapters;
pub mod autoencoder;
mod call;
mod defaults;
mod estimate;
mod info;
mod job;
mod memory;
mod model;
mod need;
pub mod noise;
mod open;
mod options;
mod painter;
mod parts;
mod pixels;
mod png_parameters;
mod prompts;
pub mod scheduler;
mod text_encoder;

pub use adapters::Lora;
pub use estimate::estimate;
pub use info::{
    ImageBytes, ImageFlops, ImageInfo, ImageLoadOptions, ImageStep, ImageTimings, OnStep, Picture, Surroundings,
    TextMemory,
};
pub use model::ImageModel;
pub use need::ImageNeed;
pub use open::{Autoencoder, ImageFiles, TextPart, is_image_model};
pub use options::{Defaults, ImageInputs, ImageOptions, NoiseKind, Preview};
