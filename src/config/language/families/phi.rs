//! Phi-1 to Phi-2: both branches read one norm, part of each head is rotated, the output has a bias.

use super::plain::*;
use crate::config::language::layer::FfnConfig;
use crate::config::language::parts::{ANY, parallel};

pub(super) const PHI: ModelFamily = ModelFamily {
    name: "phi",
    gguf: &["phi2"],
    model_types: &["phi"],
    classes: &["PhiForCausalLM"],
    tensors: &[
        ("final_layernorm", "output_norm", TensorLayout::AsIs),
        ("self_attn.dense", "attn_output", TensorLayout::AsIs),
        ("mlp.fc1", "ffn_up", TensorLayout::AsIs),
        ("mlp.fc2", "ffn_down", TensorLayout::AsIs),
    ],
    defaults: r#"{"intermediate_size": 8192, "max_position_embeddings": 2048, "layer_norm_eps": 1e-5,
        "rope_theta": 1e4, "partial_rotary_factor": 0.5}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    if k.flag("qk_layernorm")? || k.has("attn_q_norm.weight") {
        return Err(k.unsupported("norms of queries and keys with biases are not supported; choose another model"));
    }
    let (norm, attention) = (k.layer_norm(true)?, k.attention_biased(true, true)?);
    let rope = k.rope(attention.key_dim)?;
    let dim = k.ffn_width().map_or_else(|| k.needed("intermediate_size"), Ok)?;
    let activation = k.activation("hidden_act", &ANY)?;
    let ffn = FfnConfig::plain(dim, activation, k.bias("ffn_up", true));
    let model = k.model(vec![parallel(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)?;
    Ok(LanguageConfig { output_bias: true, ..model })
}
