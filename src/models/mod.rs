//! Architectures, one to a file. A model binds its weights by name and shape, and records a forward pass; it never sees
//! bytes, files or encodings.

mod clip;
mod decoder;
mod ffn;
mod layers;
mod mixers;
mod norms;
mod state;
mod unet;
mod vae;

pub use clip::{Clip, ClipOutput, ClipWant};
pub use decoder::{Decoder, Start, Step};
pub use state::{DecoderState, LayerState, Reach, Rollback, StateSize, Timeline};
pub use unet::{PromptKv, Unet, UnetInput};
pub use vae::{Coder, CoderLayer, CoderLayers, Filter, InputNorm, Vae, Work, decoder_layers, encoder_layers};
