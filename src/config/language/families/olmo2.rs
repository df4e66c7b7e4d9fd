//! OLMo 2: norms of what branches make, and of queries and keys over all heads at once.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, QkNorm};
use crate::config::language::parts::post_norm;

pub(super) const OLMO2: ModelFamily = ModelFamily {
    name: "olmo2",
    // Also of OLMo 3: the windows tell.
    gguf: &["olmo2"],
    model_types: &["olmo2"],
    classes: &["Olmo2ForCausalLM"],
    tensors: NORMS,
    defaults: r#"{"max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 1e4}"#,
    read,
    ..PLAIN
};

/// The two norms of a layer.
pub(super) const NORMS: &[(&str, &str, TensorLayout)] = &[
    ("post_attention_layernorm", "post_attention_norm", TensorLayout::AsIs),
    ("post_feedforward_layernorm", "post_ffw_norm", TensorLayout::AsIs),
];

/// Describes the model, with windows where there are some.
pub(super) fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, ffn) = (k.rms()?, k.ffn(false)?);
    let qk_norm = Some(QkNorm { norm, whole_row: true, after_rope: false });
    let attention = AttentionConfig { qk_norm, ..k.attention()? };
    // Layers with a window have the same base, but are not stretched.
    let base = k.number("rope_local_base_freq")?.map_or_else(|| k.rope_base(), Ok)?;
    let ropes = vec![k.full_rope(attention.key_dim)?, k.sliding_rope(attention.key_dim, base)?];
    let windows = k.windows(k.window()?, k.n_layers()?, |i| i % 4 != 3)?;
    let layer = |w: Option<usize>| post_norm(norm, attention.turned(w, Some(w.is_some().into())), ffn);
    k.model(windows.into_iter().map(layer).collect(), ropes, norm)
}
