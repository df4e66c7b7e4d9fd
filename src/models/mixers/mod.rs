//! Mixers: how positions learn of each other. Each kind is a file; to add one (a gated delta net, Mamba-2), add a
//! variant here, to `MixerConfig`, and to `LayerState` if it keeps something new.

mod at;
mod attention;
mod short_conv;

use super::state::LayerState;
use crate::Result;
use crate::config::language::MixerConfig;
use crate::load::Weights;
use crate::ops::{Input, Product};
pub(super) use at::{At, PackedRows, RopeTable};
use attention::AttentionMixer;
use short_conv::ShortConvMixer;

/// A mixer of one layer.
pub(super) enum Mixer {
    Attention(Box<AttentionMixer>),
    ShortConv(ShortConvMixer),
}

impl Mixer {
    /// Binds the mixer of layer `i`.
    ///
    /// # Errors
    /// What is wrong with the weights, and [`Error::Unsupported`](crate::Error::Unsupported) for sizes that no kernel
    /// takes.
    pub fn bind(w: &Weights<'_>, i: usize, dim: usize, c: &MixerConfig) -> Result<Self> {
        Ok(match c {
            MixerConfig::Attention(c) => Mixer::Attention(Box::new(AttentionMixer::bind(w, i, dim, c)?)),
            MixerConfig::ShortConv(c) => Mixer::ShortConv(ShortConvMixer::bind(w, i, dim, c)?),
        })
    }

    /// Runs it; what it is added to is for the layer to say.   [T, D] -> [T, D]
    pub fn run<'a, 'g>(&'a self, x: Input<'_, 'g>, kept: &'a LayerState, at: At<'a>) -> Product<'a, 'g> {
        match (self, kept) {
            (Mixer::Attention(mixer), LayerState::Kv(kv)) => mixer.run(x, kv, at),
            (Mixer::ShortConv(mixer), LayerState::Rows { ring, capacity }) => mixer.run(x, ring, *capacity, at),
            _ => panic!("a layer's state is not its mixer's"),
        }
    }
}
