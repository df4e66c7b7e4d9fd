//! Qwen 3: norms of queries and keys.

use super::plain::*;
use crate::config::language::layer::QkNorm;
use crate::config::language::parts::pre_norm;

pub(super) const QWEN3: ModelFamily = ModelFamily {
    name: "qwen3",
    gguf: &["qwen3"],
    model_types: &["qwen3"],
    classes: &["Qwen3ForCausalLM"],
    defaults: r#"{"num_key_value_heads": 32, "head_dim": 128, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
        "rope_theta": 1e4, "sliding_window": 4096, "max_window_layers": 28}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, mut attention, ffn) = (k.rms()?, k.attention()?, k.ffn(false)?);
    attention.qk_norm = Some(QkNorm { norm, whole_row: false, after_rope: false });
    let rope = k.rope(attention.key_dim)?;
    let windows = super::qwen2::windows(k)?;
    let layers = windows.into_iter().map(|w| pre_norm(norm, attention.windowed(w), ffn)).collect();
    k.model(layers, vec![rope], norm)
}
