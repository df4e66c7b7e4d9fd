// Soft caps. The built-in tanh may be off by 2^-11; near zero the fraction would cancel.

/// cap * tanh(x / cap) of each.
fn soft_cap4(x: vec4f, cap: f32) -> vec4f {
    let z = x / cap;
    let z2 = z * z;
    let near = z * (1.0 + z2 * (-0.33333333 + z2 * (0.13333333 - z2 * 0.05396825)));
    // Past ten it is one to the last bit; the exponential of more would overflow.
    let far = 1.0 - 2.0 / (exp(2.0 * min(abs(z), vec4f(10.0))) + 1.0);
    return cap * select(far * sign(z), near, abs(z) < vec4f(0.2));
}
