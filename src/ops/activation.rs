//! What linear layers and convolutions end with: see `shaders/parts/ends.wgsl`.

/// What a layer ends with; the numbers are those of `shaders/parts/ends.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `x * sigmoid(x)`
    Silu,
    /// `x * Phi(x)`, the exact form.
    Gelu,
    /// `x * sigmoid(1.702 x)`
    QuickGelu,
    /// `max(x, 0)`
    Relu,
}

/// What becomes of the two halves of a weight's rows, [2F, K]: the result is [T, F].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Gates above ups: `silu(gate) * up` (Shazeer 2020: SwiGLU).
    Silu,
    /// Values above gates: `x * gelu(gate)` (Shazeer 2020: GEGLU).
    Geglu,
}

/// All that a layer ends with.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub bias: bool,
    pub residual: bool,
    pub channels: bool,
    pub gate: Option<Gate>,
    pub activation: Activation,
}

impl Ends {
    /// As `shaders/parts/ends.wgsl` numbers it.
    pub fn bits(self) -> u32 {
        let gate = match self.gate {
            None => 0,
            Some(Gate::Silu) => 8,
            Some(Gate::Geglu) => 8 + 16,
        };
        u32::from(self.bias)
            | u32::from(self.residual) << 1
            | u32::from(self.channels) << 2
            | gate
            | (self.activation as u32) << 8
    }
}
