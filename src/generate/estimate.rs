//! Whether a model fits, from its headers alone.

use super::language::{LoadOptions, context, exact, quantization};
use super::self_test::budget;
use crate::Result;
use crate::gpu::Gpu;
use crate::load::{ByteSource, LanguageFiles, Weights};
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
        let files = LanguageFiles::open(source).await?;
        let quantize = quantization(options, &files);
        let exact = exact(quantize, &files);
        let weights = Weights::new(gpu, &files, quantize);
        Decoder::bind(&weights, &files.config, gpu)?;
        let capacity = context(gpu, &files.config, options.context_length, weights.bytes(), exact)?;
        let mut download = 0;
        for name in &files.files {
            download += source.size(name).await?.unwrap_or(0);
        }
        let need = weights.bytes() + Decoder::cache_bytes(&files.config, capacity, exact) + SCRATCH;
        let have = budget(memory);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let advice = (need > have).then(|| {
            format!(
                "needs {} MiB of GPU memory where about {} MiB are safe: choose a smaller or more strongly quantized model, \
                 or a shorter contextLength",
                mib(need),
                mib(have)
            )
        });
        Ok(Estimate { fits: need <= have, download, gpu: need, advice })
    }
}
