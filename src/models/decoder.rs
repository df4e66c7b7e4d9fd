//! A decoder: a backbone and the matrix that makes logits of its hidden states.
//!
//! Letters: T tokens in this call, S in the cache, D `dim`, V `vocab`.

use super::backbone::{Backbone, Start, Step, output};
use crate::Result;
use crate::config::language::LanguageConfig;
use crate::gpu::{Gpu, Graph, Region, Tensor, Weight};
use crate::load::Weights;
use crate::ops::{Input, Linear};
use std::rc::Rc;

/// A decoder's weights.
pub struct Decoder {
    backbone: Backbone,
    output: Weight,              // [V, D]
    output_bias: Option<Weight>, // [V]
}

impl Decoder {
    /// Binds the weights.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) and [`Error::Shape`](crate::Error::Shape) if they do not fit the
    /// configuration, [`Error::Unsupported`](crate::Error::Unsupported) for heads that no kernel can take.
    pub fn bind(w: &Weights<'_>, c: &LanguageConfig, gpu: &Rc<Gpu>) -> Result<Self> {
        Ok(Decoder {
            backbone: Backbone::bind(w, c, gpu)?,
            output: output(w, c)?,
            output_bias: w.biases(c.output_bias, [("output.bias".to_string(), c.vocab)])?,
        })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &LanguageConfig {
        &self.backbone.config
    }

    /// Says beyond how many tokens a sequence is a long one, for all of whose positions queries and keys turn another
    /// way.
    pub fn switch_at(&self) -> Option<usize> {
        self.config().ropes.iter().filter_map(|rope| rope.switch_at()).min()
    }

    /// Turns queries and keys from now on as long sequences want it, or short ones. Keys that were made the other way
    /// are wrong then.
    pub fn choose_ropes(&self, long: bool) {
        self.backbone.ropes.iter().for_each(|rope| rope.choose(long));
    }

    /// Computes the hidden states after the last layer, not yet normalised, and those after each layer of `taps`.
    ///   -> [T, D], and as many
    pub fn run<'g>(
        &self,
        g: &'g Graph,
        start: Start<'_, 'g>,
        step: &Step<'_>,
        taps: &[usize],
    ) -> (Tensor<'g>, Vec<Tensor<'g>>) {
        self.backbone.run(g, start, step, taps)
    }

    /// Computes the logits of every row. `state`: how many rows hold tokens.   [T, D] -> [T, V]
    pub fn logits<'g>(&self, x: Tensor<'g>, state: Option<&Region>) -> Tensor<'g> {
        let c = self.config();
        let (scale, soft_cap) = (c.logit_scale, c.logit_soft_cap);
        let with = Linear { bias: self.output_bias.as_ref(), scale, soft_cap, state, ..Linear::default() };
        Input::normed(x, self.backbone.output_norm.as_ref(), state).linear(&self.output, with) // [T, V]
    }
}
