//! A product to be dispatched once it is known what it is added to.

use super::input::{Input, Norm};
use super::linear::Linear;
use crate::gpu::{Tensor, Weight};

/// A product that has not been dispatched: what it is added to, or the norm that it passes, may still be said.
#[derive(Clone)]
pub struct Product<'a, 'g> {
    input: Input<'a, 'g>,
    weight: &'a Weight,
    with: Linear<'a, 'g>,
}

impl<'a, 'g> Input<'a, 'g> {
    /// Multiplies by a weight, later.
    pub fn product(self, weight: &'a Weight, with: Linear<'a, 'g>) -> Product<'a, 'g> {
        Product { input: self, weight, with }
    }
}

impl<'a, 'g> Product<'a, 'g> {
    /// Computes it.
    #[track_caller]
    pub fn tensor(self) -> Tensor<'g> {
        self.input.linear(self.weight, self.with)
    }

    /// Computes it times `scale` plus `residual`. With a norm of its own between, that is a dispatch more.
    #[track_caller]
    pub fn add_to(self, residual: Tensor<'g>, scale: f32, norm: Option<&Norm>) -> Tensor<'g> {
        let state = self.with.state;
        match norm {
            None => self.input.linear(self.weight, Linear { residual: Some(residual), scale, ..self.with }),
            Some(Norm::Rms(norm)) => self.tensor().rms_norm_add(norm, Some((residual, scale)), state),
            Some(Norm::Layer(norm)) => {
                assert!(scale == 1.0, "no layer scales what a LayerNorm gives");
                residual.add_rows(self.tensor().layer_norm_bounded(norm, state))
            }
        }
    }
}
