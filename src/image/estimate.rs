//! Whether an image model fits, from its headers alone.

use super::need::ImageNeed;
use crate::Result;
use crate::gpu::{Estimate, Gpu, budget};
use crate::load::{ByteSource, Quantize};
use std::rc::Rc;

/// Reads the headers of an image model and adds up what loading it takes. `memory`: the machine's memory as the
/// browser reports it, GiB.
///
/// # Errors
/// Those that loading would find in the headers.
pub async fn estimate(
    gpu: &Rc<Gpu>,
    source: &dyn ByteSource,
    quantize: Option<Quantize>,
    memory: Option<f64>,
) -> Result<Estimate> {
    let (need, download) = ImageNeed::of_files(gpu, source, quantize).await?;
    let advice = "choose a smaller model, a smaller size, or quantize: \"q8\"";
    // Where not all fits at once, the text encoders leave once they are not needed.
    let bytes = if need.total() <= budget(memory) { need.total() } else { need.least() };
    let mut estimate = Estimate::compare(bytes, download, memory, advice);
    let (piece, most) = (need.binding, gpu.adapter().max_binding);
    if piece > most {
        estimate.fits = false;
        estimate.advice.get_or_insert(format!(
            "needs {} MiB of activations in one piece where this GPU binds {} MiB: choose a smaller model",
            piece >> 20,
            most >> 20
        ));
    }
    Ok(estimate)
}
