//! An encoder: a backbone that reads whole texts, and the layers that make a vector of each, or a score.
//!
//! Letters: T rows in this call, N texts in them, D `dim`, E elements of a vector.

use super::backbone::{Backbone, Start, Step, output};
use super::norms::norm;
use crate::Result;
use crate::config::language::{ClassifierConfig, DenseConfig, EmbeddingConfig, HeadActivation, Pooling, Scoring};
use crate::gpu::{Gpu, Graph, Region, Tensor, Weight};
use crate::load::Weights;
use crate::ops::{Activation, Input, Linear, Norm, Pool};
use std::rc::Rc;

/// A linear layer that vectors pass.
struct HeadLayer {
    weight: Weight,       // [out, in]
    bias: Option<Weight>, // [out]
    activation: HeadActivation,
}

/// The layers that make a score.
struct Classifier {
    dense: Option<HeadLayer>, // [D, D]
    norm: Option<Norm>,       // [D]
    output: HeadLayer,        // [1, D]
}

/// An encoder's weights.
pub struct Encoder {
    backbone: Backbone,
    dense: Vec<HeadLayer>,
    classifier: Option<Classifier>,
    pooling: Vec<Pool>,
    output: Option<Weight>, // [V, D]
}

/// Where the texts are that a forward pass pools.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// Their rows: see [`Tensor::pool`].
    pub spans: &'a Region,
    /// N: how many there are at most.
    pub most: usize,
    /// `[1]` how many there are.
    pub state: &'a Region,
}

impl Encoder {
    /// Binds the weights.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) and [`Error::Shape`](crate::Error::Shape) if they do not fit the
    /// configuration, [`Error::Unsupported`](crate::Error::Unsupported) for heads that no kernel can take.
    pub fn bind(w: &Weights<'_>, c: &EmbeddingConfig, gpu: &Rc<Gpu>) -> Result<Self> {
        // A vector's last layers are small, and each of their errors is one of the vector.
        let exact = w.as_stored();
        let dim = c.model.dim;
        let pooling = c.classifier().map_or(c.pooling.clone(), |c| vec![c.pooling]);
        let answers = matches!(c.scoring, Some(Scoring::Answer(_)));
        Ok(Encoder {
            backbone: Backbone::bind(w, &c.model, gpu)?,
            dense: c.dense.iter().map(|d| HeadLayer::dense(&exact, d)).collect::<Result<_>>()?,
            classifier: c.classifier().map(|c| Classifier::bind(&exact, dim, c)).transpose()?,
            pooling: pooling.into_iter().map(pool).collect(),
            output: answers.then(|| output(w, &c.model)).transpose()?,
        })
    }

    /// Computes a vector of each text, not yet of length one, or its score.   -> [N, E]
    pub fn run<'g>(&self, g: &'g Graph, ids: (&Region, usize), step: &Step<'_>, texts: &Texts<'_>) -> Tensor<'g> {
        let (x, _) = self.backbone.run(g, Start::Ids(ids.0, ids.1), step, &[]); // [T, D]
        let x = Input::normed(x, self.backbone.output_norm.as_ref(), Some(step.state)).tensor(); // [T, D]
        let mut x = x.pool(&self.pooling, texts.spans, texts.most, texts.state); // [N, D * ways]
        let state = Some(texts.state);
        for layer in &self.dense {
            x = layer.run(Input::Plain(x), state); // [N, E]
        }
        self.classifier.as_ref().map_or(x, |c| c.run(x, state))
    }

    /// Reads the rows of the output matrix whose numbers lie in `ids`: what a hidden state is multiplied by for those
    /// tokens' logits.   -> [n, D]; `None` if there is no such matrix
    pub fn output_rows<'g>(&self, g: &'g Graph, ids: &Region, n: usize) -> Option<Tensor<'g>> {
        self.output.as_ref().map(|output| g.embed(output, ids, n, 1.0, None))
    }
}

fn pool(way: Pooling) -> Pool {
    match way {
        Pooling::First => Pool::First,
        Pooling::Max => Pool::Max,
        Pooling::Mean => Pool::Mean,
        Pooling::MeanSqrtLength => Pool::MeanSqrtLength,
        Pooling::WeightedMean => Pool::WeightedMean,
        Pooling::Last => Pool::Last,
    }
}

impl HeadLayer {
    fn bind(w: &Weights<'_>, name: &str, [o, i]: [usize; 2], bias: bool, activation: HeadActivation) -> Result<Self> {
        Ok(HeadLayer {
            weight: w.matrix(&format!("{name}weight"), [o, i])?,
            bias: bias.then(|| w.vector(&format!("{name}bias"), o)).transpose()?,
            activation,
        })
    }

    fn dense(w: &Weights<'_>, c: &DenseConfig) -> Result<Self> {
        HeadLayer::bind(w, &c.name, [c.outputs, c.inputs], c.bias, c.activation)
    }

    /// Computes it.   [N, I] -> [N, O]
    fn run<'g>(&self, x: Input<'_, 'g>, state: Option<&Region>) -> Tensor<'g> {
        let (activation, soft_cap) = match self.activation {
            HeadActivation::None => (Activation::None, None),
            // A soft cap of one.
            HeadActivation::Tanh => (Activation::None, Some(1.0)),
            HeadActivation::Relu => (Activation::Relu, None),
            HeadActivation::Gelu => (Activation::Gelu, None),
            HeadActivation::Silu => (Activation::Silu, None),
        };
        let with = Linear { bias: self.bias.as_ref(), activation, soft_cap, state, ..Linear::default() };
        x.linear(&self.weight, with)
    }
}

impl Classifier {
    fn bind(w: &Weights<'_>, dim: usize, c: &ClassifierConfig) -> Result<Self> {
        let dense = |(activation, bias)| HeadLayer::bind(w, "cls.", [dim, dim], bias, activation);
        Ok(Classifier {
            dense: c.dense.map(dense).transpose()?,
            norm: norm(w, "cls.norm", dim, c.norm)?,
            output: HeadLayer::bind(w, "cls.output.", [1, dim], c.bias, HeadActivation::None)?,
        })
    }

    /// Computes the scores.   [N, D] -> [N, 1]
    fn run<'g>(&self, x: Tensor<'g>, state: Option<&Region>) -> Tensor<'g> {
        let x = self.dense.as_ref().map_or(x, |dense| dense.run(Input::Plain(x), state)); // [N, D]
        self.output.run(Input::normed(x, self.norm.as_ref(), state), state) // [N, 1]
    }
}
