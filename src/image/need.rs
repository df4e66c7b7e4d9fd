//! What an image model would take on the GPU, before anything is there.

use super::open::{Autoencoder, ImageFiles};
use super::parts::{Configs, Parts};
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
    /// All of it, which is the most that is there at any moment if everything stays.
    pub fn total(&self) -> u64 {
        self.text + self.weights + self.painter + self.decoder
    }

    /// The most that is there at any moment if the text encoders leave once a prompt is encoded.
    pub fn least(&self) -> u64 {
        self.weights + self.text.max(self.painter + self.decoder)
    }

    /// Of a pipeline with these configurations, whose tensors are stored as `dtype`; no file is needed. `size`: width and
    /// height in pixels.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for what no kernel can do.
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
        Parts::bind_with(&configs, weights)?.need_with(gpu, &configs, size)
    }

    /// Of a model, by its headers, at its own size; and the bytes of its files.
    pub(in crate::image) async fn of_files(
        gpu: &Rc<Gpu>,
        source: &dyn ByteSource,
        quantize: Option<Quantize>,
    ) -> Result<(ImageNeed, u64)> {
        let files = ImageFiles::open(source, Autoencoder::default()).await?;
        let quantize = quantize.unwrap_or(Quantize::auto(files.tensors.bytes()));
        let parts = Parts::bind(gpu, &files, quantize)?;
        let need = parts.need(gpu, &files, super::model::defaults(&files).size)?;
        let mut download = 0;
        for name in &files.tensors.files {
            download += source.size(name).await?.unwrap_or(0);
        }
        Ok((need, download))
    }
}
