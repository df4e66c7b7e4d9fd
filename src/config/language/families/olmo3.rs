//! OLMo 3: OLMo 2 with windows in three of four layers, and YaRN in the others.

use super::plain::*;

pub(super) const OLMO3: ModelFamily = ModelFamily {
    name: "olmo3",
    model_types: &["olmo3"],
    classes: &["Olmo3ForCausalLM"],
    tensors: super::olmo2::NORMS,
    defaults: r#"{"max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 5e5, "sliding_window": 4096,
        "sliding_window_pattern": 4}"#,
    read: super::olmo2::read,
    ..PLAIN
};
