//! Whether a model that makes vectors fits, from its headers alone.

use super::open::EmbeddingSource;
use crate::Result;
use crate::gpu::{Estimate, Gpu};
use crate::language::LoadOptions;
use crate::load::{ByteSource, Quantize, Weights};
use crate::models::Encoder;
use std::rc::Rc;

/// Activations and plans: what a batch takes at the widest point, roughly.
const SCRATCH: u64 = 64 << 20;

/// Reads the headers of a model and adds up what loading it takes. `memory`: what the browser says of the machine, GiB.
///
/// # Errors
/// Whatever loading would say of the headers.
pub async fn estimate(
    gpu: &Rc<Gpu>,
    source: &dyn ByteSource,
    options: &LoadOptions,
    memory: Option<f64>,
) -> Result<Estimate> {
    let files = EmbeddingSource::open(source).await?;
    let quantize = options.quantize.unwrap_or(Quantize::auto(files.tensors.bytes()));
    let weights = Weights::new(gpu, &files.tensors, quantize);
    Encoder::bind(&weights, &files.config, gpu)?;
    let mut download = 0;
    for name in &files.tensors.files {
        download += source.size(name).await?.unwrap_or(0);
    }
    let advice = "choose a smaller model, or a more strongly quantized one";
    Ok(Estimate::compare(weights.bytes() + SCRATCH, download, memory, advice))
}
