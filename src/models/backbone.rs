//! A backbone: token ids (or rows of hidden states) through a list of layers to hidden states. Which layers is said by
//! [`LanguageConfig`]; nothing here knows an architecture. What is made of the hidden states is for `decoder.rs` and
//! `encoder.rs` to say.
//!
//! Letters: T rows in this call, D `dim`, F `ffn_dim`, V `vocab`.

use super::ffn::Ffn;
use super::mixers::{At, Mixer, PackedRows, RopeTable};
use super::norms::norm;
use super::state::LayerState;
use crate::Result;
use crate::config::language::{LanguageConfig, LayerConfig, MixerConfig};
use crate::gpu::{Gpu, Graph, Region, Tensor, Weight};
use crate::load::Weights;
use crate::ops::{Input, Norm};
use std::rc::Rc;

/// One layer: norms, mixer, feed-forward network.
struct Layer {
    before_mixer: Option<Norm>, // [D]
    mixer: Mixer,
    after_mixer: Option<Norm>, // [D]
    mixer_sum: Option<Norm>,   // [D]
    before_ffn: Option<Norm>,  // [D]
    ffn: Ffn,
    after_ffn: Option<Norm>, // [D]
    ffn_sum: Option<Norm>,   // [D]
    scale: f32,
    parallel: bool,
}

/// The weights of everything before the last hidden states.
pub(super) struct Backbone {
    pub config: LanguageConfig,
    token_embd: Weight,            // [V, D]
    position_embd: Option<Weight>, // [positions, D]
    token_types: Option<Weight>,   // [types, D]
    embedding_norm: Option<Norm>,  // [D]
    layers: Vec<Layer>,
    pub output_norm: Option<Norm>, // [D]
    relative_bias: Option<Weight>, // [buckets * H]
    pub ropes: Vec<RopeTable>,
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
    /// The state that each layer keeps.
    pub kept: &'a [LayerState],
    /// Rows are whole sequences, one after the other; otherwise those that follow what the layers keep.
    pub packed: Option<Sequences<'a>>,
}

/// Whole sequences, one after the other: see [`crate::ops::Packed`].
#[derive(Clone, Copy)]
pub struct Sequences<'a> {
    /// The row of the table of learned positions of each row.
    pub positions: &'a Region,
    /// The kind of each row's token.
    pub types: &'a Region,
    /// The word of the step's state from which on it stands which bucket a distance is in.
    pub buckets: usize,
}

impl Backbone {
    /// Binds the weights.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) and [`Error::Shape`](crate::Error::Shape) if they do not fit the
    /// configuration, [`Error::Unsupported`](crate::Error::Unsupported) for heads that no kernel can take.
    pub fn bind(w: &Weights<'_>, c: &LanguageConfig, gpu: &Rc<Gpu>) -> Result<Self> {
        // Fewer bits hurt embeddings most.
        let spared = w.sparing();
        let table = |name: &str, rows: usize| spared.matrix(name, [rows, c.dim]);
        let layer = |(i, layer): (usize, &LayerConfig)| Layer::bind(w, i, c.dim, layer);
        Ok(Backbone {
            token_embd: table("token_embd.weight", c.vocab)?,
            position_embd: c.learned_positions.map(|rows| table("position_embd.weight", rows)).transpose()?,
            token_types: c.token_types.map(|rows| table("token_types.weight", rows)).transpose()?,
            embedding_norm: norm(w, "token_embd_norm", c.dim, c.embedding_norm)?,
            layers: c.layers.iter().enumerate().map(layer).collect::<Result<_>>()?,
            output_norm: norm(w, "output_norm", c.dim, c.output_norm)?,
            relative_bias: relative_bias(w, c)?,
            ropes: c.ropes.iter().map(|rope| RopeTable::new(gpu, rope)).collect(),
            config: c.clone(),
        })
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
        let bound = |t: usize| (t > 1).then_some(step.state);
        let mut x = match start {
            Start::Ids(ids, t) => self.embed(g, ids, t, step), // [T, D]
            Start::Rows(rows) => rows,
        };
        let relative = self.relative_bias.as_ref();
        let at = At {
            state: step.state,
            bound: bound(x.rows()[0]),
            rotations: &self.ropes,
            packed: step.packed.map(|rows| PackedRows { relative, buckets: rows.buckets }),
        };
        let mut tapped = Vec::new();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &step.kept[i], at); // [T, D]
            if taps.contains(&i) {
                tapped.push(x);
            }
        }
        (x, tapped)
    }

    /// Adds up the embeddings of tokens, positions and kinds of tokens.   -> [T, D]
    fn embed<'g>(&self, g: &'g Graph, ids: &Region, t: usize, step: &Step<'_>) -> Tensor<'g> {
        let bound = (t > 1).then_some(step.state);
        let mut x = g.embed(&self.token_embd, ids, t, self.config.embedding_scale, bound); // [T, D]
        if let Some(table) = &self.position_embd {
            x = match step.packed {
                Some(rows) => x.add_embedded(table, rows.positions, bound), // [T, D]
                None => x.add_positions(table, step.state),                 // [T, D]
            };
        }
        if let Some((table, rows)) = self.token_types.as_ref().zip(step.packed) {
            x = x.add_embedded(table, rows.types, bound); // [T, D]
        }
        Input::normed(x, self.embedding_norm.as_ref(), bound).tensor() // [T, D]
    }
}

