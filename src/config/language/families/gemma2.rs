//! Gemma 2: norms on both sides, capped scores and logits, windows in every other layer.

use super::gemma::{root, tanh};
use super::plain::*;
use crate::config::language::layer::FfnActivation;
use crate::config::language::parts::sandwich;

pub(super) const GEMMA2: ModelFamily = ModelFamily {
    name: "gemma2",
    gguf: &["gemma2"],
    model_types: &["gemma2"],
    classes: &["Gemma2ForCausalLM"],
    tensors: NORMS,
    defaults: r#"{"num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
        "rope_theta": 1e4, "tie_word_embeddings": true, "query_pre_attn_scalar": 256, "sliding_window": 4096,
        "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0}"#,
    read,
    ..PLAIN
};

/// The four norms of a layer.
pub(super) const NORMS: &[(&str, &str, TensorLayout)] = &[
    ("post_attention_layernorm", "post_attention_norm", TensorLayout::AsIs),
    ("pre_feedforward_layernorm", "ffn_norm", TensorLayout::AsIs),
    ("post_feedforward_layernorm", "post_ffw_norm", TensorLayout::AsIs),
];

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, mut attention) = (k.rms_plus_one()?, k.attention()?);
    let rope = k.rope(attention.key_dim)?;
    k.activation("hidden_activation", &[FfnActivation::GeluTanh])?;
    // What GGUF files leave out.
    let (cap, logit_cap, window) = if k.is_gguf() { (Some(50.0), Some(30.0), Some(4096)) } else { (None, None, None) };
    attention.soft_cap = k.cap("attn_logit_softcapping")?.or(cap);
    attention.scale = scale(k, 46, attention.key_dim, attention.heads)?;
    let windows = k.windows(k.window()?.or(window), k.n_layers()?, |i| i % 2 == 0)?;
    let ffn = tanh(k)?;
    let layers = windows.into_iter().map(|w| sandwich(norm, attention.windowed(w), ffn)).collect();
    let model = k.model(layers, vec![rope], norm)?;
    let logit_soft_cap = k.cap("final_logit_softcapping")?.or(logit_cap);
    Ok(LanguageConfig { embedding_scale: root(model.dim), logit_soft_cap, ..model })
}

/// Returns the factor of scores. No GGUF key says it: it follows from the size of a head but in the model of `odd`
/// layers, where it follows from an even share of the hidden size.
pub(super) fn scale(k: &Keys, odd: usize, key_dim: usize, heads: usize) -> Result<f32> {
    let scalar = match k.number("query_pre_attn_scalar")? {
        Some(scalar) => k.positive("`query_pre_attn_scalar`", scalar)?,
        None if k.is_gguf() && k.n_layers()? == odd => (k.needed("hidden_size")? / heads) as f64,
        None => key_dim as f64,
    };
    Ok(scalar.powf(-0.5) as f32)
}
