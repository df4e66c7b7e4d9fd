//! The particulars of each family of language models: a file for each, and a line in [`FAMILIES`].

mod bert;
mod cohere;
mod cohere2;
mod ernie4_5;
mod exaone4;
mod gemma;
mod gemma2;
mod gemma3;
mod glm4;
mod gpt2;
mod gpt_neox;
mod granite;
mod granitemoehybrid;
mod gte;
mod hunyuan_v1_dense;
mod lfm2;
mod lfm3;
mod llama;
mod ministral3;
mod mistral;
mod modernbert;
mod nemotron;
mod nomic_bert;
mod olmo;
mod olmo2;
mod olmo3;
mod phi;
mod phi3;
mod plain;
mod qwen2;
mod qwen3;
mod seed_oss;
mod smollm3;
mod stablelm;
mod starcoder2;
mod t5;

use super::keys::ModelFamily;

/// Every family that writes, in the order in which errors name them.
pub(super) static FAMILIES: [&ModelFamily; 30] = [
    &llama::LLAMA,
    &mistral::MISTRAL,
    &qwen2::QWEN2,
    &qwen3::QWEN3,
    &smollm3::SMOLLM3,
    &gemma::GEMMA,
    &gemma2::GEMMA2,
    &gemma3::GEMMA3,
    &phi3::PHI3,
    &olmo::OLMO,
    &olmo2::OLMO2,
    &olmo3::OLMO3,
    &granite::GRANITE,
    &granitemoehybrid::GRANITEMOEHYBRID,
    &lfm2::LFM2,
    &lfm3::LFM3,
    &ministral3::MINISTRAL3,
    &seed_oss::SEED_OSS,
    &exaone4::EXAONE4,
    &glm4::GLM4,
    &ernie4_5::ERNIE4_5,
    &hunyuan_v1_dense::HUNYUAN_V1_DENSE,
    &cohere::COHERE,
    &cohere2::COHERE2,
    &starcoder2::STARCODER2,
    &stablelm::STABLELM,
    &gpt2::GPT2,
    &gpt_neox::GPT_NEOX,
    &phi::PHI,
    &nemotron::NEMOTRON,
];

/// Every family that reads whole texts and writes none.
pub(super) static ENCODERS: [&ModelFamily; 8] = [
    &bert::BERT,
    &bert::ROBERTA,
    &bert::MPNET,
    &bert::DISTILBERT,
    &modernbert::MODERNBERT,
    &nomic_bert::NOMIC_BERT,
    &gte::GTE,
    &t5::T5,
];

/// Lists the families of both kinds.
pub(super) fn all() -> impl Iterator<Item = &'static &'static ModelFamily> {
    FAMILIES.iter().chain(&ENCODERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::language::layout::TensorLayout;
    use crate::config::language::names::canonical;

    #[test]
    fn defaults_are_objects_and_names_are_new() {
        let all: Vec<_> = all().collect();
        for (i, family) in all.iter().enumerate() {
            assert_eq!(family.encoder, i >= FAMILIES.len(), "{}", family.name);
            let defaults = serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(family.defaults);
            assert!(defaults.is_ok_and(|d| !d.is_empty()), "{}", family.name);
            assert!(all[..i].iter().all(|f| f.name != family.name), "{}", family.name);
            assert!(!family.classes.is_empty() && !family.model_types.is_empty(), "{}", family.name);
        }
    }

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
            ("layers.12.mlp.down_proj.bias", "blk.12.ffn_down.bias"),
            ("language_model.model.norm.weight", "output_norm.weight"),
            ("model.language_model.norm.weight", "output_norm.weight"),
            ("language_model.lm_head.weight", "output.weight"),
            ("rope_freqs.weight", "rope_freqs.weight"),
        ] {
            let wanted = Some((to.to_string(), TensorLayout::AsIs));
            assert_eq!(canonical(&llama::LLAMA, from), wanted, "{from}");
            assert_eq!(canonical(&llama::LLAMA, to), wanted, "{to}");
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
            "model.layers.1.norm.weight",
            "model.input_layernorm.weight",
            "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight",
            "model.vision_tower.layers.0.self_attn.q_proj.weight",
            "blk.1.ffn_up_exps.weight",
            "transformer.h.0.attn.c_attn.weight",
        ] {
            assert_eq!(canonical(&llama::LLAMA, name), None, "{name}");
        }
    }
}
