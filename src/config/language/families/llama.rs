//! Llama 1 to 3 and what was made after it (SmolLM2, TinyLlama, Yi).

use super::plain::*;

pub(super) const LLAMA: ModelFamily = ModelFamily {
    name: "llama",
    gguf: &["llama"],
    model_types: &["llama"],
    classes: &["LlamaForCausalLM"],
    pairs: Pairs::NeighboursInGguf,
    defaults: r#"{"max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 1e4}"#,
    ..PLAIN
};
