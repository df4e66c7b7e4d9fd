//! Gemma 1: norms by 1 + w, embeddings by the root of their width.

use super::plain::*;
use crate::config::language::layer::{FfnActivation, FfnConfig};
use crate::config::language::parts::pre_norm;

pub(super) const GEMMA: ModelFamily = ModelFamily {
    name: "gemma",
    gguf: &["gemma"],
    model_types: &["gemma"],
    classes: &["GemmaForCausalLM"],
    defaults: r#"{"num_key_value_heads": 16, "head_dim": 256, "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
        "rope_theta": 1e4, "tie_word_embeddings": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention) = (k.rms_plus_one()?, k.attention()?);
    let rope = k.rope(attention.key_dim)?;
    // The first files say "gelu" and mean the other form.
    k.activation("hidden_act", &[FfnActivation::GeluTanh, FfnActivation::Gelu])?;
    let ffn = tanh(k)?;
    let layers = vec![pre_norm(norm, attention.windowed(None), ffn); k.n_layers()?];
    let model = k.model(layers, vec![rope], norm)?;
    Ok(LanguageConfig { embedding_scale: root(model.dim), ..model })
}

/// Describes a feed-forward network whose gate goes through GELU.
pub(super) fn tanh(k: &Keys) -> Result<FfnConfig> {
    Ok(FfnConfig::gated(k.needed("intermediate_size")?, FfnActivation::GeluTanh, k.bias("ffn_up", false)))
}

/// Returns the factor of the embeddings.
pub(super) fn root(dim: usize) -> f32 {
    (dim as f64).sqrt() as f32
}
