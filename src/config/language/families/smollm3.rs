//! SmolLM3: every fourth layer knows no positions.

use super::plain::*;
use crate::config::language::parts::pre_norm;
use crate::config::language::wrong;

pub(super) const SMOLLM3: ModelFamily = ModelFamily {
    name: "smollm3",
    gguf: &["smollm3"],
    model_types: &["smollm3"],
    classes: &["SmolLM3ForCausalLM"],
    pairs: Pairs::NeighboursInGguf,
    defaults: r#"{"num_key_value_heads": 4, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
        "rope_theta": 2e6}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention, ffn) = (k.rms()?, k.attention()?, k.ffn(k.flag("mlp_bias")?)?);
    let rope = k.rope(attention.key_dim)?;
    let rotated = rotated(k, k.n_layers()?)?;
    let window = if k.is_gguf() || k.flag("use_sliding_window")? { k.window()? } else { None };
    let windows = k.windows(window, rotated.len(), |i| k.is_gguf() || !rotated[i])?;
    let layer = |(w, &on): (_, &bool)| pre_norm(norm, attention.turned(w, on.then_some(0)), ffn);
    let layers = windows.into_iter().zip(&rotated).map(layer).collect();
    k.model(layers, vec![rope], norm)
}

/// Returns which of `n` layers are rotated.
fn rotated(k: &Keys, n: usize) -> Result<Vec<bool>> {
    match k.counts("no_rope_layers")? {
        // Despite its name, 1 in this list means that the layer is rotated.
        Some(list) if list.len() >= n => Ok(list.into_iter().take(n).map(|flag| flag != 0).collect()),
        Some(list) => Err(wrong(k.file, &format!("`no_rope_layers` names {} of {n} layers", list.len()))),
        None => match k.count("no_rope_layer_interval")?.unwrap_or(4) {
            0 => Err(wrong(k.file, "`no_rope_layer_interval` is 0")),
            every => Ok((1..=n).map(|i| !i.is_multiple_of(every)).collect()),
        },
    }
}
