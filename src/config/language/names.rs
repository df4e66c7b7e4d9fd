//! Names of tensors: every family's are brought to the same ones, which are mostly those of GGUF files.

use super::keys::ModelFamily;
use super::layout::TensorLayout;
use super::rope;

/// Names that models ask for once: after it comes `.weight` or `.bias`.
const ONCE: [&str; 10] = [
    "token_embd",
    "position_embd",
    "token_types",
    "token_embd_norm",
    "output_norm",
    "output",
    "attn_rel_b",
    "cls",
    "cls.norm",
    "cls.output",
];

/// Names that models ask for in each layer, after `blk.N.`.
const LAYER: [&str; 24] = [
    "attn_norm",
    "post_attention_norm",
    "ffn_norm",
    "post_ffw_norm",
    "attn_output_norm",
    "layer_output_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_qkv",
    "attn_q_norm",
    "attn_k_norm",
    "attn_gate",
    "attn_sinks",
    "attn_output",
    "attn_rel_b",
    "ffn_gate",
    "ffn_up",
    "ffn_gate_up",
    "ffn_up_gate",
    "ffn_down",
    "shortconv.in_proj",
    "shortconv.conv",
    "shortconv.out_proj",
];

/// Names that most families publish: of the whole model's tensors or, after the layer's number, of a layer's.
const USUAL: [(&str, &str); 17] = [
    ("embed_tokens", "token_embd"),
    ("norm", "output_norm"),
    ("lm_head", "output"),
    ("score", "cls.output"),
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_gate_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Prefixes of the names of a language model that is part of one that sees, or of nothing.
const PREFIXES: [&str; 4] = ["model.language_model.", "language_model.model.", "language_model.", "model."];

/// Returns the name under which models ask for the tensor that files of `family` call `name`, and how it lies there;
/// `None` if they ask for no such tensor.
pub(super) fn canonical(family: &ModelFamily, name: &str) -> Option<(String, TensorLayout)> {
    if rope::TENSORS.contains(&name) {
        return Some((name.to_string(), TensorLayout::AsIs));
    }
    let (stem, kind) = name.rsplit_once('.')?;
    // Some of the oldest files call a norm's weights gamma and beta.
    let kind = match kind {
        "weight" | "gamma" => "weight",
        "bias" | "beta" => "bias",
        _ => return None,
    };
    // Files of models that also write have the encoder's layers apart.
    let stem = stem.strip_prefix("enc.").unwrap_or(stem);
    let translated = |stem: &str| family.gguf_tensors.iter().find(|t| t.0 == stem).map(|t| t.1);
    if let Some((layer, stem)) = stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        let to = translated(stem).or_else(|| LAYER.into_iter().find(|&s| s == stem))?;
        return plain(layer).then(|| (format!("blk.{layer}.{to}.{kind}"), TensorLayout::AsIs));
    }
    if let Some(to) = translated(stem).or_else(|| ONCE.into_iter().find(|&s| s == stem)) {
        return Some((format!("{to}.{kind}"), TensorLayout::AsIs));
    }
    let stem = PREFIXES.into_iter().chain([family.prefix]).find_map(|p| stem.strip_prefix(p)).unwrap_or(stem);
    // Some are written with the family's name besides.
    let stem = stem.strip_prefix(family.name).and_then(|rest| rest.strip_prefix('.')).unwrap_or(stem);
    let (layer, stem) = match stem.strip_prefix(family.layers).and_then(|rest| rest.split_once('.')) {
        Some((layer, _)) if !plain(layer) => return None,
        Some((layer, stem)) => (Some(layer), stem),
        None => (None, stem),
    };
    let own = family.tensors.iter().find(|t| t.0 == stem).copied();
    let usual = || USUAL.into_iter().find(|t| t.0 == stem).map(|t| (t.0, t.1, TensorLayout::AsIs));
    let (_, to, layout) = own.or_else(usual)?;
    let places = if layer.is_some() { &LAYER[..] } else { &ONCE[..] };
    if !places.contains(&to) {
        return None;
    }
    // A bias has one dimension: nothing to transpose.
    let layout = if kind == "bias" && layout == TensorLayout::Transposed { TensorLayout::AsIs } else { layout };
    let layer = layer.map_or(String::new(), |layer| format!("blk.{layer}."));
    Some((format!("{layer}{to}.{kind}"), layout))
}

/// Returns whether this is a number as both conventions write it, so that two names never become one.
fn plain(layer: &str) -> bool {
    let plain = layer == "0" || !layer.starts_with('0');
    plain && layer.len() <= 6 && !layer.is_empty() && layer.bytes().all(|b| b.is_ascii_digit())
}
