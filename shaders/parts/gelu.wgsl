/// The error function, to 2e-7 (Abramowitz and Stegun 7.1.26): WGSL has none.
fn erf(x: f32) -> f32 {
    // Past six it is one to the last bit; the square of a large number would overflow.
    let a = min(abs(x), 6.0);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let e = 1.0 - poly * exp(-a * a);
    return select(e, -e, x < 0.0);
}

/// x * Phi(x), the exact form.
fn gelu(x: f32) -> f32 { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }

/// x * Phi(x) of each.
fn gelu4(x: vec4f) -> vec4f { return vec4f(gelu(x.x), gelu(x.y), gelu(x.z), gelu(x.w)); }

/// x / 2 * (1 + tanh(z)) of each, z = sqrt(2 / pi) * (x + 0.044715 x^3); and (1 + tanh(z)) / 2 = 1 / (1 + exp(-2 z)).
fn gelu_tanh4(x: vec4f) -> vec4f {
    return x / (1.0 + exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));
}
