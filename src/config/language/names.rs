//! One table of tensor names: every convention is brought to the GGUF one.

/// Tensors that a model has once: transformers name, GGUF name.
const ONCE: [(&str, &str); 3] =
    [("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")];

/// Tensors that every block has: transformers name after `model.layers.N.`, GGUF name after `blk.N.`.
const BLOCK: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// The tensor of a GGUF file that holds one divisor per rotary frequency.
pub const ROPE_FREQS: &str = "rope_freqs.weight";

/// The GGUF name of a tensor, given in the transformers or in the GGUF convention (`model.norm.weight` and
/// `output_norm.weight` both give the latter); `None` if the table has no such tensor.
pub fn canonical(name: &str) -> Option<String> {
    if name == ROPE_FREQS {
        return Some(name.to_string());
    }
    let (stem, kind) = name.rsplit_once('.')?;
    if !matches!(kind, "weight" | "bias") {
        return None;
    }
    let find = |table: &[(_, &'static str)], stem: &str| table.iter().find(|t| t.0 == stem || t.1 == stem).map(|t| t.1);
    let block = stem.strip_prefix("model.layers.").or_else(|| stem.strip_prefix("blk."));
    let Some((layer, stem)) = block.and_then(|b| b.split_once('.')) else {
        return Some(format!("{}.{kind}", find(&ONCE, stem)?));
    };
    // A number as both conventions write it, so that two names never become one.
    let plain = layer == "0" || !layer.starts_with('0');
    if !plain || layer.len() > 6 || layer.is_empty() || !layer.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(format!("blk.{layer}.{}.{kind}", find(&BLOCK, stem)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_conventions_meet() {
        for (from, to) in [
            ("model.embed_tokens.weight", "token_embd.weight"),
            ("model.norm.weight", "output_norm.weight"),
            ("lm_head.weight", "output.weight"),
            ("model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"),
            ("model.layers.3.self_attn.q_proj.bias", "blk.3.attn_q.bias"),
            ("model.layers.31.self_attn.o_proj.weight", "blk.31.attn_output.weight"),
            ("model.layers.7.self_attn.q_norm.weight", "blk.7.attn_q_norm.weight"),
            ("model.layers.7.self_attn.k_norm.weight", "blk.7.attn_k_norm.weight"),
            ("model.layers.12.post_attention_layernorm.weight", "blk.12.ffn_norm.weight"),
            ("model.layers.12.mlp.gate_proj.weight", "blk.12.ffn_gate.weight"),
            ("model.layers.12.mlp.down_proj.bias", "blk.12.ffn_down.bias"),
            ("rope_freqs.weight", "rope_freqs.weight"),
        ] {
            assert_eq!(canonical(from).as_deref(), Some(to));
            assert_eq!(canonical(to).as_deref(), Some(to));
        }
    }

    #[test]
    fn strangers_stay_strangers() {
        for name in [
            "",
            ".",
            "weight",
            "model.layers.0.self_attn.rotary_emb.inv_freq",
            "model.layers.00.mlp.up_proj.weight",
            "model.layers.+1.mlp.up_proj.weight",
            "model.layers..mlp.up_proj.weight",
            "model.layers.99999999999999999999.mlp.up_proj.weight",
            "model.layers.1.mlp.up_proj.qweight",
            "model.layers.1.model.norm.weight",
            "blk.1.ffn_up_exps.weight",
            "transformer.h.0.attn.c_attn.weight",
        ] {
            assert_eq!(canonical(name), None, "{name}");
        }
    }
}
