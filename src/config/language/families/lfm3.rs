//! LFM3: LFM2 with norms on both sides, windows, a gate on each head and rotations by type of layer.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, AttentionGate, LayerConfig, MixerConfig, QkNorm};
use crate::config::language::parts::{pre_norm, sandwich};

pub(super) const LFM3: ModelFamily = ModelFamily {
    name: "lfm3",
    model_types: &["lfm3"],
    classes: &["Lfm3ForCausalLM"],
    tensors: super::lfm2::TENSORS,
    keys: &[("rms_norm_eps", "norm_eps"), ("tie_word_embeddings", "tie_embedding")],
    ropes: &[("proportional", "proportional")],
    defaults: r#"{"num_key_value_heads": 4, "head_dim": 128, "max_position_embeddings": 128000, "norm_eps": 1e-5,
        "rope_theta": 1e6, "tie_word_embeddings": true, "conv_L_cache": 7, "sliding_window": 256,
        "use_sandwich_norm": true, "use_attention_gate": true,
        "rope_parameters": { "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        "full_attention": {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.5}}}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, ffn, conv, n) = (k.rms()?, k.ffn(false)?, super::lfm2::conv(k)?, k.n_layers()?);
    let qk_norm = Some(QkNorm { norm, whole_row: false, after_rope: false });
    let gate = k.flag("use_attention_gate")?.then_some(AttentionGate::PerHead);
    let attention = AttentionConfig { qk_norm, gate, ..k.attention()? };
    let ropes = vec![k.full_rope(attention.key_dim)?, k.sliding_rope(attention.key_dim, k.rope_base()?)?];
    let around = if k.flag("use_sandwich_norm")? { sandwich } else { pre_norm };
    let usual = |i: usize| match i % 4 {
        2 => "full_attention",
        0 if i > 0 => "sliding_attention",
        _ => "conv",
    };
    let layer = |kind: &str| -> Result<LayerConfig> {
        let mixer: MixerConfig = match (kind, k.window()?) {
            ("conv", _) => conv.clone(),
            ("full_attention", _) => attention.turned(None, Some(0)),
            ("sliding_attention", window) => attention.turned(window, Some(1)),
            _ => return Err(k.unknown_layer(kind, "full_attention, sliding_attention and conv")),
        };
        Ok(around(norm, mixer, ffn))
    };
    let types = k.layer_types(n)?.unwrap_or_else(|| (0..n).map(|i| usual(i).to_string()).collect());
    k.model(types.iter().map(|kind| layer(kind)).collect::<Result<_>>()?, ropes, norm)
}
