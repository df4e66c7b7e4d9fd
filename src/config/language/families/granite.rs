//! Granite 3 and, if all its layers are attention, 4: multipliers of embeddings, scores, branches and logits.

use super::plain::*;
use crate::config::language::layer::{FfnConfig, LayerConfig};
use crate::config::language::parts::pre_norm;

pub(super) const GRANITE: ModelFamily = ModelFamily {
    name: "granite",
    gguf: &["granite"],
    model_types: &["granite"],
    classes: &["GraniteForCausalLM"],
    pairs: Pairs::NeighboursInGguf,
    defaults: r#"{"max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
        "attention_multiplier": 1.0}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    // GGUF files of models without any rotation say that it was not trained.
    model(k, k.flag_or("rope.scaling.finetuned", true)?, k.flag("mlp_bias")?)
}

/// Describes the model, its layers rotated or not.
pub(super) fn model(k: &Keys, rotated: bool, mlp_bias: bool) -> Result<LanguageConfig> {
    let (norm, mut attention, ffn) = (k.rms()?, k.attention()?, k.ffn(mlp_bias)?);
    // The setting may be that of experts which there are none of.
    let ffn = FfnConfig { dim: k.ffn_width().unwrap_or(ffn.dim), ..ffn };
    attention.scale = k.number_or("attention_multiplier", attention.scale.into())?;
    let rope = k.rope(attention.key_dim)?;
    let residual_scale = k.number_or("residual_multiplier", 1.0)?;
    let layer = pre_norm(norm, attention.turned(None, rotated.then_some(0)), ffn);
    let layers = vec![LayerConfig { residual_scale, ..layer }; k.n_layers()?];
    let model = k.model(layers, vec![rope], norm)?;
    Ok(LanguageConfig {
        embedding_scale: k.number_or("embedding_multiplier", 1.0)?,
        // Logits are divided by it.
        logit_scale: 1.0 / k.number_or("logits_scaling", 1.0)?,
        ..model
    })
}
