//! Command R7B and A: Command R whose layers have a window and a rotation, but every fourth has neither.

use super::plain::*;
use crate::config::language::parts::parallel;

pub(super) const COHERE2: ModelFamily = ModelFamily {
    name: "cohere2",
    gguf: &["cohere2"],
    model_types: &["cohere2"],
    classes: &["Cohere2ForCausalLM"],
    pairs: Pairs::Neighbours,
    defaults: r#"{"max_position_embeddings": 8192, "layer_norm_eps": 1e-5, "rope_theta": 1e4, "logit_scale": 0.0625,
        "sliding_window": 4096, "tie_word_embeddings": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention, ffn) = (k.layer_norm(false)?, k.attention()?, k.ffn(false)?);
    let rope = k.rope(attention.key_dim)?;
    let windows = k.windows(k.window()?, k.n_layers()?, |i| i % 4 != 3)?;
    let layer = |w: Option<usize>| parallel(norm, attention.turned(w, w.map(|_| 0)), ffn);
    let model = k.model(windows.into_iter().map(layer).collect(), vec![rope], norm)?;
    Ok(LanguageConfig { logit_scale: k.number_or("logit_scale", 1.0)?, ..model })
}
