//! BERT, and RoBERTa with its kin, which count positions from the padding token's id on: learned positions, kinds of
//! tokens, a norm of the stream after each addition.

use super::plain::*;
use crate::config::language::layer::{AttentionConfig, FfnActivation, FfnConfig, MixerConfig};
use crate::config::language::limits::wrong;
use crate::config::language::parts::{ANY, sum_norm};

pub(super) const BERT: ModelFamily = ModelFamily {
    name: "bert",
    gguf: &["bert"],
    model_types: &["bert"],
    classes: &["BertModel"],
    encoder: true,
    prefix: "bert.",
    layers: "encoder.layer.",
    tensors: NAMES,
    defaults: r#"{"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "pad_token_id": 0}"#,
    read,
    classifier: |_| Ok(first_token(HeadActivation::Tanh)),
    ..PLAIN
};

pub(super) const ROBERTA: ModelFamily = ModelFamily {
    name: "roberta",
    gguf: &[],
    model_types: &["roberta", "xlm-roberta", "camembert"],
    classes: &["RobertaModel", "XLMRobertaModel", "CamembertModel"],
    prefix: "roberta.",
    defaults: r#"{"vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "pad_token_id": 1}"#,
    read: read_roberta,
    ..BERT
};

pub(super) const MPNET: ModelFamily = ModelFamily {
    name: "mpnet",
    gguf: &[],
    model_types: &["mpnet"],
    classes: &["MPNetModel"],
    prefix: "mpnet.",
    tensors: &[
        ("embeddings.word_embeddings", "token_embd", TensorLayout::AsIs),
        ("embeddings.position_embeddings", "position_embd", TensorLayout::AsIs),
        ("embeddings.LayerNorm", "token_embd_norm", TensorLayout::AsIs),
        ("encoder.relative_attention_bias", "attn_rel_b", TensorLayout::AsIs),
        ("attention.attn.q", "attn_q", TensorLayout::AsIs),
        ("attention.attn.k", "attn_k", TensorLayout::AsIs),
        ("attention.attn.v", "attn_v", TensorLayout::AsIs),
        ("attention.attn.o", "attn_output", TensorLayout::AsIs),
        ("attention.LayerNorm", "attn_output_norm", TensorLayout::AsIs),
        ("intermediate.dense", "ffn_up", TensorLayout::AsIs),
        ("output.dense", "ffn_down", TensorLayout::AsIs),
        ("output.LayerNorm", "layer_output_norm", TensorLayout::AsIs),
        ("classifier.dense", "cls", TensorLayout::AsIs),
        ("classifier.out_proj", "cls.output", TensorLayout::AsIs),
    ],
    defaults: r#"{"vocab_size": 30527, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512,
        "relative_attention_num_buckets": 32, "layer_norm_eps": 1e-12, "pad_token_id": 1}"#,
    read: read_mpnet,
    ..BERT
};

pub(super) const DISTILBERT: ModelFamily = ModelFamily {
    name: "distilbert",
    gguf: &[],
    model_types: &["distilbert"],
    classes: &["DistilBertModel"],
    prefix: "distilbert.",
    layers: "transformer.layer.",
    tensors: &[
        ("embeddings.word_embeddings", "token_embd", TensorLayout::AsIs),
        ("embeddings.position_embeddings", "position_embd", TensorLayout::AsIs),
        ("embeddings.LayerNorm", "token_embd_norm", TensorLayout::AsIs),
        ("attention.q_lin", "attn_q", TensorLayout::AsIs),
        ("attention.k_lin", "attn_k", TensorLayout::AsIs),
        ("attention.v_lin", "attn_v", TensorLayout::AsIs),
        ("attention.out_lin", "attn_output", TensorLayout::AsIs),
        ("sa_layer_norm", "attn_output_norm", TensorLayout::AsIs),
        ("ffn.lin1", "ffn_up", TensorLayout::AsIs),
        ("ffn.lin2", "ffn_down", TensorLayout::AsIs),
        ("output_layer_norm", "layer_output_norm", TensorLayout::AsIs),
        ("pre_classifier", "cls", TensorLayout::AsIs),
        ("classifier", "cls.output", TensorLayout::AsIs),
    ],
    keys: &[
        ("hidden_size", "dim"),
        ("num_hidden_layers", "n_layers"),
        ("num_attention_heads", "n_heads"),
        ("intermediate_size", "hidden_dim"),
        ("hidden_act", "activation"),
    ],
    defaults: r#"{"vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072,
        "activation": "gelu", "max_position_embeddings": 512, "layer_norm_eps": 1e-12}"#,
    read: read_distilbert,
    classifier: |_| Ok(first_token(HeadActivation::Relu)),
    ..BERT
};

