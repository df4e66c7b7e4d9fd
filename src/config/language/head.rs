//! The layers behind the hidden states, as data: pooling, linear layers, classifiers.

use super::layer::NormConfig;

/// How a score is made of a pair of texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Scoring {
    /// By layers of its own, instead of a vector.
    Classifier(ClassifierConfig),
    /// By how much more likely one token is behind the pair than another. Without tokens: "yes" and "no", of a folder
    /// that says nothing of scores.
    Answer(Option<AnswerTokens>),
}

/// The tokens that answer whether a text fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTokens {
    /// The one that says it does.
    pub yes: u32,
    /// The one that says it does not; without it the logit of `yes` counts alone.
    pub no: Option<u32>,
}

/// How the hidden states of a text become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The first token's.
    First,
    /// Of each element the largest.
    Max,
    /// Their mean.
    Mean,
    /// Their sum over the root of their number.
    MeanSqrtLength,
    /// Their mean, in which the first counts once, the second twice and so on.
    WeightedMean,
    /// The last token's.
    Last,
}

/// A linear layer that vectors pass.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseConfig {
    /// The beginning of its tensors' names.
    pub name: String,
    /// Elements of its input.
    pub inputs: usize,
    /// Elements of its result.
    pub outputs: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// The function that its result passes.
    pub activation: HeadActivation,
}

/// The layers that make a score of a pair of texts: `cls`, `cls.norm` and `cls.output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierConfig {
    /// How the pair's hidden states become one vector.
    pub pooling: Pooling,
    /// A linear layer before the last one: the function that its result passes, and whether it has a bias.
    pub dense: Option<(HeadActivation, bool)>,
    /// A norm between them.
    pub norm: Option<NormConfig>,
    /// Whether the last layer has a bias.
    pub bias: bool,
}

/// The function that a layer behind the pooling ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadActivation {
    /// None.
    None,
    /// `tanh(x)`
    Tanh,
    /// `max(x, 0)`
    Relu,
    /// `x * Phi(x)`, the exact form.
    Gelu,
    /// `x * sigmoid(x)`
    Silu,
}

impl Pooling {
    /// Every way, in the order in which several are joined.
    pub(super) const ALL: [Pooling; 6] =
        [Pooling::First, Pooling::Max, Pooling::Mean, Pooling::MeanSqrtLength, Pooling::WeightedMean, Pooling::Last];

    /// Returns its name, as sentence-transformers says it.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::First => "cls",
            Pooling::Max => "max",
            Pooling::Mean => "mean",
            Pooling::MeanSqrtLength => "mean_sqrt_len_tokens",
            Pooling::WeightedMean => "weightedmean",
            Pooling::Last => "lasttoken",
        }
    }
}
