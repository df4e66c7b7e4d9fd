//! Inkstone runs quantized language models and diffusion models on WebGPU, in a browser tab or natively.
//!
//! The modules form a ladder; each imports only those to its left (`tests/tidy.rs` holds it so):
//!
//! ```text
//! error shape dtype  <  format text  <  gpu  <  load ops  <  models  <  generate  <  web
//! ```
//!
//! Only [`gpu`] names `wgpu`; only `web` names `wasm_bindgen` and `js_sys`. `ARCHITECTURE.md` tells the rest.

pub mod dtype;
pub mod error;
pub mod shape;

pub mod format;
pub mod text;

pub mod gpu;

pub mod load;
pub mod ops;

pub mod models;

pub mod generate;

#[cfg(target_arch = "wasm32")]
pub mod web;

pub use error::{Error, Result};
