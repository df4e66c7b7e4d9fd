//! The parts of a layer as most families have them, read from a file's settings. A family changes what differs.

use super::config::LanguageConfig;
use super::keys::Keys;
use super::layer::{AttentionConfig, FfnActivation, FfnConfig, LayerConfig, MixerConfig, NormConfig, Norms};
use super::limits::{within, wrong};
use super::rope::Rope;
use crate::Result;

/// Every activation, for families whose files say which.
pub(super) const ANY: [FfnActivation; 5] = [
    FfnActivation::GeluTanh,
    FfnActivation::Gelu,
    FfnActivation::Silu,
    FfnActivation::Relu,
    FfnActivation::ReluSquared,
];

/// Finds the activation that transformers call so.
fn activation(name: &str) -> Option<FfnActivation> {
    Some(match name {
        "silu" | "swish" => FfnActivation::Silu,
        "gelu" | "gelu_python" => FfnActivation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => FfnActivation::GeluTanh,
        "relu" => FfnActivation::Relu,
        "relu2" => FfnActivation::ReluSquared,
        _ => return None,
    })
}

impl Keys<'_> {
    /// Reads a norm's epsilon.
    fn eps(&self, name: &str) -> Result<f32> {
        let eps = self.number(name)?.ok_or_else(|| wrong(self.file, "the norm's epsilon is missing"))?;
        Ok(eps as f32)
    }

    /// Describes an RMS norm.
    pub fn rms(&self) -> Result<NormConfig> {
        Ok(NormConfig::rms(self.eps("rms_norm_eps")?))
    }

    /// Describes an RMS norm whose weights folders store less one; GGUF files store all of them.
    pub fn rms_plus_one(&self) -> Result<NormConfig> {
        Ok(NormConfig { plus_one: !self.is_gguf(), ..self.rms()? })
    }

    /// Describes a LayerNorm.
    pub fn layer_norm(&self, biased: bool) -> Result<NormConfig> {
        Ok(NormConfig::layer(self.eps("layer_norm_eps")?, biased))
    }

    /// Describes attention to all positions with the first rotation. Biases are as `attention_bias` says.
    pub fn attention(&self) -> Result<AttentionConfig> {
        self.attention_of(self.count("num_key_value_heads")?)
    }

    /// Describes [`Keys::attention`] with this number of key-value heads, or as many as query heads.
    pub fn attention_of(&self, kv_heads: Option<usize>) -> Result<AttentionConfig> {
        let dim = self.needed("hidden_size")?;
        let heads = within("the number of heads", self.needed("num_attention_heads")?, self.file)?;
        let key_dim = match self.count("head_dim")? {
            Some(n) => n,
            None if dim.is_multiple_of(heads) => dim / heads,
            None => return Err(wrong(self.file, &format!("{heads} heads do not divide the hidden size {dim}"))),
        };
        if self.is_gguf() && self.count("attention.value_length")?.is_some_and(|n| n != key_dim) {
            return Err(self.unsupported("values of another size than keys are not supported; choose another model"));
        }
        let biased = self.flag("attention_bias")?;
        Ok(AttentionConfig {
            heads,
            kv_heads: kv_heads.unwrap_or(heads),
            key_dim,
            value_dim: key_dim,
            scale: (key_dim as f64).powf(-0.5) as f32,
            soft_cap: None,
            window: None,
            both_ways: false,
            relative_bias: None,
            rope: Some(0),
            qk_norm: None,
            value_norm: None,
            clamp: None,
            qkv_bias: self.bias("attn_q", biased) || self.bias("attn_qkv", biased),
            output_bias: self.bias("attn_output", biased),
            gate: None,
            sinks: false,
            shares: None,
            query_growth: None,
        })
    }

    /// Describes [`Keys::attention`] with biases of query, key and value, and of the output, as given; in GGUF as they
    /// are there.
    pub fn attention_biased(&self, qkv: bool, output: bool) -> Result<AttentionConfig> {
        let attention = self.attention()?;
        Ok(match self.is_gguf() {
            true => attention,
            false => AttentionConfig { qkv_bias: qkv, output_bias: output, ..attention },
        })
    }

    /// Returns the activation under `name`, which must be one of `known`; the first is meant where none is named.
    pub fn activation(&self, name: &str, known: &[FfnActivation]) -> Result<FfnActivation> {
        let said = if self.is_gguf() { None } else { self.text(name)? };
        let Some(said) = said else { return Ok(known[0]) };
        activation(&said).filter(|a| known.contains(a)).ok_or_else(|| {
            let one =
                if known == [FfnActivation::Silu] { "silu is" } else { "silu, gelu and relu in their usual forms are" };
            self.unsupported(&format!("activation `{said}` is not supported; {one}"))
        })
    }

    /// Describes a gated feed-forward network with SiLU, with biases if `bias`; in GGUF if they are there.
    pub fn ffn(&self, bias: bool) -> Result<FfnConfig> {
        Ok(FfnConfig::gated(
            self.needed("intermediate_size")?,
            self.activation("hidden_act", &[FfnActivation::Silu])?,
            self.bias("ffn_up", bias),
        ))
    }

    /// Returns the rows of a table of kinds of tokens, if there is one.
    pub fn token_types(&self) -> Result<Option<usize>> {
        let rows = match self.is_gguf() {
            true => self.shape("token_types.weight").and_then(|shape| shape.first().copied()),
            false => self.count("type_vocab_size")?,
        };
        Ok(rows.filter(|n| *n > 0))
    }

    /// Returns the width of a GGUF file's first feed-forward network, whatever its settings say.
    pub fn ffn_width(&self) -> Option<usize> {
        self.shape("blk.0.ffn_down.weight").and_then(|shape| shape.get(1).copied())
    }

    /// Describes the model around `layers`. Of `ropes`, those after the last that a layer names are left out.
    pub fn model(
        &self,
        layers: Vec<LayerConfig>,
        mut ropes: Vec<Rope>,
        output_norm: impl Into<Option<NormConfig>>,
    ) -> Result<LanguageConfig> {
        let rope = |layer: &LayerConfig| match &layer.mixer {
            MixerConfig::Attention(a) => a.rope,
            MixerConfig::ShortConv(_) => None,
        };
        ropes.truncate(layers.iter().filter_map(rope).max().map_or(0, |last| last + 1));
        Ok(LanguageConfig {
            architecture: self.family.name.to_string(),
            name: self.name()?,
            dim: self.needed("hidden_size")?,
            vocab: self.vocab()?,
            context_length: self.context_length()?,
            layers,
            ropes,
            embedding_scale: 1.0,
            learned_positions: None,
            position_offset: 0,
            token_types: None,
            embedding_norm: None,
            output_norm: output_norm.into(),
            tied: self.tied()?,
            output_bias: false,
            logit_scale: 1.0,
            logit_soft_cap: None,
            rope_tensors: self.rope_tensors(),
        })
    }
}

