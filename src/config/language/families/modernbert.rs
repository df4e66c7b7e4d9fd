//! ModernBERT: norms without biases before mixer and feed-forward network, windows in two of three layers, with a
//! rotation of their own. The first layer has no norm before its mixer.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, FfnActivation, FfnConfig, LayerConfig, NormConfig, Norms};
use crate::config::language::parts::pre_norm;

pub(super) const MODERNBERT: ModelFamily = ModelFamily {
    name: "modernbert",
    gguf: &["modern-bert"],
    model_types: &["modernbert"],
    classes: &["ModernBertModel"],
    encoder: true,
    tensors: &[
        ("embeddings.tok_embeddings", "token_embd", TensorLayout::AsIs),
        ("embeddings.norm", "token_embd_norm", TensorLayout::AsIs),
        ("final_norm", "output_norm", TensorLayout::AsIs),
        ("attn_norm", "attn_norm", TensorLayout::AsIs),
        ("attn.Wqkv", "attn_qkv", TensorLayout::AsIs),
        ("attn.Wo", "attn_output", TensorLayout::AsIs),
        ("mlp_norm", "ffn_norm", TensorLayout::AsIs),
        ("mlp.Wi", "ffn_gate_up", TensorLayout::AsIs),
        ("mlp.Wo", "ffn_down", TensorLayout::AsIs),
        ("head.dense", "cls", TensorLayout::AsIs),
        ("head.norm", "cls.norm", TensorLayout::AsIs),
        ("classifier", "cls.output", TensorLayout::AsIs),
    ],
    gguf_tensors: &[("ffn_up", "ffn_gate_up")],
    keys: &[
        ("layer_norm_eps", "norm_eps"),
        ("sliding_window", "local_attention"),
        ("rope_theta", "global_rope_theta"),
        ("sliding_window_pattern", "global_attn_every_n_layers"),
    ],
    defaults: r#"{"vocab_size": 50368, "hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22,
        "num_attention_heads": 12, "hidden_activation": "gelu", "max_position_embeddings": 8192, "norm_eps": 1e-5,
        "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "local_attention": 128}"#,
    read,
    classifier,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let norm = k.layer_norm(k.flag("norm_bias")?)?;
    let attention = AttentionConfig { both_ways: true, ..k.attention()? };
    let local = if k.is_gguf() { k.number("rope_local_base_freq")? } else { k.number("local_rope_theta")? };
    let ropes = vec![k.full_rope(attention.key_dim)?, k.sliding_rope(attention.key_dim, local.unwrap_or(1e4))?];
    let n = k.n_layers()?;
    let period = k.count("sliding_window_pattern")?.unwrap_or(3).max(1);
    let sliding: Vec<bool> = match k.layer_types(n)? {
        Some(_) => k.sliding(n, |_| false)?,
        None => (0..n).map(|i| !i.is_multiple_of(period)).collect(),
    };
    // A position sees as many on each side as half of the window.
    let window = k.needed("sliding_window")? / 2 + 1;
    let activation =
        k.activation("hidden_activation", &[FfnActivation::Gelu, FfnActivation::GeluTanh, FfnActivation::Silu])?;
    let dim = k.needed("intermediate_size")?;
    let ffn = FfnConfig::gated(dim, activation, k.flag("mlp_bias")?);
    let layer = |(i, slides): (usize, bool)| -> LayerConfig {
        let mixer = attention.turned(slides.then_some(window), Some(slides.into()));
        let layer = pre_norm(norm, mixer, ffn);
        let before_mixer: Option<NormConfig> = layer.norms.before_mixer.filter(|_| i > 0);
        LayerConfig { norms: Norms { before_mixer, ..layer.norms }, ..layer }
    };
    let layers = sliding.into_iter().enumerate().map(layer).collect();
    let model = k.model(layers, ropes, Some(norm))?;
    Ok(LanguageConfig { embedding_norm: Some(norm), ..model })
}

fn classifier(k: &Keys) -> Result<ClassifierConfig> {
    let pooling = match k.text("classifier_pooling")?.as_deref() {
        None | Some("cls") => Pooling::First,
        Some("mean") => Pooling::Mean,
        Some(other) => return Err(k.unsupported(&format!("pooling `{other}` is not supported; cls and mean are"))),
    };
    let said =
        k.activation("classifier_activation", &[FfnActivation::Gelu, FfnActivation::Silu, FfnActivation::Relu])?;
    let activation = match said {
        FfnActivation::Silu => HeadActivation::Silu,
        FfnActivation::Relu => HeadActivation::Relu,
        _ => HeadActivation::Gelu,
    };
    let dense = Some((activation, k.flag("classifier_bias")?));
    let norm = Some(k.layer_norm(k.flag("norm_bias")?)?);
    Ok(ClassifierConfig { pooling, dense, norm, bias: true })
}
