//! What linear layers and convolutions end with: see `shaders/parts/activation.wgsl`.

/// What a layer ends with; the numbers are those of `shaders/parts/activation.wgsl`.
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