/// Binds the matrix that makes logits: the embedding table, or one of its own.   [V, D]
pub(super) fn output(w: &Weights<'_>, c: &LanguageConfig) -> Result<Weight> {
    let own = c.tied != Some(true) && w.has("output.weight") || c.tied == Some(false);
    w.sparing().matrix(if own { "output.weight" } else { "token_embd.weight" }, [c.vocab, c.dim])
}

/// Binds the biases of scores, which some files keep with the first layer's weights.
fn relative_bias(w: &Weights<'_>, c: &LanguageConfig) -> Result<Option<Weight>> {
    let relative = c.layers.iter().find_map(|layer| match &layer.mixer {
        MixerConfig::Attention(a) => a.relative_bias.map(|r| [r.buckets, a.heads]),
        MixerConfig::ShortConv(_) => None,
    });
    let Some(shape) = relative else { return Ok(None) };
    let names = ["attn_rel_b.weight", "blk.0.attn_rel_b.weight"];
    let name = names.into_iter().find(|name| w.has(name)).unwrap_or(names[0]);
    w.flat(name, shape).map(Some)
}

impl Layer {
    fn bind(w: &Weights<'_>, i: usize, dim: usize, c: &LayerConfig) -> Result<Self> {
        let norm = |stem: &str, c| norm(w, &format!("blk.{i}.{stem}"), dim, c);
        Ok(Layer {
            before_mixer: norm("attn_norm", c.norms.before_mixer)?,
            mixer: Mixer::bind(w, i, dim, &c.mixer)?,
            after_mixer: norm("post_attention_norm", c.norms.after_mixer)?,
            mixer_sum: norm("attn_output_norm", c.norms.mixer_sum)?,
            before_ffn: norm("ffn_norm", c.norms.before_ffn)?,
            ffn: Ffn::bind(w, i, dim, &c.ffn)?,
            after_ffn: norm("post_ffw_norm", c.norms.after_ffn)?,
            ffn_sum: norm("layer_output_norm", c.norms.ffn_sum)?,
            scale: c.residual_scale,
            parallel: c.parallel,
        })
    }

    #[rustfmt::skip] // shapes stand in a column
    fn forward<'g>(&self, x: Tensor<'g>, kept: &LayerState, at: At<'_>) -> Tensor<'g> {
        let read = Input::normed(x, self.before_mixer.as_ref(), at.bound);                      // [T, D]
        let y = self.mixer.run(read.clone(), kept, at).add_to(x, self.scale, self.after_mixer.as_ref()); // [T, D]
        let y = Input::normed(y, self.mixer_sum.as_ref(), at.bound).tensor();                   // [T, D]
        let read = match (&self.before_ffn, self.parallel) {
            (None, true) => read,                                                               // [T, D]
            (norm, parallel) => Input::normed(if parallel { x } else { y }, norm.as_ref(), at.bound), // [T, D]
        };
        let z = self.ffn.run(read, at.bound).add_to(y, self.scale, self.after_ffn.as_ref());    // [T, D]
        Input::normed(z, self.ffn_sum.as_ref(), at.bound).tensor()                              // [T, D]
    }
}
