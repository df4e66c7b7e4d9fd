//! Inkstone runs quantized language models and diffusion models on WebGPU, in a browser tab or natively.
//!
//! The modules form a ladder; each imports only those to its left, and siblings (`|`) do not import each other
//! (`tests/tidy.rs` tests it):
//!
//! ```text
//! error shape dtype  <  format config  <  text  <  gpu  <  load ops  <  models  <  probe  <  language | image  <  web
//! ```
//!
//! Only [`gpu`] names `wgpu`; only `web` names `wasm_bindgen` and `js_sys`. `ARCHITECTURE.md` tells the rest.

pub mod dtype;
pub mod error;
pub mod shape;

pub mod config;
pub mod format;

pub mod text;

pub mod gpu;

pub mod load;
pub mod ops;

pub mod models;

pub mod probe;

pub mod image;
pub mod language;

#[cfg(test)]
#[path = "web/types.rs"]
mod types;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use error::{Error, Result};
