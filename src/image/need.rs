//! The memory that an image model would take on the GPU, before anything is allocated.

use super::autoencoder::{DECODE_BUDGET, Limits, decode_cost};
use super::defaults::defaults;
use super::open::{Autoencoder, ImageFiles};
use super::painter::{self, LatentShape};
use super::parts::{Configs, ImageParts};
use crate::Result;
use crate::config::diffusion::clip::ClipConfig;
use crate::config::diffusion::unet::UnetConfig;
use crate::config::diffusion::vae::VaeConfig;
use crate::dtype::DType;
use crate::gpu::Gpu;
use crate::load::{ByteSource, Quantize, Tensors, Weights};
use serde::Serialize;
use std::rc::Rc;

/// Bytes on the GPU, of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ImageNeed {
    /// Weights of the text encoders.
    pub text: u64,
    /// Weights of all other parts.
    pub weights: u64,
    /// The denoising loop: activations, latents, keys and values of the prompt.
    pub painter: u64,
    /// The decoder's activations.
    pub decoder: u64,
    /// The largest activation: a device must be able to bind it in one piece.
    pub binding: u64,
}

impl ImageNeed {
    /// Sums up everything: the most that is allocated at any moment if the text encoders stay.
    pub fn total(&self) -> u64 {
        self.text + self.weights + self.painter + self.decoder
    }

    /// Computes the most that is allocated at any moment if the text encoders are released once a prompt is encoded.
    pub fn least(&self) -> u64 {
        self.weights + self.text.max(self.painter + self.decoder)
    }

    /// Computes the need of a pipeline with these configurations, whose tensors are stored as `dtype`; no file is
    /// needed. `size`: width and height in pixels.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for configurations that no kernel can compute.
    pub fn of_configs(
        gpu: &Rc<Gpu>,
        text: &[ClipConfig],
        unet: &UnetConfig,
        vae: &VaeConfig,
        (dtype, quantize): (DType, Quantize),
        size: [usize; 2],
    ) -> Result<ImageNeed> {
        let tensors = Tensors::default();
        let configs = Configs { text: text.iter().collect(), unet, vae, taesd: None };
        let weights = || Weights::new(gpu, &tensors, quantize).imagined(dtype);
        ImageParts::bind_with(&configs, weights)?.need_with(gpu, &configs, size)
    }

    /// Computes the need of a model, by its headers, at its own size; and the bytes of its files.
    pub(in crate::image) async fn of_files(
        gpu: &Rc<Gpu>,
        source: &dyn ByteSource,
        quantize: Option<Quantize>,
    ) -> Result<(ImageNeed, u64)> {
        let files = ImageFiles::open(source, Autoencoder::default()).await?;
        let quantize = quantize.unwrap_or(Quantize::auto(files.tensors.bytes()));
        let parts = ImageParts::bind(gpu, &files, quantize)?;
        let need = parts.need(gpu, &files, defaults(&files).size)?;
        let mut download = 0;
        for name in &files.tensors.files {
            download += source.size(name).await?.unwrap_or(0);
        }
        Ok((need, download))
    }
}

impl ImageParts<'_> {
    /// Counts what they would take on the GPU at this size, width and height in pixels. The weights have no memory yet,
    /// and are left as they were.
    pub fn need(&self, gpu: &Rc<Gpu>, files: &ImageFiles, size: [usize; 2]) -> Result<ImageNeed> {
        self.need_with(gpu, &Configs::of(files), size)
    }

    /// Counts the same for these configurations.
    pub fn need_with(&self, gpu: &Rc<Gpu>, c: &Configs<'_>, [width, height]: [usize; 2]) -> Result<ImageNeed> {
        let (text, weights) = (self.text_weights.bytes(), self.weights.bytes());
        self.weights.pretend();
        let [h, w] = [height / c.vae.factor(), width / c.vae.factor()];
        let tokens = c.text.iter().map(|t| t.positions).max().unwrap_or(0);
        let guided = c.unet.time_cond_proj_dim.is_none();
        let [painter, binding] = painter::bytes(gpu, &self.unet, LatentShape { h, w, tokens, guided, known: false });
        let decoder = decode_cost(c.vae, [h, w], Limits::of(gpu, DECODE_BUDGET))?.bytes;
        Ok(ImageNeed { text, weights, painter, decoder, binding })
    }
}
