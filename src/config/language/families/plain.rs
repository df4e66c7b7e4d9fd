//! The beginning of every family: names for its file, settings to change, and the layers of Llama.

pub(super) use crate::Result;
pub(super) use crate::config::language::config::LanguageConfig;
pub(super) use crate::config::language::head::{ClassifierConfig, HeadActivation, Pooling};
pub(super) use crate::config::language::keys::{Keys, ModelFamily, Pairs};
pub(super) use crate::config::language::layout::TensorLayout;

use crate::config::language::parts::pre_norm;

/// A family without particulars.
pub(super) const PLAIN: ModelFamily = ModelFamily {
    name: "",
    gguf: &[],
    model_types: &[],
    classes: &[],
    encoder: false,
    pairs: Pairs::Halves,
    prefix: "model.",
    layers: "layers.",
    tensors: &[],
    gguf_tensors: &[],
    keys: &[],
    ropes: &[],
    defaults: "{}",
    read,
    classifier,
};

/// Describes a score of the last token alone, as decoders give it.
fn classifier(_: &Keys) -> Result<ClassifierConfig> {
    Ok(ClassifierConfig { pooling: Pooling::Last, dense: None, norm: None, bias: false })
}

/// Describes a score of the first token, with a linear layer before the last one.
pub(super) fn first_token(activation: HeadActivation) -> ClassifierConfig {
    ClassifierConfig { pooling: Pooling::First, dense: Some((activation, true)), norm: None, bias: true }
}

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
