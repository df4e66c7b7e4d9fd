//! Architectures, one to a file. A model binds its weights by name and shape, and records a forward pass; it never sees
//! bytes, files or encodings.

mod chain;
mod clip;
mod coder;
mod decoder;
mod layers;
mod taesd;
mod unet;
mod vae;

pub use clip::{Clip, ClipOutput, ClipWant};
pub use coder::{Coder, Filter, Layer, Layers, Work};
pub use decoder::{Decoder, KvCache, Step};
pub use unet::{Context, Unet, UnetInput};
pub use vae::{Vae, decoder_layers, encoder_layers};
