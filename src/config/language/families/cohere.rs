//! Command R: both branches read one norm, logits are scaled.

use super::plain::*;
use crate::config::language::parts::parallel;

pub(super) const COHERE: ModelFamily = ModelFamily {
    name: "cohere",
    gguf: &["command-r"],
    model_types: &["cohere"],
    classes: &["CohereForCausalLM"],
    pairs: Pairs::Neighbours,
    defaults: r#"{"max_position_embeddings": 8192, "layer_norm_eps": 1e-5, "rope_theta": 5e5, "logit_scale": 0.0625,
        "tie_word_embeddings": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    if k.flag("use_qk_norm")? || k.has("attn_q_norm.weight") {
        return Err(k.unsupported("norms with other weights for each head are not supported; choose another model"));
    }
    let (norm, attention, ffn) = (k.layer_norm(false)?, k.attention()?, k.ffn(false)?);
    let rope = k.rope(attention.key_dim)?;
    let model = k.model(vec![parallel(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)?;
    Ok(LanguageConfig { logit_scale: k.number_or("logit_scale", 1.0)?, ..model })
}
