//! A decoder: token ids (or rows of hidden states) through a list of layers to logits. Which layers is said by
//! [`LanguageConfig`]; nothing here knows an architecture.
//!
//! Letters: T tokens in this call, S in the cache, D `dim`, F `ffn_dim`, V `vocab`.

use super::ffn::Ffn;
use super::mixers::{At, Mixer, RopeTable};
use super::norms::norm;
use super::state::{DecoderState, LayerState};
use crate::Result;
use crate::config::language::{LanguageConfig, LayerConfig};
use crate::gpu::{Gpu, Graph, Region, Tensor, Weight};
use crate::load::Weights;
use crate::ops::{Input, Linear, Norm};
use std::rc::Rc;

/// One layer: norms, mixer, feed-forward network.
struct Layer {
    before_mixer: Option<Norm>, // [D]
    mixer: Mixer,
    after_mixer: Option<Norm>, // [D]
    before_ffn: Option<Norm>,  // [D]
    ffn: Ffn,
    after_ffn: Option<Norm>, // [D]
    scale: f32,
    parallel: bool,
}

/// A decoder's weights.
pub struct Decoder {
    config: LanguageConfig,
    token_embd: Weight,            // [V, D]
    position_embd: Option<Weight>, // [positions, D]
    layers: Vec<Layer>,
    output_norm: Option<Norm>,   // [D]
    output: Weight,              // [V, D]
    output_bias: Option<Weight>, // [V]
    ropes: Vec<RopeTable>,
}

/// The input of a forward pass.
#[derive(Clone, Copy)]
pub enum Start<'a, 'g> {
    /// Token ids on the GPU, for so many rows.
    Ids(&'a Region, usize),
    /// Hidden states: [T, D].
    Rows(Tensor<'g>),
}

/// The values that a forward pass reads besides weights.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// `[0]` the first token's position, `[1]` how many tokens there are.
    pub state: &'a Region,
    /// The state that the layers keep.
    pub kept: &'a DecoderState,
}

impl Decoder {
    /// Binds the weights.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) and [`Error::Shape`](crate::Error::Shape) if they do not fit the
    /// configuration, [`Error::Unsupported`](crate::Error::Unsupported) for heads that no kernel can take.
    pub fn bind(w: &Weights<'_>, c: &LanguageConfig, gpu: &Rc<Gpu>) -> Result<Self> {
        // Fewer bits hurt embeddings and output most.
        let spared = w.sparing();
        let table = |name: &str| spared.matrix(name, [c.vocab, c.dim]);
        let output =
            if w.has("output.weight") || c.tied == Some(false) { "output.weight" } else { "token_embd.weight" };
        let layer = |(i, layer): (usize, &LayerConfig)| Layer::bind(w, i, c.dim, layer);
        let positions = |rows: usize| spared.matrix("position_embd.weight", [rows, c.dim]);
        Ok(Decoder {
            token_embd: table("token_embd.weight")?,
            position_embd: c.learned_positions.map(positions).transpose()?,
            layers: c.layers.iter().enumerate().map(layer).collect::<Result<_>>()?,
            output_norm: norm(w, "output_norm", c.dim, c.output_norm)?,
            output: table(output)?,
            output_bias: w.biases(c.output_bias, [("output.bias".to_string(), c.vocab)])?,
            ropes: c.ropes.iter().map(|rope| RopeTable::new(gpu, rope)).collect(),
            config: c.clone(),
        })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &LanguageConfig {
        &self.config
    }

    /// Says beyond how many tokens a sequence is a long one, for all of whose positions queries and keys turn another
    /// way.
    pub fn switch_at(&self) -> Option<usize> {
        self.config.ropes.iter().filter_map(|rope| rope.switch_at()).min()
    }

    /// Turns queries and keys from now on as long sequences want it, or short ones. Keys that were made the other way
    /// are wrong then.
    pub fn choose_ropes(&self, long: bool) {
        self.ropes.iter().for_each(|rope| rope.choose(long));
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
        let c = &self.config;
        let bound = |t: usize| (t > 1).then_some(step.state);
        let mut x = match start {
            Start::Ids(ids, t) => g.embed(&self.token_embd, ids, t, c.embedding_scale, bound(t)), // [T, D]
            Start::Rows(rows) => rows,
        };
        if let Some(table) = &self.position_embd {
            x = x.add_positions(table, step.state); // [T, D]
        }
        let at = At { state: step.state, bound: bound(x.rows()[0]), rotations: &self.ropes };
        let mut tapped = Vec::new();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, step.kept.layer(i), at); // [T, D]
            if taps.contains(&i) {
                tapped.push(x);
            }
        }
        (x, tapped)
    }

    /// Computes the logits of every row. `state`: how many rows hold tokens.   [T, D] -> [T, V]
    pub fn logits<'g>(&self, x: Tensor<'g>, state: Option<&Region>) -> Tensor<'g> {
        let (scale, soft_cap) = (self.config.logit_scale, self.config.logit_soft_cap);
        let with = Linear { bias: self.output_bias.as_ref(), scale, soft_cap, state, ..Linear::default() };
        Input::normed(x, self.output_norm.as_ref(), state).linear(&self.output, with) // [T, V]
    }
}

impl Layer {
    fn bind(w: &Weights<'_>, i: usize, dim: usize, c: &LayerConfig) -> Result<Self> {
        let norm = |stem: &str, c| norm(w, &format!("blk.{i}.{stem}"), dim, c);
        Ok(Layer {
            before_mixer: norm("attn_norm", c.norms.before_mixer)?,
            mixer: Mixer::bind(w, i, dim, &c.mixer)?,
            after_mixer: norm("post_attention_norm", c.norms.after_mixer)?,
            before_ffn: norm("ffn_norm", c.norms.before_ffn)?,
            ffn: Ffn::bind(w, i, dim, &c.ffn)?,
            after_ffn: norm("post_ffw_norm", c.norms.after_ffn)?,
            scale: c.residual_scale,
            parallel: c.parallel,
        })
    }

    #[rustfmt::skip] // shapes stand in a column
    fn forward<'g>(&self, x: Tensor<'g>, kept: &LayerState, at: At<'_>) -> Tensor<'g> {
        let read = Input::normed(x, self.before_mixer.as_ref(), at.bound);                      // [T, D]
        let y = self.mixer.run(read.clone(), kept, at).add_to(x, self.scale, self.after_mixer.as_ref()); // [T, D]
        let read = match (&self.before_ffn, self.parallel) {
            (None, true) => read,                                                               // [T, D]
            (norm, parallel) => Input::normed(if parallel { x } else { y }, norm.as_ref(), at.bound), // [T, D]
        };
        self.ffn.run(read, at.bound).add_to(y, self.scale, self.after_ffn.as_ref())             // [T, D]
    }
}
