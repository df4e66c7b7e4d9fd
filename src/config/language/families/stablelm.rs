//! StableLM: LayerNorms, a quarter of each head rotated.

use super::plain::*;
use crate::config::language::parts::{parallel, pre_norm};

pub(super) const STABLELM: ModelFamily = ModelFamily {
    name: "stablelm",
    gguf: &["stablelm"],
    model_types: &["stablelm"],
    classes: &["StableLmForCausalLM"],
    defaults: r#"{"num_key_value_heads": 32, "max_position_embeddings": 4096, "layer_norm_eps": 1e-5,
        "rope_theta": 1e4, "partial_rotary_factor": 0.25}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    if k.flag("qk_layernorm")? || k.has("attn_q_norm.weight") {
        return Err(k.unsupported("norms with other weights for each head are not supported; choose a smaller model"));
    }
    let (norm, attention) = (k.layer_norm(true)?, k.attention_biased(k.flag("use_qkv_bias")?, false)?);
    let (rope, ffn) = (k.rope(attention.key_dim)?, k.ffn(false)?);
    // In GGUF the norms that are there tell.
    let one = if k.is_gguf() { !k.has("ffn_norm.weight") } else { k.flag("use_parallel_residual")? };
    let around = if one { parallel } else { pre_norm };
    k.model(vec![around(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)
}
