//! Architectures, one to a file. A model binds its weights by name and shape, and records a forward pass; it never sees
//! bytes, files or encodings.

mod backbone;
mod clip;
mod decoder;
mod encoder;
mod ffn;
mod layers;
mod mixers;
mod norms;
mod state;
mod unet;
mod vae;

pub use backbone::{Sequences, Start, Step};
pub use clip::{Clip, ClipOutput, ClipWant};
pub use decoder::Decoder;
pub use encoder::{Encoder, Texts};
pub use state::{DecoderState, LayerState, Reach, Rollback, StateSize, Timeline};
pub use unet::{PromptKv, Unet, UnetInput};
pub use vae::{Coder, CoderLayer, CoderLayers, Filter, InputNorm, Vae, Work, decoder_layers, encoder_layers};
