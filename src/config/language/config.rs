//! The description of a language model.

use super::layer::{LayerConfig, NormConfig};
use super::rope::Rope;

/// The description of a language model, the same whichever file it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageConfig {
    /// The family: one of [`LanguageConfig::SUPPORTED`]. (GGUF files may name one that computes the same: those of
    /// Mistral models say "llama".)
    pub architecture: String,
    /// The model's own name, or its architecture if it has none.
    pub name: String,
    /// D: elements of a hidden state.
    pub dim: usize,
    /// V: rows of the embedding table.
    pub vocab: usize,
    /// The longest sequence the model was made for, in tokens.
    pub context_length: usize,
    /// The layers, first to last.
    pub layers: Vec<LayerConfig>,
    /// The rotations that layers name by their place in this list.
    pub ropes: Vec<Rope>,
    /// Multiplies the rows of the embedding table.
    pub embedding_scale: f32,
    /// Rows of a table of learned positions, `position_embd.weight`, that are added to the embeddings.
    pub learned_positions: Option<usize>,
    /// The row of that table of the first position.
    pub position_offset: usize,
    /// Rows of a table of kinds of tokens, `token_types.weight`, that are added to the embeddings.
    pub token_types: Option<usize>,
    /// Of the sum of embeddings: `token_embd_norm`.
    pub embedding_norm: Option<NormConfig>,
    /// Of the last hidden states: `output_norm`.
    pub output_norm: Option<NormConfig>,
    /// Whether the output matrix is the embedding table; `None`: the configuration does not say.
    pub tied: Option<bool>,
    /// Whether the output matrix has a bias.
    pub output_bias: bool,
    /// Multiplies the logits.
    pub logit_scale: f32,
    /// Logits become `cap * tanh(logit / cap)`, after [`LanguageConfig::logit_scale`].
    pub logit_soft_cap: Option<f32>,
    /// Tensors of numbers about rotation that the file has.
    pub(super) rope_tensors: Vec<&'static str>,
}
