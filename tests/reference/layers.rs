//! Norms, matrix products, activations.

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
