//! Fusion as a value: what a product reads need not have been computed. A norm of rows, or attention's splits, is
//! dispatched only if nothing can take it in.

use super::layer_norm::LayerNorm;
use super::merge::Splits;
use super::rms_norm::RmsNorm;
use crate::gpu::{Region, Tensor};
use std::cell::Cell;
use std::rc::Rc;

/// A norm of either kind.
#[derive(Clone)]
pub enum Norm {
    /// See [`Tensor::rms_norm`].
    Rms(RmsNorm),
    /// See [`Tensor::layer_norm`].
    Layer(LayerNorm),
}

/// Rows to be normalised, once somebody reads them.
#[derive(Clone)]
pub struct Normed<'a, 'g> {
    /// The rows.
    pub x: Tensor<'g>,
    /// The norm.
    pub norm: &'a Norm,
    state: Option<&'a Region>,
    made: Rc<Cell<Option<Tensor<'g>>>>,
}

/// The input of a product: a tensor, its norm, or attention's splits.
#[derive(Clone)]
pub enum Input<'a, 'g> {
    /// A tensor.
    Plain(Tensor<'g>),
    /// A tensor's norm.
    Normed(Normed<'a, 'g>),
    /// The splits that [`super::Attention::decode`] left.
    Splits(Splits<'g>),
}

impl<'g> Normed<'_, 'g> {
    /// Computes the rows, once however often they are read.
    #[track_caller]
    pub fn tensor(&self) -> Tensor<'g> {
        let make = || match self.norm {
            Norm::Rms(norm) => self.x.rms_norm(norm, self.state),
            Norm::Layer(norm) => self.x.layer_norm_bounded(norm, self.state),
        };
        let made = self.made.get().unwrap_or_else(make);
        self.made.set(Some(made));
        made
    }
}

impl<'a, 'g> Input<'a, 'g> {
    /// Normalises `x`, or leaves it as it is where there is no norm. `state`: see [`super::Attention`].
    pub fn normed(x: Tensor<'g>, norm: Option<&'a Norm>, state: Option<&'a Region>) -> Self {
        match norm {
            Some(norm) => Input::Normed(Normed { x, norm, state, made: Rc::default() }),
            None => Input::Plain(x),
        }
    }

    /// Computes it.
    #[track_caller]
    pub fn tensor(&self) -> Tensor<'g> {
        match self {
            Input::Plain(x) => *x,
            Input::Normed(normed) => normed.tensor(),
            Input::Splits(splits) => splits.merge(),
        }
    }
}