/// Describes a layer that adds what the mixer makes of its normed input, then the same of the feed-forward network.
pub(super) fn pre_norm(norm: NormConfig, mixer: MixerConfig, ffn: FfnConfig) -> LayerConfig {
    let norms = Norms { before_mixer: Some(norm), before_ffn: Some(norm), ..Norms::default() };
    LayerConfig { norms, mixer, ffn, residual_scale: 1.0, parallel: false }
}

/// Describes a layer that norms what mixer and feed-forward network make of the plain stream.
pub(super) fn post_norm(norm: NormConfig, mixer: MixerConfig, ffn: FfnConfig) -> LayerConfig {
    let norms = Norms { after_mixer: Some(norm), after_ffn: Some(norm), ..Norms::default() };
    LayerConfig { norms, ..pre_norm(norm, mixer, ffn) }
}

/// Describes a layer that norms both what goes into mixer and feed-forward network and what comes out.
pub(super) fn sandwich(norm: NormConfig, mixer: MixerConfig, ffn: FfnConfig) -> LayerConfig {
    let one = Some(norm);
    let norms = Norms { before_mixer: one, after_mixer: one, before_ffn: one, after_ffn: one, ..Norms::default() };
    LayerConfig { norms, ..pre_norm(norm, mixer, ffn) }
}

/// Describes a layer that norms the stream after each addition.
pub(super) fn sum_norm(norm: NormConfig, mixer: MixerConfig, ffn: FfnConfig) -> LayerConfig {
    let norms = Norms { mixer_sum: Some(norm), ffn_sum: Some(norm), ..Norms::default() };
    LayerConfig { norms, ..pre_norm(norm, mixer, ffn) }
}

/// Describes a layer whose mixer and feed-forward network read the same normed input.
pub(super) fn parallel(norm: NormConfig, mixer: MixerConfig, ffn: FfnConfig) -> LayerConfig {
    let norms = Norms { before_mixer: Some(norm), ..Norms::default() };
    LayerConfig { norms, parallel: true, ..pre_norm(norm, mixer, ffn) }
}

impl AttentionConfig {
    /// Describes the mixer of a layer with this window.
    pub(super) fn windowed(&self, window: Option<usize>) -> MixerConfig {
        MixerConfig::Attention(AttentionConfig { window, ..self.clone() })
    }

    /// Describes the mixer of a layer with this window, in which this rotation turns queries and keys.
    pub(super) fn turned(&self, window: Option<usize>, rope: Option<usize>) -> MixerConfig {
        MixerConfig::Attention(AttentionConfig { window, rope, ..self.clone() })
    }
}
