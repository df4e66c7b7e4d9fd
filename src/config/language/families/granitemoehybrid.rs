//! Granite 4 whose layers are all attention and have no experts.

use super::plain::*;

pub(super) const GRANITEMOEHYBRID: ModelFamily = ModelFamily {
    name: "granitemoehybrid",
    // GGUF files of these models say that they are of the earlier family.
    model_types: &["granitemoehybrid"],
    classes: &["GraniteMoeHybridForCausalLM"],
    tensors: &[
        ("shared_mlp.input_linear", "ffn_gate_up", TensorLayout::AsIs),
        ("shared_mlp.output_linear", "ffn_down", TensorLayout::AsIs),
    ],
    keys: &[("layer_types", "layers_block_type"), ("intermediate_size", "shared_intermediate_size")],
    defaults: r#"{"max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
        "attention_multiplier": 1.0, "shared_intermediate_size": 1024, "num_local_experts": 8}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    if k.count("num_local_experts")?.is_some_and(|n| n > 0) {
        return Err(k.unsupported("mixtures of experts are not supported; choose a dense model"));
    }
    let types = k.layer_types(k.n_layers()?)?.unwrap_or(vec!["mamba".to_string()]);
    if let Some(kind) = types.iter().find(|t| !matches!(t.as_str(), "attention" | "full_attention")) {
        return Err(k.unknown_layer(kind, "layers of attention"));
    }
    super::granite::model(k, k.text("position_embedding_type")?.as_deref() == Some("rope"), false)
}
