//! GTE's encoders ("new"): BERT with rotations and gated feed-forward networks.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, FfnActivation, FfnConfig, MixerConfig};
use crate::config::language::parts::sum_norm;

pub(super) const GTE: ModelFamily = ModelFamily {
    name: "gte",
    model_types: &["new", "gte"],
    classes: &["NewModel", "GteModel"],
    encoder: true,
    prefix: "new.",
    layers: "encoder.layer.",
    tensors: &[
        ("embeddings.word_embeddings", "token_embd", TensorLayout::AsIs),
        ("embeddings.token_type_embeddings", "token_types", TensorLayout::AsIs),
        ("embeddings.LayerNorm", "token_embd_norm", TensorLayout::AsIs),
        ("attention.qkv_proj", "attn_qkv", TensorLayout::AsIs),
        ("attention.o_proj", "attn_output", TensorLayout::AsIs),
        ("attn_ln", "attn_output_norm", TensorLayout::AsIs),
        ("mlp.up_gate_proj", "ffn_up_gate", TensorLayout::AsIs),
        ("mlp.down_proj", "ffn_down", TensorLayout::AsIs),
        ("mlp_ln", "layer_output_norm", TensorLayout::AsIs),
        ("pooler.dense", "cls", TensorLayout::AsIs),
        ("classifier", "cls.output", TensorLayout::AsIs),
    ],
    ropes: &[("ntk", "ntk")],
    defaults: r#"{"vocab_size": 250048, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 8192, "type_vocab_size": 1,
        "layer_norm_eps": 1e-12, "rope_theta": 160000.0}"#,
    read,
    classifier: |_| Ok(first_token(HeadActivation::Tanh)),
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let refused = |what: &str| Err(k.unsupported(&format!("{what} are not supported; choose another model")));
    if k.text("position_embedding_type")?.is_some_and(|kind| kind != "rope") {
        return refused("learned positions in this architecture");
    }
    if k.text("layer_norm_type")?.is_some_and(|kind| kind != "layer_norm") || k.flag("logn_attention_scale")? {
        return refused("other norms and scores that grow with the length");
    }
    let norm = k.layer_norm(true)?;
    let attention = AttentionConfig { both_ways: true, ..k.attention_biased(true, true)? };
    let rope = k.rope(attention.key_dim)?;
    k.activation("hidden_act", &[FfnActivation::Gelu])?;
    let dim = k.needed("intermediate_size")?;
    let ffn = FfnConfig { down_bias: true, ..FfnConfig::gated(dim, FfnActivation::Gelu, false) };
    let layer = sum_norm(norm, MixerConfig::Attention(attention), ffn);
    let model = k.model(vec![layer; k.n_layers()?], vec![rope], None)?;
    Ok(LanguageConfig { embedding_norm: Some(norm), token_types: k.token_types()?, ..model })
}
