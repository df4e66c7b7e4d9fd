//! Golden language models: `tests/models/README.md` says how their numbers were made.

pub mod case;
pub mod family_gguf;
pub mod folder;
pub mod gguf;
pub mod run;
pub mod weights;
