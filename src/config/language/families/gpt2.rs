//! GPT-2: learned positions, LayerNorms, matrices the other way round.

use super::plain::*;
use crate::config::language::layer::{FfnConfig, LayerConfig, MixerConfig};
use crate::config::language::parts::{ANY, pre_norm};

pub(super) const GPT2: ModelFamily = ModelFamily {
    name: "gpt2",
    gguf: &["gpt2"],
    model_types: &["gpt2"],
    classes: &["GPT2LMHeadModel"],
    prefix: "transformer.",
    layers: "h.",
    tensors: &[
        ("wte", "token_embd", TensorLayout::AsIs),
        ("wpe", "position_embd", TensorLayout::AsIs),
        ("ln_f", "output_norm", TensorLayout::AsIs),
        ("ln_1", "attn_norm", TensorLayout::AsIs),
        ("ln_2", "ffn_norm", TensorLayout::AsIs),
        ("attn.c_attn", "attn_qkv", TensorLayout::Transposed),
        ("attn.c_proj", "attn_output", TensorLayout::Transposed),
        ("mlp.c_fc", "ffn_up", TensorLayout::Transposed),
        ("mlp.c_proj", "ffn_down", TensorLayout::Transposed),
    ],
    keys: &[
        ("hidden_size", "n_embd"),
        ("num_hidden_layers", "n_layer"),
        ("num_attention_heads", "n_head"),
        ("intermediate_size", "n_inner"),
        ("max_position_embeddings", "n_positions"),
        ("layer_norm_eps", "layer_norm_epsilon"),
    ],
    defaults: r#"{"vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
        "layer_norm_epsilon": 1e-5, "scale_attn_weights": true, "tie_word_embeddings": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    if k.flag("add_cross_attention")? {
        return Err(k.unsupported("attention to another model is not supported; choose a model that only writes"));
    }
    let (norm, mut attention) = (k.layer_norm(true)?, k.attention_biased(true, true)?);
    attention.rope = None;
    attention.scale = if k.flag_or("scale_attn_weights", true)? { attention.scale } else { 1.0 };
    let by_layer = k.flag("scale_attn_by_inverse_layer_idx")?;
    let given = if k.is_gguf() { k.ffn_width() } else { None };
    let dim = match given.or(k.count("intermediate_size")?) {
        Some(dim) => dim,
        None => k.needed("hidden_size")?.saturating_mul(4),
    };
    let activation = k.activation("activation_function", &ANY)?;
    let ffn = FfnConfig::plain(dim, activation, k.bias("ffn_up", true));
    let layer = |i: usize| -> LayerConfig {
        let mut attention = attention.clone();
        attention.scale /= if by_layer { (i + 1) as f32 } else { 1.0 };
        pre_norm(norm, MixerConfig::Attention(attention), ffn)
    };
    let model = k.model((0..k.n_layers()?).map(layer).collect(), Vec::new(), norm)?;
    let rows = k.shape("position_embd.weight").and_then(|s| s.first().copied()).unwrap_or(model.context_length);
    Ok(LanguageConfig { learned_positions: Some(rows), ..model })
}
