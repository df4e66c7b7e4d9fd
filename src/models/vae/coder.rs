//! Half of an autoencoder as a list of layers: its runner chooses which results stay in memory.
//! Letters: N pictures, C channels, H and W pixels, h and w latents.

use crate::load::Weights;
use crate::models::layers::{Convolution, SAME, group_norm};
use crate::ops::{Activation, Conv, GroupNorm, Map};
use crate::{Error, Result};

/// The shape of a convolution, and its activation.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Taps in a row.
    pub side: usize,
    /// Rows and columns from one output pixel to the next.
    pub stride: usize,
    /// Zeros around the input: before its first and after its last row and column.
    pub pad: [usize; 2],
    /// The input is first enlarged to twice its height and width, nearest pixel.
    pub enlarge: bool,
    /// Applied to the result.
    pub activation: Activation,
    /// Whether a bias is added to every pixel.
    pub bias: bool,
}

impl Filter {
    /// Three taps in a row, as many pixels as before.
    pub(super) const SAME: Filter =
        Filter { side: 3, stride: 1, pad: SAME, enlarge: false, activation: Activation::None, bias: true };
    /// Three taps in a row of twice as many rows and columns.
    pub(super) const ENLARGE: Filter = Filter { enlarge: true, ..Filter::SAME };
    /// Every pixel by itself.
    pub(super) const POINT: Filter = Filter { side: 1, pad: [0, 0], ..Filter::SAME };

    pub(super) fn unbiased(self) -> Filter {
        Filter { bias: false, ..self }
    }
}

/// The operation of a layer.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// None: the result is the picture or the latents that are given.
    Input,
    /// `y = x * scale + shift`, softly limited.
    Rescale {
        /// Factor of the input.
        scale: f32,
        /// Added to the scaled input.
        shift: f32,
        /// If there is one, the result is `limit * tanh(y / limit)`.
        limit: Option<f32>,
    },
    /// A convolution.
    Conv(Filter),
    /// Attention of one head, queries being what it reads.
    Attend {
        /// The layer that makes the keys.
        keys: usize,
        /// The layer that makes the values.
        values: usize,
    },
}

/// How a layer's input is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputNorm {
    /// It is not.
    None,
    /// By groups of channels.
    Groups,
    /// By groups of channels, then through SiLU.
    GroupsThenSilu,
}

/// A layer of a [`Coder`].
#[derive(Clone, Debug)]
pub struct CoderLayer {
    /// The number of the layer whose result it reads.
    pub from: usize,
    /// How it reads that.
    pub norm: InputNorm,
    /// Its operation.
    pub work: Work,
    /// The number of the layer whose result is added, before the activation.
    pub add: Option<usize>,
    /// C of its result.
    pub channels: usize,
    /// Its weights' name.
    pub(super) name: String,
    /// Its norm's name.
    pub(super) norm_name: String,
}

impl CoderLayer {
    /// Says whether its input is normalised.
    pub fn is_normed(&self) -> bool {
        self.norm != InputNorm::None
    }

    /// Lists the layers whose results it reads.
    pub fn inputs(&self) -> impl Iterator<Item = usize> {
        let [keys, values] = match self.work {
            Work::Attend { keys, values } => [Some(keys), Some(values)],
            _ => [None, None],
        };
        let from = if matches!(self.work, Work::Input) { None } else { Some(self.from) };
        [from, self.add, keys, values].into_iter().flatten()
    }

    /// Computes height and width of its result from those of its input; `None` if that is too small.
    pub fn size(&self, [h, w]: [usize; 2]) -> Option<[usize; 2]> {
        let Work::Conv(f) = self.work else { return Some([h, w]) };
        let up = if f.enlarge { 2 } else { 1 };
        let extent = |n: usize| Some((n * up + f.pad[0] + f.pad[1]).checked_sub(f.side)? / f.stride + 1);
        Some([extent(h)?, extent(w)?])
    }
}

/// Half of an autoencoder without its weights.
#[derive(Clone, Debug)]
pub struct CoderLayers {
    /// Each reads only results before its own; the first is the input, the last the result.
    pub list: Vec<CoderLayer>,
    /// Groups of channels of every group norm.
    pub groups: usize,
}

/// Half of an autoencoder.
pub struct Coder {
    /// Its layers.
    pub layers: CoderLayers,
    /// The norm and the convolution of each layer.
    weights: Vec<(Option<GroupNorm>, Option<Convolution>)>,
}

impl Coder {
    /// Binds every layer's weights.
    pub(super) fn bind(w: &Weights<'_>, layers: CoderLayers) -> Result<Self> {
        let weights = layers.list.iter().map(|layer| {
            let input = layers.list[layer.from].channels;
            let norm = || group_norm(w, &layer.norm_name, input, layers.groups, 1e-6);
            let conv = match layer.work {
                Work::Conv(f) => Some(Convolution::bind(w, &layer.name, [layer.channels, input], f.side, f.bias)?),
                Work::Attend { .. } if !layer.channels.is_multiple_of(4) => {
                    let what = format!("the autoencoder attends with {} channels; a multiple of 4 is", layer.channels);
                    return Err(Error::unsupported(what));
                }
                _ => None,
            };
            Ok((layer.is_normed().then(norm).transpose()?, conv))
        });
        Ok(Coder { weights: weights.collect::<Result<_>>()?, layers })
    }

    /// Returns the group norm of a layer's input.
    ///
    /// # Panics
    /// If it has none.
    pub fn norm(&self, layer: usize) -> &GroupNorm {
        self.weights[layer].0.as_ref().expect("a layer that reads what is normalised has a norm")
    }

    /// Records a layer's convolution of `x`.
    ///
    /// # Panics
    /// If it has none.
    #[track_caller]
    pub fn conv<'g>(&self, layer: usize, x: Map<'g>, with: Conv<'_, 'g>) -> Map<'g> {
        let (Work::Conv(f), Some(conv)) = (self.layers.list[layer].work, &self.weights[layer].1) else {
            panic!("layer {layer} is not a convolution");
        };
        let enlarged = f.enlarge.then_some([2 * x.rows.height, 2 * x.w]);
        conv.of(x, Conv { stride: f.stride, pad: f.pad, enlarged, activation: f.activation, ..with })
    }
}
