//! GPT-NeoX and Pythia: both branches read the stream, a quarter of each head is rotated.

use super::plain::*;
use crate::config::language::layer::{FfnActivation, FfnConfig, LayerConfig};
use crate::config::language::parts::{ANY, pre_norm};

pub(super) const GPT_NEOX: ModelFamily = ModelFamily {
    name: "gpt_neox",
    gguf: &["gptneox"],
    model_types: &["gpt_neox"],
    classes: &["GPTNeoXForCausalLM"],
    prefix: "gpt_neox.",
    tensors: &[
        ("embed_in", "token_embd", TensorLayout::AsIs),
        ("embed_out", "output", TensorLayout::AsIs),
        ("final_layer_norm", "output_norm", TensorLayout::AsIs),
        ("attention.query_key_value", "attn_qkv", TensorLayout::QkvByHead),
        ("attention.dense", "attn_output", TensorLayout::AsIs),
        ("mlp.dense_h_to_4h", "ffn_up", TensorLayout::AsIs),
        ("mlp.dense_4h_to_h", "ffn_down", TensorLayout::AsIs),
    ],
    keys: &[("rope_theta", "rotary_emb_base"), ("partial_rotary_factor", "rotary_pct")],
    defaults: r#"{"max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "rope_theta": 1e4,
        "partial_rotary_factor": 0.25, "attention_bias": true, "use_parallel_residual": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention) = (k.layer_norm(true)?, k.attention()?);
    let rope = k.rope(attention.key_dim)?;
    let known = [&[FfnActivation::Gelu], &ANY[..]].concat();
    let activation = k.activation("hidden_act", &known)?;
    let dim = k.needed("intermediate_size")?;
    let ffn = FfnConfig::plain(dim, activation, k.bias("ffn_up", true));
    let parallel = k.flag_or("use_parallel_residual", true)?;
    let layer = LayerConfig { parallel, ..pre_norm(norm, attention.windowed(None), ffn) };
    k.model(vec![layer; k.n_layers()?], vec![rope], norm)
}
