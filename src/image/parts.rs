//! The parts of an image model, bound to its weights.

use super::open::ImageFiles;
use crate::Result;
use crate::config::diffusion::clip::ClipConfig;
use crate::config::diffusion::unet::UnetConfig;
use crate::config::diffusion::vae::VaeConfig;
use crate::gpu::Gpu;
use crate::load::{Quantize, Weights};
use crate::models::{Clip, Unet, Vae};
use std::rc::Rc;

/// Names of the text encoders.
const TEXT: [&str; 2] = ["text_encoder", "text_encoder_2"];

/// An image model's parts. The text encoders' weights are apart: they may be released and read again.
pub(super) struct ImageParts<'a> {
    pub text: Vec<Clip>,
    pub text_weights: Weights<'a>,
    pub unet: Unet,
    pub vae: Vae,
    pub taesd: Option<Vae>,
    pub weights: Weights<'a>,
}

/// The configurations of an image model's parts.
pub(super) struct Configs<'a> {
    pub text: Vec<&'a ClipConfig>,
    pub unet: &'a UnetConfig,
    pub vae: &'a VaeConfig,
    pub taesd: Option<&'a VaeConfig>,
}

impl<'a> Configs<'a> {
    /// Collects those of a model's files.
    pub fn of(files: &'a ImageFiles) -> Self {
        let text = files.text.iter().map(|t| &t.config).collect();
        Configs { text, unet: &files.unet, vae: &files.vae, taesd: files.taesd.as_ref() }
    }
}

impl<'a> ImageParts<'a> {
    /// Binds the parts of a model's files.
    pub fn bind(gpu: &Rc<Gpu>, files: &'a ImageFiles, quantize: Quantize) -> Result<Self> {
        Self::bind_with(&Configs::of(files), || Weights::new(gpu, &files.tensors, quantize))
    }

    /// Binds parts with these configurations; `weights` makes an empty collection of weights.
    pub fn bind_with(c: &Configs<'_>, weights: impl Fn() -> Weights<'a>) -> Result<Self> {
        let (text_weights, weights) = (weights(), weights());
        let text = c
            .text
            .iter()
            .zip(TEXT)
            .map(|(c, name)| Clip::bind(&text_weights.sparing(), name, c))
            .collect::<Result<_>>()?;
        let taesd = c.taesd.map(|c| Vae::bind_decoder(&weights.as_stored(), c, "taesd")).transpose()?;
        Ok(ImageParts {
            text,
            text_weights,
            unet: Unet::bind(&weights, c.unet)?,
            vae: Vae::bind(&weights.as_stored(), c.vae, "vae")?,
            taesd,
            weights,
        })
    }
}
