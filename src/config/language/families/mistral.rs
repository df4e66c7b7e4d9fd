//! Mistral 7B to Mistral Small 3, the last also as part of a model that sees.

use super::plain::*;
use crate::config::language::parts::pre_norm;

pub(super) const MISTRAL: ModelFamily = ModelFamily {
    name: "mistral",
    gguf: &["mistral"],
    model_types: &["mistral"],
    classes: &["MistralForCausalLM", "Mistral3ForConditionalGeneration"],
    pairs: Pairs::NeighboursInGguf,
    defaults: r#"{"num_key_value_heads": 8, "max_position_embeddings": 131072, "rms_norm_eps": 1e-6,
        "rope_theta": 1e4, "sliding_window": 4096}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention, ffn) = (k.rms()?, k.attention_biased(false, false)?, k.ffn(false)?);
    let rope = k.rope(attention.key_dim)?;
    // All layers have the window, whatever `layer_types` says.
    let windows = match k.is_gguf() {
        true => k.windows(k.window()?, k.n_layers()?, |_| true)?,
        false => vec![k.window()?; k.n_layers()?],
    };
    let layers = windows.into_iter().map(|w| pre_norm(norm, attention.windowed(w), ffn)).collect();
    k.model(layers, vec![rope], norm)
}
