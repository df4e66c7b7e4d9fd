//! Qwen 2 and 2.5: biases of query, key and value.

use super::plain::*;
use crate::config::language::parts::pre_norm;

pub(super) const QWEN2: ModelFamily = ModelFamily {
    name: "qwen2",
    gguf: &["qwen2"],
    model_types: &["qwen2"],
    classes: &["Qwen2ForCausalLM"],
    defaults: r#"{"num_key_value_heads": 32, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
        "rope_theta": 1e4, "sliding_window": 4096, "max_window_layers": 28}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention, ffn) = (k.rms()?, k.attention_biased(true, false)?, k.ffn(false)?);
    let rope = k.rope(attention.key_dim)?;
    let layers = windows(k)?.into_iter().map(|w| pre_norm(norm, attention.windowed(w), ffn)).collect();
    k.model(layers, vec![rope], norm)
}

/// Returns each layer's window: from `max_window_layers` on, if they are switched on.
pub(super) fn windows(k: &Keys) -> Result<Vec<Option<usize>>> {
    if k.is_gguf() {
        return k.windows(k.window()?, k.n_layers()?, |_| true);
    }
    let window = if k.flag("use_sliding_window")? { k.window()? } else { None };
    let from = k.count("max_window_layers")?.unwrap_or(0);
    k.windows(window, k.n_layers()?, |i| i >= from)
}
