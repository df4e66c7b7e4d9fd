//! GLM-4: half of each head rotated, norms on both sides.

use super::plain::*;
use crate::config::language::parts::sandwich;

pub(super) const GLM4: ModelFamily = ModelFamily {
    name: "glm4",
    gguf: &["glm4"],
    model_types: &["glm4"],
    classes: &["Glm4ForCausalLM"],
    pairs: Pairs::Neighbours,
    // The usual name `post_attention_layernorm` is that of the norm before the feed-forward network here, too.
    tensors: &[
        ("post_self_attn_layernorm", "post_attention_norm", TensorLayout::AsIs),
        ("post_mlp_layernorm", "post_ffw_norm", TensorLayout::AsIs),
    ],
    gguf_tensors: &[("ffn_up", "ffn_gate_up")],
    defaults: r#"{"num_key_value_heads": 2, "head_dim": 128, "max_position_embeddings": 131072,
        "rms_norm_eps": 0.00000015625, "rope_theta": 1e4, "partial_rotary_factor": 0.5, "attention_bias": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    if k.is_gguf() && k.counts("rope.dimension_sections")?.is_some() {
        return Err(k.unsupported("rotation by the places of pictures is not supported; choose a model of text"));
    }
    let (norm, ffn) = (k.rms()?, k.ffn(false)?);
    let attention = k.attention_biased(k.flag("attention_bias")?, false)?;
    let rope = k.rope(attention.key_dim)?;
    k.model(vec![sandwich(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)
}
