//! Phi-3 to Phi-4-mini: fused projections, part of each head rotated, LongRoPE.

use super::plain::*;
use crate::config::language::parts::pre_norm;

pub(super) const PHI3: ModelFamily = ModelFamily {
    name: "phi3",
    gguf: &["phi3"],
    model_types: &["phi3"],
    classes: &["Phi3ForCausalLM"],
    gguf_tensors: &[("ffn_up", "ffn_gate_up")],
    // The first files have other names for the same.
    ropes: &[("longrope", "longrope"), ("su", "longrope"), ("yarn", "longrope")],
    defaults: r#"{"max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 1e4}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, attention, ffn) = (k.rms()?, k.attention_biased(false, false)?, k.ffn(false)?);
    let rope = k.rope(attention.key_dim)?;
    let layers = vec![pre_norm(norm, attention.windowed(k.window()?), ffn); k.n_layers()?];
    k.model(layers, vec![rope], norm)
}
