//! A gated convolution over the latest positions.

use super::at::At;
use crate::Result;
use crate::config::language::ShortConvConfig;
use crate::gpu::{Region, Weight};
use crate::load::Weights;
use crate::ops::{Input, Linear, Product, ShortConv};

/// Weights of one short convolution.
pub struct ShortConvMixer {
    width: usize,
    in_proj: Weight,               // [3D, D]
    in_proj_bias: Option<Weight>,  // [3D]
    conv: Weight,                  // [D * width]
    conv_bias: Option<Weight>,     // [D]
    out_proj: Weight,              // [D, D]
    out_proj_bias: Option<Weight>, // [D]
}

impl ShortConvMixer {
    /// Binds the convolution of layer `i`.
    pub fn bind(w: &Weights<'_>, i: usize, dim: usize, c: &ShortConvConfig) -> Result<Self> {
        let n = |part: &str, what: &str| format!("blk.{i}.shortconv.{part}.{what}");
        Ok(ShortConvMixer {
            width: c.width,
            in_proj: w.matrix(&n("in_proj", "weight"), [3 * dim, dim])?,
            in_proj_bias: w.biases(c.bias, [(n("in_proj", "bias"), 3 * dim)])?,
            conv: w.flat(&n("conv", "weight"), [dim, c.width])?,
            conv_bias: w.biases(c.bias, [(n("conv", "bias"), dim)])?,
            out_proj: w.matrix(&n("out_proj", "weight"), [dim, dim])?,
            out_proj_bias: w.biases(c.bias, [(n("out_proj", "bias"), dim)])?,
        })
    }

    /// Projects, convolves, projects.   [T, D] -> [T, D]
    pub fn run<'a, 'g>(&'a self, x: Input<'_, 'g>, ring: &'a Region, capacity: usize, at: At<'a>) -> Product<'a, 'g> {
        let ShortConvMixer { width, conv: weight, conv_bias, .. } = self;
        let (bias, state) = (self.in_proj_bias.as_ref(), at.bound);
        let x = x.linear(&self.in_proj, Linear { bias, state, ..Linear::default() }); // [T, 3D]
        let conv = ShortConv { weight, bias: conv_bias.as_ref(), width: *width, ring, capacity, state: at.state };
        let y = x.short_conv(&conv); // [T, D]
        let bias = self.out_proj_bias.as_ref();
        Input::Plain(y).product(&self.out_proj, Linear { bias, state, ..Linear::default() }) // [T, D]
    }
}
