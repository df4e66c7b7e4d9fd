//! Hunyuan without experts: queries and keys are rotated, then normed.

use super::plain::*;
use crate::config::language::layer::QkNorm;
use crate::config::language::parts::pre_norm;

pub(super) const HUNYUAN_V1_DENSE: ModelFamily = ModelFamily {
    name: "hunyuan_v1_dense",
    gguf: &["hunyuan-dense"],
    model_types: &["hunyuan_v1_dense"],
    classes: &["HunYuanDenseV1ForCausalLM"],
    tensors: &[
        ("self_attn.query_layernorm", "attn_q_norm", TensorLayout::AsIs),
        ("self_attn.key_layernorm", "attn_k_norm", TensorLayout::AsIs),
    ],
    defaults: r#"{"max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 1e4}"#,
    read,
    ..PLAIN
};

fn read(k: &Keys) -> Result<LanguageConfig> {
    let (norm, mut attention, ffn) = (k.rms()?, k.attention()?, k.ffn(false)?);
    attention.qk_norm = Some(QkNorm { norm, whole_row: false, after_rope: true });
    let mut rope = k.rope(attention.key_dim)?;
    if !k.is_gguf()
        && let Some(alpha) = k.rope_number("alpha")?.filter(|a| *a != 0.0)
    {
        // GGUF files hold the base as it comes out.
        let dim = rope.dims as f64;
        rope.base *= k.positive("the rope's alpha", alpha)?.powf(dim / (dim - 2.0));
    }
    k.model(vec![pre_norm(norm, attention.windowed(None), ffn); k.n_layers()?], vec![rope], norm)
}
