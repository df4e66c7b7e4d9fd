//! Gemma 3, also as part of a model that sees: norms of queries and keys, another rotation in layers with a window.

use super::gemma::{root, tanh};
use super::plain::*;
use crate::config::language::layer::{FfnActivation, QkNorm};
use crate::config::language::parts::sandwich;

pub(super) const GEMMA3: ModelFamily = ModelFamily {
    name: "gemma3",
    gguf: &["gemma3", "gemma-embedding"],
    model_types: &["gemma3", "gemma3_text"],
    classes: &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
    tensors: super::gemma2::NORMS,
    // Configurations of models that see leave out all that is as here.
    defaults: r#"{"hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 1e4, "tie_word_embeddings": true,
        "query_pre_attn_scalar": 256, "sliding_window": 4096}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, mut attention) = (k.rms_plus_one()?, k.attention()?);
    k.activation("hidden_activation", &[FfnActivation::GeluTanh])?;
    let base = k.number("rope_local_base_freq")?.unwrap_or(1e4);
    let ropes = vec![k.full_rope(attention.key_dim)?, k.sliding_rope(attention.key_dim, base)?];
    attention.soft_cap = k.cap("attn_logit_softcapping")?;
    attention.scale = super::gemma2::scale(k, 62, attention.key_dim, attention.heads)?;
    attention.qk_norm = Some(QkNorm { norm, whole_row: false, after_rope: false });
    // Models that read whole texts share their window among both sides.
    attention.both_ways = match k.gguf_architecture() {
        Some(architecture) => architecture == "gemma-embedding",
        None => k.flag("use_bidirectional_attention")?,
    };
    let window = k.window()?.map(|w| if attention.both_ways { w / 2 + 1 } else { w });
    let windows = k.windows(window, k.n_layers()?, |i| i % 6 != 5)?;
    let ffn = tanh(k)?;
    let layer = |w: Option<usize>| sandwich(norm, attention.turned(w, Some(w.is_some().into())), ffn);
    let model = k.model(windows.into_iter().map(layer).collect(), ropes, norm)?;
    let logit_soft_cap = k.cap("final_logit_softcapping")?;
    Ok(LanguageConfig { embedding_scale: root(model.dim), logit_soft_cap, ..model })
}
