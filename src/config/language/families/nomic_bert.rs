//! Nomic's BERT: rotations instead of learned positions, gated feed-forward networks, no biases.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, FfnActivation, FfnConfig, MixerConfig};
use crate::config::language::parts::sum_norm;

pub(super) const NOMIC_BERT: ModelFamily = ModelFamily {
    name: "nomic_bert",
    gguf: &["nomic-bert"],
    model_types: &["nomic_bert"],
    classes: &["NomicBertModel"],
    encoder: true,
    prefix: "bert.",
    layers: "encoder.layers.",
    tensors: &[
        ("embeddings.word_embeddings", "token_embd", TensorLayout::AsIs),
        ("embeddings.token_type_embeddings", "token_types", TensorLayout::AsIs),
        ("emb_ln", "token_embd_norm", TensorLayout::AsIs),
        ("attn.Wqkv", "attn_qkv", TensorLayout::AsIs),
        ("attn.out_proj", "attn_output", TensorLayout::AsIs),
        ("norm1", "attn_output_norm", TensorLayout::AsIs),
        ("mlp.fc11", "ffn_up", TensorLayout::AsIs),
        ("mlp.fc12", "ffn_gate", TensorLayout::AsIs),
        ("mlp.fc2", "ffn_down", TensorLayout::AsIs),
        ("norm2", "layer_output_norm", TensorLayout::AsIs),
    ],
    keys: &[
        ("hidden_size", "n_embd"),
        ("num_hidden_layers", "n_layer"),
        ("num_attention_heads", "n_head"),
        ("intermediate_size", "n_inner"),
        ("max_position_embeddings", "n_positions"),
        ("layer_norm_eps", "layer_norm_epsilon"),
        ("rope_theta", "rotary_emb_base"),
        ("partial_rotary_factor", "rotary_emb_fraction"),
        ("hidden_act", "activation_function"),
    ],
    defaults: r#"{"vocab_size": 30528, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "max_position_embeddings": 2048, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "rope_theta": 1000.0}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let refused = |what: &str| Err(k.unsupported(&format!("{what} are not supported; choose nomic-embed-text-v1.5")));
    if k.count("moe_every_n_layers")?.is_some_and(|n| n > 0) {
        return refused("mixtures of experts");
    }
    if k.flag("prenorm")? || k.flag("use_rms_norm")? {
        return refused("norms before the layers");
    }
    if k.flag("rotary_emb_interleaved")? || k.number("rotary_emb_scale_base")?.is_some() {
        return refused("rotations of another kind");
    }
    let said = if k.is_gguf() { None } else { k.text("hidden_act")? };
    let activation = match said.as_deref() {
        None | Some("swiglu" | "silu") => FfnActivation::Silu,
        Some("geglu") => FfnActivation::Gelu,
        Some(_) => return refused("feed-forward networks without a gate"),
    };
    let norm = k.layer_norm(true)?;
    let biased = k.flag("qkv_proj_bias")?;
    let attention = AttentionConfig { both_ways: true, ..k.attention_biased(biased, biased)? };
    let rope = k.rope(attention.key_dim)?;
    let bias = k.bias("ffn_up", k.flag("mlp_fc1_bias")?);
    let ffn = FfnConfig::gated(k.needed("intermediate_size")?, activation, bias);
    let layer = sum_norm(norm, MixerConfig::Attention(attention), ffn);
    let model = k.model(vec![layer; k.n_layers()?], vec![rope], None)?;
    Ok(LanguageConfig { embedding_norm: Some(norm), token_types: k.token_types()?, ..model })
}
