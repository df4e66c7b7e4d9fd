//! OLMo 1: LayerNorms without weights, clamped queries, keys and values.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, NormConfig};
use crate::config::language::parts::pre_norm;

pub(super) const OLMO: ModelFamily = ModelFamily {
    name: "olmo",
    gguf: &["olmo"],
    model_types: &["olmo"],
    classes: &["OlmoForCausalLM"],
    pairs: Pairs::NeighboursInGguf,
    // The epsilon is no setting of these files.
    defaults: r#"{"max_position_embeddings": 2048, "rope_theta": 1e4, "layer_norm_eps": 1e-5}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let norm = NormConfig { weighted: false, ..k.layer_norm(false)? };
    let attention = AttentionConfig { clamp: k.cap("clip_qkv")?, ..k.attention()? };
    let rope = k.rope(attention.key_dim)?;
    let layers = vec![pre_norm(norm, attention.windowed(None), k.ffn(false)?); k.n_layers()?];
    k.model(layers, vec![rope], norm)
}
