//! `text_encoder/config.json` of transformers: CLIP's text tower, with or without a projection.

use super::settings::Settings;
use crate::config::language::wrong;
use crate::format::json::OneOrMore;
use crate::format::variants;
use crate::{Error, Result};
use serde::Deserialize;

/// The activation between the two layers of the feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipActivation {
    /// x * Phi(x), Phi being the normal distribution.
    Gelu,
    /// x * sigmoid(1.702 x).
    QuickGelu,
}

/// The description of a text encoder. The default is what transformers takes where a file says nothing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// Rows of the embedding table.
    #[serde(rename = "vocab_size")]
    pub vocab: usize,
    /// Tokens of a chunk.
    #[serde(rename = "max_position_embeddings")]
    pub positions: usize,
    /// Elements of a hidden state.
    #[serde(rename = "hidden_size")]
    pub dim: usize,
    /// Number of layers.
    #[serde(rename = "num_hidden_layers")]
    pub n_layers: usize,
    /// Number of heads; divides `dim`.
    #[serde(rename = "num_attention_heads")]
    pub n_heads: usize,
    /// Elements between the two halves of the feed-forward network.
    #[serde(rename = "intermediate_size")]
    pub ffn_dim: usize,
    /// The activation between them.
    #[serde(rename = "hidden_act", deserialize_with = "variants::read")]
    pub activation: ClipActivation,
    /// Added to the variance in every layer norm.
    #[serde(rename = "layer_norm_eps")]
    pub norm_eps: f32,
    /// Elements of the projected text, of a CLIPTextModelWithProjection.
    pub projection_dim: Option<usize>,
    /// The token that begins a text.
    #[serde(skip)]
    pub bos: u32,
    /// The token that ends a text. Old files say 2, whatever it is: whoever pools then takes the largest id.
    #[serde(skip)]
    pub eos: u32,
    /// The token that fills up a text, as the model's own file says; the tokenizer's files know better.
    #[serde(skip)]
    pub pad: Option<u32>,
}

impl Default for ClipConfig {
    fn default() -> Self {
        ClipConfig {
            vocab: 49408,
            positions: 77,
            dim: 512,
            n_layers: 12,
            n_heads: 8,
            ffn_dim: 2048,
            activation: ClipActivation::QuickGelu,
            norm_eps: 1e-5,
            projection_dim: None,
            bos: 49406,
            eos: 49407,
            pad: Some(1),
        }
    }
}

/// Settings that are read in other ways.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Names {
    architectures: Vec<String>,
    bos_token_id: Option<OneOrMore<i32>>,
    eos_token_id: Option<OneOrMore<i32>>,
    pad_token_id: Option<OneOrMore<i32>>,
}

/// Returns a token's id, the first where several are given. A negative one stands for none.
fn token(given: &OneOrMore<i32>, file: &str) -> Result<Option<u32>> {
    match given.all.first() {
        Some(id) if *id < 0 && !given.is_one => Err(wrong(file, &format!("a token's id is {id}"))),
        id => Ok(id.and_then(|id| u32::try_from(*id).ok())),
    }
}

impl ClipConfig {
    /// Reads the text of a transformers `config.json`; `file` names it in errors. Values left out are those that
    /// transformers takes.
    ///
    /// [`Error::Unsupported`] for other architectures and activations; [`Error::Format`] for what is no such file and
    /// for numbers that cannot be.
    pub fn from_json(text: &[u8], file: &str) -> Result<Self> {
        let settings = Settings::parse(text, file)?;
        settings.refuse(&[("model_type", "clip_text_model"), ("use_attention_mask", "false")])?;
        let names: Names = settings.read()?;
        let projected = match names.architectures.first().map(String::as_str) {
            None | Some("CLIPTextModel") => false,
            Some("CLIPTextModelWithProjection") => true,
            Some(other) => {
                let what =
                    format!("{file}: text encoder `{other}` is not supported; choose a model with CLIPTextModel");
                return Err(Error::unsupported(what));
            }
        };
        let mut config: ClipConfig = settings.read()?;
        config.projection_dim = projected.then_some(config.projection_dim.unwrap_or(512));
        let id = |given: &Option<_>| given.as_ref().map_or(Ok(None), |given| token(given, file));
        config.bos = id(&names.bos_token_id)?.unwrap_or(config.bos);
        config.eos = id(&names.eos_token_id)?.unwrap_or(config.eos);
        if names.pad_token_id.is_some() || settings.is_null("pad_token_id") {
            config.pad = id(&names.pad_token_id)?;
        }
        config.checked(file)
    }

    /// Checks that the parts make sense together.
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
