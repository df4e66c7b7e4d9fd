//! The encoder of T5: biases of scores by distance, scores that are not scaled, RMS norms.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, FfnActivation, FfnConfig, MixerConfig, RelativeBias};
use crate::config::language::limits::wrong;
use crate::config::language::parts::pre_norm;

pub(super) const T5: ModelFamily = ModelFamily {
    name: "t5",
    gguf: &["t5encoder", "t5"],
    model_types: &["t5"],
    classes: &["T5EncoderModel"],
    encoder: true,
    prefix: "encoder.",
    layers: "block.",
    tensors: &[
        ("shared", "token_embd", TensorLayout::AsIs),
        ("embed_tokens", "token_embd", TensorLayout::AsIs),
        ("final_layer_norm", "output_norm", TensorLayout::AsIs),
        ("layer.0.layer_norm", "attn_norm", TensorLayout::AsIs),
        ("layer.0.SelfAttention.q", "attn_q", TensorLayout::AsIs),
        ("layer.0.SelfAttention.k", "attn_k", TensorLayout::AsIs),
        ("layer.0.SelfAttention.v", "attn_v", TensorLayout::AsIs),
        ("layer.0.SelfAttention.o", "attn_output", TensorLayout::AsIs),
        ("layer.0.SelfAttention.relative_attention_bias", "attn_rel_b", TensorLayout::AsIs),
        ("layer.1.layer_norm", "ffn_norm", TensorLayout::AsIs),
        ("layer.1.DenseReluDense.wi", "ffn_up", TensorLayout::AsIs),
        ("layer.1.DenseReluDense.wi_0", "ffn_gate", TensorLayout::AsIs),
        ("layer.1.DenseReluDense.wi_1", "ffn_up", TensorLayout::AsIs),
        ("layer.1.DenseReluDense.wo", "ffn_down", TensorLayout::AsIs),
    ],
    gguf_tensors: &[("attn_o", "attn_output")],
    keys: &[
        ("hidden_size", "d_model"),
        ("num_hidden_layers", "num_layers"),
        ("num_attention_heads", "num_heads"),
        ("head_dim", "d_kv"),
        ("intermediate_size", "d_ff"),
        ("rms_norm_eps", "layer_norm_epsilon"),
    ],
    // Positions have no limit; texts of the training had 512 tokens.
    defaults: r#"{"vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8,
        "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6,
        "feed_forward_proj": "relu", "max_position_embeddings": 512}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention) = (k.rms()?, k.attention()?);
    let (buckets, reach) = match k.is_gguf() {
        true => (k.count("attention.relative_buckets_count")?.unwrap_or(32), 128),
        false => (k.needed("relative_attention_num_buckets")?, k.needed("relative_attention_max_distance")?),
    };
    let relative_bias = Some(relative_bias(k, buckets, reach)?);
    let attention = AttentionConfig { rope: None, both_ways: true, scale: 1.0, relative_bias, ..attention };
    let said = if k.is_gguf() { None } else { k.text("feed_forward_proj")? };
    let (gated, activation) = match said.as_deref() {
        None if k.has("ffn_gate.weight") => (true, FfnActivation::GeluTanh),
        None | Some("relu") => (false, FfnActivation::Relu),
        Some("gelu") => (false, FfnActivation::Gelu),
        // What is called GELU here is the form with tanh.
        Some("gated-gelu") => (true, FfnActivation::GeluTanh),
        Some("gated-silu") => (true, FfnActivation::Silu),
        Some(other) => {
            let what = format!("activation `{other}` is not supported; relu, gelu, gated-gelu and gated-silu are");
            return Err(k.unsupported(&what));
        }
    };
    let ffn = FfnConfig { gated, ..FfnConfig::plain(k.needed("intermediate_size")?, activation, false) };
    let layer = pre_norm(norm, MixerConfig::Attention(attention), ffn);
    k.model(vec![layer; k.n_layers()?], Vec::new(), Some(norm))
}

/// Describes biases of scores.
pub(super) fn relative_bias(k: &Keys, buckets: usize, reach: usize) -> Result<RelativeBias> {
    let fit = buckets >= 4 && buckets.is_multiple_of(4) && buckets <= 4096 && reach > buckets / 4 && reach <= 4096;
    let what = || wrong(k.file, &format!("distances up to {reach} in {buckets} buckets cannot be"));
    fit.then_some(RelativeBias { buckets, reach }).ok_or_else(what)
}
