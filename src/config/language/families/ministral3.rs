//! Ministral 3, mostly as part of a model that sees: YaRN, and queries that grow with their position.

use super::plain::*;
use crate::config::language::layer::QueryGrowth;
use crate::config::language::parts::pre_norm;

pub(super) const MINISTRAL3: ModelFamily = ModelFamily {
    name: "ministral3",
    // Also of Mistral Small 3, which has neither.
    gguf: &["mistral3"],
    model_types: &["ministral3"],
    classes: &["Ministral3ForCausalLM", "Mistral3ForConditionalGeneration"],
    pairs: Pairs::NeighboursInGguf,
    defaults: r#"{"num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262144, "rms_norm_eps": 1e-5,
        "rope_theta": 1e4, "rope_parameters": {"type": "yarn", "rope_theta": 1e6, "factor": 16.0,
        "original_max_position_embeddings": 16384, "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0,
        "mscale": 1.0, "llama_4_scaling_beta": 0.1}}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, mut attention, ffn) = (k.rms()?, k.attention_biased(false, false)?, k.ffn(false)?);
    let rope = k.rope(attention.key_dim)?;
    if let Some(beta) = k.rope_number("llama_4_scaling_beta")?.filter(|b| *b != 0.0) {
        let length = match k.rope_number("original_max_position_embeddings")? {
            Some(length) => length as usize,
            None => k.needed("max_position_embeddings")?,
        };
        attention.query_growth = Some(QueryGrowth { beta: beta as f32, length });
    }
    let layers = vec![pre_norm(norm, attention.windowed(k.window()?), ffn); k.n_layers()?];
    k.model(layers, vec![rope], norm)
}
