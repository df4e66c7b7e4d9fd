//! Seed-OSS.

use super::plain::*;
use crate::config::language::parts::pre_norm;

pub(super) const SEED_OSS: ModelFamily = ModelFamily {
    name: "seed_oss",
    gguf: &["seed_oss"],
    model_types: &["seed_oss"],
    classes: &["SeedOssForCausalLM"],
    // Despite its name in GGUF files it stands before the feed-forward network.
    gguf_tensors: &[("post_attention_norm", "ffn_norm")],
    defaults: r#"{"num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 524288, "rms_norm_eps": 1e-6,
        "rope_theta": 1e4, "attention_bias": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, ffn) = (k.rms()?, k.ffn(k.flag("mlp_bias")?)?);
    let attention = k.attention_biased(k.flag("attention_bias")?, k.flag("attention_out_bias")?)?;
    let rope = k.rope(attention.key_dim)?;
    k.model(vec![pre_norm(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)
}
