//! LFM2 and LFM2.5: gated convolutions, with attention in some layers.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, FfnConfig, MixerConfig, QkNorm, ShortConvConfig};
use crate::config::language::parts::pre_norm;
use crate::config::language::{within, wrong};

pub(super) const LFM2: ModelFamily = ModelFamily {
    name: "lfm2",
    gguf: &["lfm2"],
    model_types: &["lfm2"],
    classes: &["Lfm2ForCausalLM"],
    tensors: TENSORS,
    gguf_tensors: &[("token_embd_norm", "output_norm")],
    keys: &[
        ("rms_norm_eps", "norm_eps"),
        ("intermediate_size", "block_ff_dim"),
        ("tie_word_embeddings", "tie_embedding"),
    ],
    defaults: r#"{"num_key_value_heads": 8, "max_position_embeddings": 128000, "norm_eps": 1e-5, "rope_theta": 1e6,
        "tie_word_embeddings": true, "conv_L_cache": 3, "block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": true}"#,
    read,
    ..PLAIN
};

pub(super) const TENSORS: &[(&str, &str, TensorLayout)] = &[
    // Despite its name it norms the last hidden states.
    ("embedding_norm", "output_norm", TensorLayout::AsIs),
    ("operator_norm", "attn_norm", TensorLayout::AsIs),
    ("post_operator_norm", "post_attention_norm", TensorLayout::AsIs),
    ("ffn_norm", "ffn_norm", TensorLayout::AsIs),
    ("post_ffn_norm", "post_ffw_norm", TensorLayout::AsIs),
    ("self_attn.q_layernorm", "attn_q_norm", TensorLayout::AsIs),
    ("self_attn.k_layernorm", "attn_k_norm", TensorLayout::AsIs),
    ("self_attn.gate_proj", "attn_gate", TensorLayout::AsIs),
    ("self_attn.out_proj", "attn_output", TensorLayout::AsIs),
    ("conv.in_proj", "shortconv.in_proj", TensorLayout::AsIs),
    ("conv.conv", "shortconv.conv", TensorLayout::AsIs),
    ("conv.out_proj", "shortconv.out_proj", TensorLayout::AsIs),
    ("feed_forward.w1", "ffn_gate", TensorLayout::AsIs),
    ("feed_forward.w3", "ffn_up", TensorLayout::AsIs),
    ("feed_forward.w2", "ffn_down", TensorLayout::AsIs),
];

fn read(k: &Keys) -> Result<LanguageConfig> {
    let norm = k.rms()?;
    let (attends, kv_heads) = attends(k, k.n_layers()?)?;
    let qk_norm = Some(QkNorm { norm, whole_row: false, after_rope: false });
    let attention = k.attention_of(kv_heads)?;
    let biased = k.is_gguf() && attention.qkv_bias;
    let attention = AttentionConfig { qk_norm, qkv_bias: biased, window: k.window()?, ..attention };
    let (rope, ffn, conv) = (k.rope(attention.key_dim)?, ffn(k)?, conv(k)?);
    let mixer = |on: bool| if on { MixerConfig::Attention(attention.clone()) } else { conv.clone() };
    k.model(attends.into_iter().map(|on| pre_norm(norm, mixer(on), ffn)).collect(), vec![rope], norm)
}

/// Describes the mixer of a layer that convolves.
pub(super) fn conv(k: &Keys) -> Result<MixerConfig> {
    let bias = k.bias("shortconv.conv", k.flag("conv_bias")?);
    Ok(MixerConfig::ShortConv(ShortConvConfig { width: k.needed("conv_L_cache")?, bias }))
}

/// Returns which of `n` layers attend, and with how many key-value heads: in GGUF files those that have some.
fn attends(k: &Keys, n: usize) -> Result<(Vec<bool>, Option<usize>)> {
    if k.is_gguf() {
        let Some(heads) = k.counts("num_key_value_heads")? else {
            return Ok((vec![true; n], k.count("num_key_value_heads")?));
        };
        if heads.len() < n {
            return Err(wrong(k.file, &format!("key-value heads are given for {} of {n} layers", heads.len())));
        }
        let some = heads.iter().copied().max().filter(|&h| h > 0);
        if heads.iter().any(|&h| h != 0 && Some(h) != some) {
            return Err(k.unsupported("layers of different sizes are not supported; choose another model"));
        }
        return Ok((heads.into_iter().take(n).map(|h| h > 0).collect(), some));
    }
    let kind = |t: &str| match t {
        "full_attention" => Ok(true),
        "conv" => Ok(false),
        _ => Err(k.unknown_layer(t, "full_attention and conv")),
    };
    let listed = match (k.layer_types(n)?, k.counts("full_attn_idxs")?) {
        (Some(types), _) => types.iter().map(|t| kind(t)).collect::<Result<_>>()?,
        (None, Some(list)) => (0..n).map(|i| list.contains(&i)).collect(),
        (None, None) => vec![true; n],
    };
    Ok((listed, k.count("num_key_value_heads")?))
}

/// Describes the feed-forward network; a `config.json` gives three halves of its width, and what to round it up to.
fn ffn(k: &Keys) -> Result<FfnConfig> {
    let ffn = k.ffn(false)?;
    if k.is_gguf() || !k.flag("block_auto_adjust_ff_dim")? {
        return Ok(ffn);
    }
    let mut dim = 2 * within("the feed-forward size", ffn.dim, k.file)? / 3;
    if let Some(by) = k.number("block_ffn_dim_multiplier")? {
        let multiple = within("the feed-forward size", k.needed("block_multiple_of")?, k.file)?;
        dim = within("the feed-forward size", (by * dim as f64) as usize, k.file)?.next_multiple_of(multiple);
    }
    Ok(FfnConfig { dim, ..ffn })
}
