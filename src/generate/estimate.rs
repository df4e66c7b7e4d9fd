//! Whether a model fits, from its headers alone.

use super::image::ImageNeed;
use super::language::{LoadOptions, context, exact};
use super::self_test::budget;
use crate::Result;
use crate::gpu::Gpu;
use crate::load::{ByteSource, LanguageFiles, Quantize, Weights, is_image_model};
use crate::models::Decoder;
use serde::Serialize;
use std::rc::Rc;

/// Activations and plans: what a chunk of prefill takes at the widest point, roughly.
const SCRATCH: u64 = 64 << 20;

/// What loading a model would take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Whether it should fit.
    pub fits: bool,
    /// Bytes of the files.
    pub download: u64,
    /// Bytes on the GPU.
    pub gpu: u64,
    /// What to do if it does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Estimate {
    /// Reads the headers and adds up. `memory`: what the browser says of the machine, GiB.
    ///
    /// # Errors
    /// Whatever loading would say of the headers.
    pub async fn of(
        gpu: &Rc<Gpu>,
        source: &dyn ByteSource,
        options: &LoadOptions,
        memory: Option<f64>,
    ) -> Result<Estimate> {
        if is_image_model(source).await? {
            let (need, download) = ImageNeed::of_files(gpu, source, options.quantize).await?;
            let advice = "choose a smaller model, a smaller size, or quantize: \"q8\"";
            // Where not all fits at once, the text encoders leave once they are not needed.
            let bytes = if need.total() <= budget(memory) { need.total() } else { need.least() };
            let mut estimate = Self::compare(bytes, download, memory, advice);
            let (piece, most) = (need.binding, gpu.adapter().max_binding);
            if piece > most {
                estimate.fits = false;
                estimate.advice.get_or_insert(format!(
                    "needs {} MiB of activations in one piece where this GPU binds {} MiB: choose a smaller model",
                    piece >> 20,
                    most >> 20
                ));
            }
            return Ok(estimate);
        }
        let files = LanguageFiles::open(source).await?;
        let quantize = options.quantize.unwrap_or(Quantize::auto(files.tensors.bytes()));
        let exact = exact(quantize, &files);
        let weights = Weights::new(gpu, &files.tensors, quantize);
        Decoder::bind(&weights, &files.config, gpu)?;
        let capacity = context(gpu, &files.config, options.context_length, weights.bytes(), exact)?;
        let mut download = 0;
        for name in &files.tensors.files {
            download += source.size(name).await?.unwrap_or(0);
        }
        let need = weights.bytes() + Decoder::cache_bytes(&files.config, capacity, exact) + SCRATCH;
        let advice = "choose a smaller or more strongly quantized model, or a shorter contextLength";
        Ok(Self::compare(need, download, memory, advice))
    }

    fn compare(need: u64, download: u64, memory: Option<f64>, what: &str) -> Estimate {
        let have = budget(memory);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let advice = (need > have)
            .then(|| format!("needs {} MiB of GPU memory where about {} MiB are safe: {what}", mib(need), mib(have)));
        Estimate { fits: need <= have, download, gpu: need, advice }
    }
}
