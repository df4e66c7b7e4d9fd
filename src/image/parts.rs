//! The parts of an image model, bound to its weights.

use super::autoencoder::{Limits, decode_cost};
use super::model::DECODE_BUDGET;
use super::need::ImageNeed;
use super::open::ImageFiles;
use super::painter::{self, Shape};
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

/// An image model's parts. The text encoders' weights are apart: they may leave and come back.
pub(super) struct Parts<'a> {
    pub text: Vec<Clip>,
    pub text_weights: Weights<'a>,
    pub unet: Unet,
    pub vae: Vae,
    pub taesd: Option<Vae>,
    pub weights: Weights<'a>,
}

/// How an image model is configured.
pub(super) struct Configs<'a> {
    pub text: Vec<&'a ClipConfig>,
    pub unet: &'a UnetConfig,
    pub vae: &'a VaeConfig,
    pub taesd: Option<&'a VaeConfig>,
}

impl<'a> Configs<'a> {
    /// Those of a model's files.
    pub fn of(files: &'a ImageFiles) -> Self {
        let text = files.text.iter().map(|t| &t.config).collect();
        Configs { text, unet: &files.unet, vae: &files.vae, taesd: files.taesd.as_ref() }
    }
}

impl<'a> Parts<'a> {
    /// Binds the parts of a model's files.
    pub fn bind(gpu: &Rc<Gpu>, files: &'a ImageFiles, quantize: Quantize) -> Result<Self> {
        Self::bind_with(&Configs::of(files), || Weights::new(gpu, &files.tensors, quantize))
    }

    /// Binds parts with these configurations; `weights` makes a place for weights.
    pub fn bind_with(c: &Configs<'_>, weights: impl Fn() -> Weights<'a>) -> Result<Self> {
        let (text_weights, weights) = (weights(), weights());
        let text =
            c.text.iter().zip(TEXT).map(|(c, name)| Clip::bind(&text_weights, name, c)).collect::<Result<_>>()?;
        let taesd = c.taesd.map(|c| Vae::bind_decoder(&weights, c, "taesd")).transpose()?;
        Ok(Parts {
            text,
            text_weights,
            unet: Unet::bind(&weights, c.unet)?,
            vae: Vae::bind(&weights, c.vae, "vae")?,
            taesd,
            weights,
        })
    }

    /// What they would take on the GPU at this size, width and height in pixels. The weights have no memory yet, and are
    /// left as they were.
    pub fn need(&self, gpu: &Rc<Gpu>, files: &ImageFiles, size: [usize; 2]) -> Result<ImageNeed> {
        self.need_with(gpu, &Configs::of(files), size)
    }

    /// The same, for these configurations.
    pub fn need_with(&self, gpu: &Rc<Gpu>, c: &Configs<'_>, [width, height]: [usize; 2]) -> Result<ImageNeed> {
        let (text, weights) = (self.text_weights.bytes(), self.weights.bytes());
        self.weights.pretend();
        let [h, w] = [height / c.vae.factor(), width / c.vae.factor()];
        let tokens = c.text.iter().map(|t| t.positions).max().unwrap_or(0);
        let guided = c.unet.time_cond_proj_dim.is_none();
        let [painter, binding] = painter::bytes(gpu, &self.unet, Shape { h, w, tokens, guided, known: false });
        let decoder = decode_cost(c.vae, [h, w], Limits::of(gpu, DECODE_BUDGET))?.bytes;
        Ok(ImageNeed { text, weights, painter, decoder, binding })
    }
}