/// Every activation; files that name none mean GELU in its exact form.
const EXACT_FIRST: [FfnActivation; 5] = [ANY[1], ANY[0], ANY[2], ANY[3], ANY[4]];

const NAMES: &[(&str, &str, TensorLayout)] = &[
    ("embeddings.word_embeddings", "token_embd", TensorLayout::AsIs),
    ("embeddings.position_embeddings", "position_embd", TensorLayout::AsIs),
    ("embeddings.token_type_embeddings", "token_types", TensorLayout::AsIs),
    ("embeddings.LayerNorm", "token_embd_norm", TensorLayout::AsIs),
    ("attention.self.query", "attn_q", TensorLayout::AsIs),
    ("attention.self.key", "attn_k", TensorLayout::AsIs),
    ("attention.self.value", "attn_v", TensorLayout::AsIs),
    ("attention.output.dense", "attn_output", TensorLayout::AsIs),
    ("attention.output.LayerNorm", "attn_output_norm", TensorLayout::AsIs),
    ("intermediate.dense", "ffn_up", TensorLayout::AsIs),
    ("output.dense", "ffn_down", TensorLayout::AsIs),
    ("output.LayerNorm", "layer_output_norm", TensorLayout::AsIs),
    ("pooler.dense", "cls", TensorLayout::AsIs),
    ("classifier.dense", "cls", TensorLayout::AsIs),
    ("classifier.out_proj", "cls.output", TensorLayout::AsIs),
    ("classifier", "cls.output", TensorLayout::AsIs),
];

fn read(k: &Keys) -> Result<LanguageConfig> {
    if let Some(kind) = k.text("position_embedding_type")?.filter(|kind| kind != "absolute") {
        return Err(
            k.unsupported(&format!("position embeddings of type `{kind}` are not supported; absolute ones are"))
        );
    }
    Ok(LanguageConfig { token_types: k.token_types()?, ..encoder(k, |attention| attention)? })
}

fn read_roberta(k: &Keys) -> Result<LanguageConfig> {
    let offset = k.count("pad_token_id")?.unwrap_or(1).saturating_add(1);
    counted_from(k, offset, read(k)?)
}

fn read_mpnet(k: &Keys) -> Result<LanguageConfig> {
    let buckets = k.needed("relative_attention_num_buckets")?;
    // The distance is not in the configuration.
    let relative_bias = Some(super::t5::relative_bias(k, buckets, 128)?);
    // Whatever the padding token's id is.
    counted_from(k, 2, encoder(k, |attention| AttentionConfig { relative_bias, ..attention })?)
}

fn read_distilbert(k: &Keys) -> Result<LanguageConfig> {
    if k.flag("sinusoidal_pos_embds")? {
        return Err(k.unsupported("positions that are not learned are not supported; choose another model"));
    }
    encoder(k, |attention| attention)
}

/// Reads the layers that all of them have, with what `change` makes of their attention.
fn encoder(k: &Keys, change: impl Fn(AttentionConfig) -> AttentionConfig) -> Result<LanguageConfig> {
    let (norm, attention) = (k.layer_norm(true)?, k.attention_biased(true, true)?);
    let attention = change(AttentionConfig { rope: None, both_ways: true, ..attention });
    let activation = k.activation("hidden_act", &EXACT_FIRST)?;
    let ffn = FfnConfig::plain(k.needed("intermediate_size")?, activation, k.bias("ffn_up", true));
    let layer = sum_norm(norm, MixerConfig::Attention(attention), ffn);
    let model = k.model(vec![layer; k.n_layers()?], Vec::new(), None)?;
    let rows = k.shape("position_embd.weight").and_then(|shape| shape.first().copied()).unwrap_or(model.context_length);
    Ok(LanguageConfig { learned_positions: Some(rows), embedding_norm: Some(norm), ..model })
}

/// Counts positions from a later row on: the first `offset` rows of the table are for none.
fn counted_from(k: &Keys, offset: usize, model: LanguageConfig) -> Result<LanguageConfig> {
    match model.context_length.checked_sub(offset).filter(|n| *n > 0) {
        Some(context_length) => Ok(LanguageConfig { context_length, position_offset: offset, ..model }),
        None => Err(wrong(k.file, &format!("of {} positions {offset} are for none", model.context_length))),
    }
}
