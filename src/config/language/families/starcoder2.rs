//! StarCoder2: LayerNorms, biases everywhere, no gate.

use super::plain::*;
use crate::config::language::layer::FfnConfig;
use crate::config::language::parts::{ANY, pre_norm};

pub(super) const STARCODER2: ModelFamily = ModelFamily {
    name: "starcoder2",
    gguf: &["starcoder2"],
    model_types: &["starcoder2"],
    classes: &["Starcoder2ForCausalLM"],
    tensors: &[("mlp.c_fc", "ffn_up", TensorLayout::AsIs), ("mlp.c_proj", "ffn_down", TensorLayout::AsIs)],
    keys: &[("layer_norm_eps", "norm_epsilon")],
    defaults: r#"{"num_key_value_heads": 2, "max_position_embeddings": 4096, "norm_epsilon": 1e-5, "rope_theta": 1e4,
        "use_bias": true, "tie_word_embeddings": true}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let biased = k.flag("use_bias")?;
    let (norm, attention) = (k.layer_norm(true)?, k.attention_biased(biased, biased)?);
    let ffn =
        FfnConfig::plain(k.needed("intermediate_size")?, k.activation("hidden_act", &ANY)?, k.bias("ffn_up", biased));
    let rope = k.rope(attention.key_dim)?;
    let layers = vec![pre_norm(norm, attention.windowed(k.window()?), ffn); k.n_layers()?];
    k.model(layers, vec![rope], norm)
}
