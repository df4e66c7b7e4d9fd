//! Nemotron and Minitron: LayerNorms by 1 + w, squared ReLU without a gate, half of each head rotated.

use super::plain::*;
use crate::config::language::layer::{FfnActivation, FfnConfig, NormConfig};
use crate::config::language::parts::{ANY, pre_norm};

pub(super) const NEMOTRON: ModelFamily = ModelFamily {
    name: "nemotron",
    gguf: &["nemotron"],
    model_types: &["nemotron"],
    classes: &["NemotronForCausalLM"],
    keys: &[("layer_norm_eps", "norm_eps")],
    defaults: r#"{"max_position_embeddings": 4096, "norm_eps": 1e-5, "rope_theta": 1e4, "partial_rotary_factor": 0.5}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let norm = NormConfig { plus_one: !k.is_gguf(), ..k.layer_norm(true)? };
    let attention = k.attention()?;
    let mut rope = k.rope(attention.key_dim)?;
    if k.is_gguf() && attention.heads.checked_mul(attention.key_dim) != Some(k.needed("hidden_size")?) {
        // GGUF files give the share of an even share of the hidden size, where heads are of another one.
        rope.dims = attention.key_dim / 2;
    }
    let known = [&[FfnActivation::ReluSquared], &ANY[..]].concat();
    let activation = k.activation("hidden_act", &known)?;
    let bias = k.bias("ffn_up", k.flag("mlp_bias")?);
    let ffn = FfnConfig::plain(k.needed("intermediate_size")?, activation, bias);
    k.model(vec![pre_norm(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)
}
