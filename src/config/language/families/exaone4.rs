//! EXAONE 4: norms of what branches make; where some layers have a window, the others know no positions.

use super::plain::*;
use crate::config::language::layer::QkNorm;
use crate::config::language::parts::post_norm;

pub(super) const EXAONE4: ModelFamily = ModelFamily {
    name: "exaone4",
    gguf: &["exaone4"],
    model_types: &["exaone4"],
    classes: &["Exaone4ForCausalLM"],
    tensors: super::olmo2::NORMS,
    defaults: r#"{"num_key_value_heads": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
        "rope_theta": 1e4, "sliding_window": 4096, "sliding_window_pattern": 4}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, mut attention, ffn) = (k.rms()?, k.attention_biased(false, false)?, k.ffn(false)?);
    attention.qk_norm = Some(QkNorm { norm, whole_row: false, after_rope: false });
    let (rope, window, n) = (k.rope(attention.key_dim)?, k.window()?, k.n_layers()?);
    let windows = if window.is_none() { vec![None; n] } else { k.windows(window, n, |i| i % 4 != 3)? };
    let rotated = |w: Option<usize>| (window.is_none() || w.is_some()).then_some(0);
    let layer = |w| post_norm(norm, attention.turned(w, rotated(w)), ffn);
    k.model(windows.into_iter().map(layer).collect(), vec![rope], norm)
}
