//! The meaning of metadata: configurations of language models and of image models, whichever file they come from.
//!
//! Nothing here reads a file or sees a GPU.

pub mod diffusion;
pub mod language;
