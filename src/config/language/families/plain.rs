//! The beginning of every family: names for its file, settings to change, and the layers of Llama.

pub(super) use crate::Result;
pub(super) use crate::config::language::config::LanguageConfig;
pub(super) use crate::config::language::keys::{Keys, ModelFamily, Pairs};
pub(super) use crate::config::language::layout::TensorLayout;

use crate::config::language::parts::pre_norm;

/// A family without particulars.
pub(super) const PLAIN: ModelFamily = ModelFamily {
    name: "",
    gguf: &[],
    model_types: &[],
    classes: &[],
    pairs: Pairs::Halves,
    prefix: "model.",
    layers: "layers.",
    tensors: &[],
    gguf_tensors: &[],
    keys: &[],
    ropes: &[],
    defaults: "{}",
    read,
};

/// Reads the layers as Llama has them.
pub(super) fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention, ffn) = (k.rms()?, k.attention()?, k.ffn(k.flag("mlp_bias")?)?);
    let rope = k.rope(attention.key_dim)?;
    // A window in `config.json` means nothing here; in GGUF files it is that of a model by another name.
    let window = if k.is_gguf() { k.window()? } else { None };
    let windows = k.windows(window, k.n_layers()?, |_| true)?;
    let layers = windows.into_iter().map(|w| pre_norm(norm, attention.windowed(w), ffn)).collect();
    k.model(layers, vec![rope], norm)
}
