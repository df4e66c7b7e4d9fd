//! `text_encoder/config.json` of transformers: CLIP's text tower, with or without a projection.

use super::fields::{Fields, Value};
use crate::config::language::wrong;
use crate::{Error, Result};

/// What stands between the two layers of the feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x * Phi(x), Phi being the normal distribution.
    Gelu,
    /// x * sigmoid(1.702 x).
    QuickGelu,
}

/// The description of a text encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// Rows of the embedding table.
    pub vocab: usize,
    /// Tokens of a chunk.
    pub positions: usize,
    /// Elements of a hidden state.
    pub dim: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Number of heads; divides `dim`.
    pub n_heads: usize,
    /// Elements between the two halves of the feed-forward network.
    pub ffn_dim: usize,
    /// What stands between them.
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    pub norm_eps: f32,
    /// Elements of the projected text, of a CLIPTextModelWithProjection.
    pub projection_dim: Option<usize>,
    /// The token that begins a text.
    pub bos: u32,
    /// The token that ends a text. Old files say 2, whatever it is: whoever pools then takes the largest id.
    pub eos: u32,
    /// The token that fills up a text, as the model's own file says; the tokenizer's files know better.
    pub pad: Option<u32>,
}

impl ClipConfig {
    /// From the text of a transformers `config.json`; `file` names it in errors. Values left out are those that
    /// transformers takes.
    ///
    /// [`Error::Unsupported`] for other architectures and activations; [`Error::Format`] for what is no such file and for
    /// numbers that cannot be.
    pub fn from_json(text: &[u8], file: &str) -> Result<Self> {
        let f = Fields::parse(text, file)?;
        f.refuse(&[("model_type", "clip_text_model"), ("use_attention_mask", "false")])?;
        let class = f.texts("architectures")?.and_then(|classes| classes.first().copied());
        let projected = match class {
            None | Some("CLIPTextModel") => false,
            Some("CLIPTextModelWithProjection") => true,
            Some(other) => {
                let what =
                    format!("{file}: text encoder `{other}` is not supported; choose a model with CLIPTextModel");
                return Err(Error::unsupported(what));
            }
        };
        let activation = match f.text("hidden_act")? {
            None | Some("quick_gelu") => Activation::QuickGelu,
            Some("gelu") => Activation::Gelu,
            Some(other) => {
                let what = format!("{file}: `hidden_act` {other} is not supported; quick_gelu and gelu are");
                return Err(Error::unsupported(what));
            }
        };
        let config = ClipConfig {
            vocab: f.count("vocab_size")?.unwrap_or(49408),
            positions: f.count("max_position_embeddings")?.unwrap_or(77),
            dim: f.count("hidden_size")?.unwrap_or(512),
            n_layers: f.count("num_hidden_layers")?.unwrap_or(12),
            n_heads: f.count("num_attention_heads")?.unwrap_or(8),
            ffn_dim: f.count("intermediate_size")?.unwrap_or(2048),
            activation,
            norm_eps: f.number("layer_norm_eps")?.unwrap_or(1e-5) as f32,
            projection_dim: projected.then(|| f.count("projection_dim")).transpose()?.map(|n| n.unwrap_or(512)),
            bos: token(&f, "bos_token_id", Some(49406))?.unwrap_or(49406),
            eos: token(&f, "eos_token_id", Some(49407))?.unwrap_or(49407),
            pad: token(&f, "pad_token_id", Some(1))?,
        };
        config.checked(file)
    }

    /// The whole, if its parts make sense together.
    pub(super) fn checked(self, file: &str) -> Result<Self> {
        let numbers = [
            ("the vocabulary size", self.vocab, 1 << 24),
            ("the number of positions", self.positions, 1 << 12),
            ("the hidden size", self.dim, 1 << 16),
            ("the number of layers", self.n_layers, 1 << 10),
            ("the number of heads", self.n_heads, 1 << 12),
            ("the feed-forward size", self.ffn_dim, 1 << 18),
            ("the projection's size", self.projection_dim.unwrap_or(1), 1 << 16),
        ];
        for (what, n, most) in numbers {
            if !(1..=most).contains(&n) {
                return Err(wrong(file, &format!("{what} is {n}")));
            }
        }
        if self.positions < 3 {
            return Err(wrong(file, &format!("{} positions leave no room for text", self.positions)));
        }
        if !self.dim.is_multiple_of(self.n_heads) {
            return Err(wrong(file, &format!("{} heads do not divide the hidden size {}", self.n_heads, self.dim)));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            return Err(wrong(file, &format!("`layer_norm_eps` is {}", self.norm_eps)));
        }
        Ok(self)
    }
}

/// A token's id, the first where several are given; `None` for null.
fn token(f: &Fields<'_>, key: &str, default: Option<u32>) -> Result<Option<u32>> {
    Ok(match f.given(key) {
        None => default,
        Some(Value::Null) => None,
        Some(Value::List(_)) => f.counts(key)?.and_then(|ids| ids.first().map(|&id| id as u32)),
        // Negative ids stand for none.
        Some(Value::Number(n)) if *n < 0.0 => None,
        Some(_) => f.count(key)?.map(|id| id as u32),
    })
}
