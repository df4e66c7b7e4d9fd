//! ERNIE 4.5 without experts.

use super::plain::*;
use crate::config::language::parts::pre_norm;

pub(super) const ERNIE4_5: ModelFamily = ModelFamily {
    name: "ernie4_5",
    gguf: &["ernie4_5"],
    model_types: &["ernie4_5"],
    classes: &["Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"],
    pairs: Pairs::Neighbours,
    defaults: r#"{"num_key_value_heads": 2, "head_dim": 128, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
        "rope_theta": 5e5, "tie_word_embeddings": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let biased = k.flag("use_bias")?;
    let (norm, attention, ffn) = (k.rms()?, k.attention_biased(biased, biased)?, k.ffn(biased)?);
    let rope = k.rope(attention.key_dim)?;
    k.model(vec![pre_norm(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)
}
