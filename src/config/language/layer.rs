//! A layer as data: norms, a mixer of positions, a feed-forward network.

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerConfig {
    /// Where it normalises.
    pub norms: Norms,
    /// How positions learn of each other.
    pub mixer: MixerConfig,
    /// The feed-forward network that each position passes by itself.
    pub ffn: FfnConfig,
    /// Multiplies what the mixer and the feed-forward network add to the stream.
    pub residual_scale: f32,
    /// Mixer and feed-forward network read the same stream, and both are added to it; otherwise the second reads what
    /// the first has added to. Without a norm of its own the feed-forward network then reads the mixer's normed input.
    pub parallel: bool,
}

impl LayerConfig {
    /// Returns whether positions see later ones.
    pub fn both_ways(&self) -> bool {
        matches!(&self.mixer, MixerConfig::Attention(a) if a.both_ways)
    }
}

/// The norms of a layer; `None`: there is none at this place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Norms {
    /// Of the mixer's input: `attn_norm`.
    pub before_mixer: Option<NormConfig>,
    /// Of the mixer's output, before it is added to the stream: `post_attention_norm`.
    pub after_mixer: Option<NormConfig>,
    /// Of the feed-forward network's input: `ffn_norm`.
    pub before_ffn: Option<NormConfig>,
    /// Of the feed-forward network's output, before it is added to the stream: `post_ffw_norm`.
    pub after_ffn: Option<NormConfig>,
    /// Of the stream after the mixer's output was added: `attn_output_norm`.
    pub mixer_sum: Option<NormConfig>,
    /// Of the stream after the feed-forward network's output was added: `layer_output_norm`.
    pub ffn_sum: Option<NormConfig>,
}

/// How a norm is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormConfig {
    /// The kind.
    pub kind: NormKind,
    /// Added to the mean square, or to the variance.
    pub eps: f32,
    /// Whether the result is multiplied by weights.
    pub weighted: bool,
    /// Whether the file stores the weights less one.
    pub plus_one: bool,
    /// Whether biases are added to the result.
    pub biased: bool,
}

/// The kinds of norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + eps)` (Zhang and Sennrich 2019).
    Rms,
    /// `(x - mean(x)) / sqrt(variance(x) + eps)` (Ba et al. 2016).
    Layer,
}

impl NormConfig {
    /// Describes an RMS norm with weights.
    pub fn rms(eps: f32) -> NormConfig {
        NormConfig { kind: NormKind::Rms, eps, weighted: true, plus_one: false, biased: false }
    }

    /// Describes a LayerNorm with weights and, if `biased`, biases.
    pub fn layer(eps: f32, biased: bool) -> NormConfig {
        NormConfig { kind: NormKind::Layer, biased, ..NormConfig::rms(eps) }
    }
}

/// How positions learn of each other. Kinds with a state of their own (gated delta net, Mamba-2) are further variants.
#[derive(Clone, Debug, PartialEq)]
pub enum MixerConfig {
    /// Attention to other positions.
    Attention(AttentionConfig),
    /// A gated convolution over the latest positions.
    ShortConv(ShortConvConfig),
}

/// Attention in one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionConfig {
    /// H: query heads.
    pub heads: usize,
    /// K: key and value heads; divides H.
    pub kv_heads: usize,
    /// Elements of a query or key head. Heads times this need not be the hidden size.
    pub key_dim: usize,
    /// Elements of a value head.
    pub value_dim: usize,
    /// Multiplies the product of query and key.
    pub scale: f32,
    /// Scores become `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// How many of the latest positions a query sees, its own included; `None`: all. With `both_ways` as many of the
    /// later ones.
    pub window: Option<usize>,
    /// Whether a query sees later positions, too: in models that read whole texts.
    pub both_ways: bool,
    /// Biases of scores by how far apart query and key are.
    pub relative_bias: Option<RelativeBias>,
    /// Which of [`LanguageConfig::ropes`](super::LanguageConfig::ropes) turns queries and keys; `None`: none does.
    pub rope: Option<usize>,
    /// Norms of queries and keys.
    pub qk_norm: Option<QkNorm>,
    /// Values pass an RMS norm without weights, head by head, with this epsilon.
    pub value_norm: Option<f32>,
    /// Queries, keys and values are clamped to plus or minus this, before anything else happens to them.
    pub clamp: Option<f32>,
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether the output projection has a bias.
    pub output_bias: bool,
    /// A gate on the result, before the output projection.
    pub gate: Option<AttentionGate>,
    /// Whether each head has a learned score that takes its share of the softmax and has no value.
    pub sinks: bool,
    /// The earlier layer whose keys and values this one reads; it makes none of its own.
    pub shares: Option<usize>,
    /// How queries grow with their position.
    pub query_growth: Option<QueryGrowth>,
}

/// Norms of queries and keys; their weights are `attn_q_norm` and `attn_k_norm`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QkNorm {
    /// The norm.
    pub norm: NormConfig,
    /// Whether all heads are one row to it, with a weight for each element; otherwise each head is normalised by itself
    /// and all share the weights.
    pub whole_row: bool,
    /// Whether it comes after the rotation.
    pub after_rope: bool,
}

/// The sigmoid of what multiplies an attention's result: a projection of the layer's normed input, `attn_gate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionGate {
    /// A number for each head.
    PerHead,
    /// A number for each element.
    PerElement,
}

/// Biases of scores (Raffel et al. 2020): `attn_rel_b`, [buckets, H], which all layers share. Half of the buckets are
/// for keys behind the query. Of each half the first half are for a distance each, the others for ever more distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelativeBias {
    /// How many buckets there are; a multiple of 4.
    pub buckets: usize,
    /// The distance from which on all are in the last bucket.
    pub reach: usize,
}

/// Queries at position `p` are multiplied by `1 + beta * ln(1 + floor(p / length))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueryGrowth {
    /// Weight of the logarithm.
    pub beta: f32,
    /// Positions between two steps.
    pub length: usize,
}

/// `out_proj(c * conv(b * x))` where `b`, `c` and `x` are the three parts of `in_proj`'s result; the convolution is
/// causal, over each channel by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortConvConfig {
    /// Positions that the convolution sees, the latest included.
    pub width: usize,
    /// Whether the projections and the convolution have biases.
    pub bias: bool,
}

/// The feed-forward network that each position passes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfnConfig {
    /// F: elements between the two halves.
    pub dim: usize,
    /// The function between the two halves.
    pub activation: FfnActivation,
    /// Whether a gate multiplies: `down(activation(gate(x)) * up(x))`; otherwise it is `down(activation(up(x)))`.
    pub gated: bool,
    /// Whether the projections to the F elements have biases.
    pub bias: bool,
    /// Whether the projection back has one.
    pub down_bias: bool,
}

impl FfnConfig {
    /// Describes a network without a gate, whose projections all have biases or have none.
    pub fn plain(dim: usize, activation: FfnActivation, bias: bool) -> FfnConfig {
        FfnConfig { dim, activation, gated: false, bias, down_bias: bias }
    }

    /// Describes a network with a gate, whose projections all have biases or have none.
    pub fn gated(dim: usize, activation: FfnActivation, bias: bool) -> FfnConfig {
        FfnConfig { gated: true, ..FfnConfig::plain(dim, activation, bias) }
    }
}

/// The function between the two halves of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FfnActivation {
    /// `x * sigmoid(x)`
    Silu,
    /// `x * Phi(x)`, the exact form.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `max(x, 0)^2`
    ReluSquared,
}
