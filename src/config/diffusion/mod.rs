//! Files of image models: what the parts of a diffusers folder are, what a single-file checkpoint holds, what a LoRA
//! changes.

pub mod clip;
pub mod index;
pub mod ldm;
pub mod lora;
pub mod names;
pub mod scheduler;
mod settings;
pub mod unet;
pub mod vae;
