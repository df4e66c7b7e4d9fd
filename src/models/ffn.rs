//! Feed-forward networks: what each position goes through by itself.

use crate::Result;
use crate::config::language::{FfnActivation, FfnConfig};
use crate::gpu::{Region, Weight};
use crate::load::Weights;
use crate::ops::{Activation, Gate, Input, Linear, Product};

/// A feed-forward network: `down(act(gate(x)) * up(x))`, or without a gate `down(act(up(x)))`.
pub(super) struct Ffn {
    up: Weight,                // [2F, D]: gates above ups; or [F, D]
    up_bias: Option<Weight>,   // as many
    down: Weight,              // [D, F]
    down_bias: Option<Weight>, // [D]
    gate: Option<Gate>,
    activation: Activation,
}

impl Ffn {
    /// Binds the network of layer `i`.
    pub fn bind(w: &Weights<'_>, i: usize, dim: usize, c: &FfnConfig) -> Result<Self> {
        let f = c.dim;
        let n = |stem: &str, what: &str| format!("blk.{i}.{stem}.{what}");
        let ups_first = w.has(&n("ffn_up_gate", "weight"));
        let parts: Vec<(&str, usize)> = match c.gated {
            true if w.has(&n("ffn_gate_up", "weight")) => vec![("ffn_gate_up", 2 * f)],
            true if ups_first => vec![("ffn_up_gate", 2 * f)],
            true => vec![("ffn_gate", f), ("ffn_up", f)],
            false => vec![("ffn_up", f)],
        };
        let (gate, activation) = match (c.gated, c.activation) {
            (true, FfnActivation::Silu) => (Some(Gate::Silu), Activation::None),
            (true, FfnActivation::Gelu) if ups_first => (Some(Gate::Geglu), Activation::None),
            (true, FfnActivation::Gelu) => (Some(Gate::Gelu), Activation::None),
            (true, FfnActivation::GeluTanh) => (Some(Gate::GeluTanh), Activation::None),
            (true, FfnActivation::ReluSquared) => (Some(Gate::ReluSquared), Activation::None),
            (true, FfnActivation::Relu) => (Some(Gate::Relu), Activation::None),
            (false, FfnActivation::Silu) => (None, Activation::Silu),
            (false, FfnActivation::Gelu) => (None, Activation::Gelu),
            (false, FfnActivation::GeluTanh) => (None, Activation::GeluTanh),
            (false, FfnActivation::ReluSquared) => (None, Activation::ReluSquared),
            (false, FfnActivation::Relu) => (None, Activation::Relu),
        };
        Ok(Ffn {
            up: w.named_stack(parts.iter().map(|(stem, rows)| (n(stem, "weight"), *rows)), dim)?,
            up_bias: w.biases(c.bias, parts.iter().map(|(stem, rows)| (n(stem, "bias"), *rows)))?,
            down: w.matrix(&n("ffn_down", "weight"), [dim, f])?,
            down_bias: w.biases(c.down_bias, [(n("ffn_down", "bias"), dim)])?,
            gate,
            activation,
        })
    }

    /// Runs it; what it is added to is for the layer to say.   [T, D] -> [T, D]
    pub fn run<'a, 'g>(&'a self, x: Input<'_, 'g>, state: Option<&'a Region>) -> Product<'a, 'g> {
        let Ffn { gate, activation, .. } = *self;
        let bias = self.up_bias.as_ref();
        let h = x.linear(&self.up, Linear { bias, gate, activation, state, ..Linear::default() }); // [T, F]
        let bias = self.down_bias.as_ref();
        Input::Plain(h).product(&self.down, Linear { bias, state, ..Linear::default() }) // [T, D]
    }
}
