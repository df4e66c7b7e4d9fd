//! Whether a language model fits, from its headers alone.

use super::model::{LoadOptions, state_size};
use super::open::LanguageFiles;
use crate::Result;
use crate::gpu::{Estimate, Gpu};
use crate::load::{ByteSource, Quantize, Weights};
use crate::models::{Decoder, DecoderState};
use std::rc::Rc;

/// Activations and plans: what a chunk of prefill takes at the widest point, roughly.
const SCRATCH: u64 = 64 << 20;

/// Reads the headers of a language model and adds up what loading it takes. `memory`: what the browser says of the
/// machine, GiB.
///
/// # Errors
/// Whatever loading would say of the headers.
pub async fn estimate(
    gpu: &Rc<Gpu>,
    source: &dyn ByteSource,
    options: &LoadOptions,
    memory: Option<f64>,
) -> Result<Estimate> {
    let files = LanguageFiles::open(source).await?;
    let quantize = options.quantize.unwrap_or(Quantize::auto(files.tensors.bytes()));
    let weights = Weights::new(gpu, &files.tensors, quantize);
    Decoder::bind(&weights, &files.config, gpu)?;
    let size = state_size(gpu, &files.config, options.context_length, &weights)?;
    let mut download = 0;
    for name in &files.tensors.files {
        download += source.size(name).await?.unwrap_or(0);
    }
    let need = weights.bytes() + DecoderState::bytes(&files.config, size) + SCRATCH;
    let advice = "choose a smaller or more strongly quantized model, or a shorter contextLength";
    Ok(Estimate::compare(need, download, memory, advice))
}
