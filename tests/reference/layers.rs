//! Norms, matrix products, activations.

use inkstone::ops::Activation;

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

/// `silu(x[.., ..f]) * x[.., f..]` for rows of `2 f`.
pub fn silu_mul(x: &[f64], f: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for row in x.chunks_exact(2 * f) {
        for i in 0..f {
            y.push(row[i] / (1.0 + (-row[i]).exp()) * row[f + i]);
        }
    }
    y
}

/// The same numbers with more digits.
pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

/// The integral of the normal density up to `x`: the series of Marsaglia (2004) about zero, the continued fraction of
/// Laplace far out, so that no digits cancel in the tail.
pub fn normal_cdf(x: f64) -> f64 {
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
    }
}

/// `x[.., ..f] * gelu(x[.., f..])` for rows of `2 f`.
pub fn geglu(x: &[f64], f: usize) -> Vec<f64> {
    let gelu = |v: f64| activate(v, Activation::Gelu);
    x.chunks_exact(2 * f).flat_map(|row| (0..f).map(|i| row[i] * gelu(row[f + i]))).collect()
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
