//! Norms, matrix products, activations.

use inkstone::ops::{Activation, Gate};

/// `x / sqrt(mean(x^2) + eps) * w`, row by row of `w.len()`.
pub fn rms_norm(x: &[f32], w: &[f32], eps: f32) -> Vec<f64> {
    let mut y = Vec::new();
    for row in x.chunks_exact(w.len()) {
        let mut sum = 0.0;
        for v in row {
            sum += f64::from(*v) * f64::from(*v);
        }
        let scale = 1.0 / (sum / row.len() as f64 + f64::from(eps)).sqrt();
        for (v, w) in row.iter().zip(w) {
            y.push(f64::from(*v) * scale * f64::from(*w));
        }
    }
    y
}

/// `x w^T`, for rows of `k`.
pub fn linear(x: &[f64], w: &[f64], k: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for x in x.chunks_exact(k) {
        for w in w.chunks_exact(k) {
            let mut sum = 0.0;
            for i in 0..k {
                sum += x[i] * w[i];
            }
            y.push(sum);
        }
    }
    y
}

/// What a gate makes of the halves of rows of `2 f`.
pub fn gate(x: &[f64], f: usize, kind: Gate) -> Vec<f64> {
    let one = |a: f64, b: f64| match kind {
        Gate::Silu => activate(a, Activation::Silu) * b,
        Gate::Geglu => a * activate(b, Activation::Gelu),
        Gate::GeluTanh => activate(a, Activation::GeluTanh) * b,
        Gate::Gelu => activate(a, Activation::Gelu) * b,
        Gate::ReluSquared => activate(a, Activation::ReluSquared) * b,
        Gate::Relu => activate(a, Activation::Relu) * b,
    };
    x.chunks_exact(2 * f).flat_map(|row| (0..f).map(|i| one(row[i], row[f + i]))).collect()
}

/// `cap * tanh(x / cap)`.
pub fn soft_cap(x: f64, cap: f32) -> f64 {
    f64::from(cap) * (x / f64::from(cap)).tanh()
}

/// The same numbers with more digits.
pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

/// The integral of the normal density up to `x`: the series of Marsaglia (2004) about zero, the continued fraction of
/// Laplace far out, so that no digits cancel in the tail.
fn normal_cdf(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x.abs() < 3.0 {
        let (mut sum, mut term, mut i) = (x, x, 1.0);
        while term.abs() > 1e-18 * sum.abs() {
            i += 2.0;
            term *= x * x / i;
            sum += term;
        }
        return 0.5 + sum * density;
    }
    let tail = density / (1..200).rev().fold(x.abs(), |f, i| x.abs() + f64::from(i) / f);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// What a layer ends with.
pub fn activate(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x * normal_cdf(x),
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Relu => x.max(0.0),
        Activation::GeluTanh => {
            let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            // (1 + tanh(z)) / 2, without cancelling where z is far below zero.
            x / (1.0 + (-2.0 * z).exp())
        }
        Activation::ReluSquared => x.max(0.0).powi(2),
    }
}

/// `(x - mean) / sqrt(variance + eps) * w + b`, row by row of `w.len()`.
pub fn layer_norm(x: &[f32], w: &[f32], b: &[f32], eps: f32) -> Vec<f64> {
    let mut y = Vec::new();
    for row in x.chunks_exact(w.len()) {
        let row = wide(row);
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / row.len() as f64;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        y.extend(row.iter().zip(w).zip(b).map(|((v, w), b)| (v - mean) * scale * f64::from(*w) + f64::from(*b)));
    }
    y
}

/// `c * (conv(b * u) + bias)` of rows of b, c and u side by side, the first at position 0; a channel's weights begin with that of
/// the oldest position.
pub fn short_conv(x: &[f32], w: &[f32], bias: &[f32], width: usize) -> Vec<f64> {
    let dim = bias.len();
    let rows: Vec<Vec<f64>> = x.chunks_exact(3 * dim).map(wide).collect();
    let mut y = Vec::new();
    for t in 0..rows.len() {
        for i in 0..dim {
            let mut sum = f64::from(bias[i]);
            for back in 0..width.min(t + 1) {
                let product = rows[t - back][i] * rows[t - back][2 * dim + i];
                sum += product * f64::from(w[i * width + width - 1 - back]);
            }
            y.push(rows[t][dim + i] * sum);
        }
    }
    y
}
