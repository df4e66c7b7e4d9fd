//! The functions that linear layers and convolutions end with: see `shaders/parts/ends.wgsl`.

/// The function that a layer's result passes last; the numbers are those of `shaders/parts/ends.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Activation {
    /// None.
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
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`
    GeluTanh,
    /// `max(x, 0)^2`
    ReluSquared,
}

/// How the two halves of a weight's rows, [2F, K], become one result, [T, F]; the numbers are those of
/// `shaders/parts/gates.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Gate {
    /// Gates above ups: `silu(gate) * up` (Shazeer 2020: SwiGLU).
    Silu,
    /// Values above gates: `x * gelu(gate)` (Shazeer 2020: GEGLU).
    Geglu,
    /// Gates above ups: `gelu_tanh(gate) * up`.
    GeluTanh,
    /// Gates above ups: `gelu(gate) * up`.
    Gelu,
    /// Gates above ups: `max(gate, 0)^2 * up`.
    ReluSquared,
    /// Gates above ups: `max(gate, 0) * up`.
    Relu,
}

/// All that a layer ends with.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub bias: bool,
    pub residual: bool,
    pub channels: bool,
    pub capped: bool,
    pub gate: Option<Gate>,
    pub activation: Activation,
}

impl Ends {
    /// Encodes it as `shaders/parts/ends.wgsl` does.
    pub fn bits(self) -> u32 {
        u32::from(self.bias)
            | u32::from(self.residual) << 1
            | u32::from(self.channels) << 2
            | self.gate.map_or(0, |gate| 8 | (gate as u32) << 4)
            | u32::from(self.capped) << 7
            | (self.activation as u32) << 8
    }
}
