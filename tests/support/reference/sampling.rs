//! Which tokens a sampler may pick, and how often, in f64.

/// How to sample.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Divides logits.
    pub temperature: f32,
    /// The least probability of all that may be picked together.
    pub top_p: f32,
    /// The least probability, relative to the best.
    pub min_p: f32,
    /// How many tokens may be picked.
    pub top_k: usize,
}

/// Probabilities over logits: exact top-k, then top-p among what is left, then min-p relative to the best; equals of the
/// last one allowed are allowed too. `slack` widens (or, negative, narrows) the limits of top-p and min-p by this
/// fraction of the whole.
pub fn distribution(logits: &[f32], s: Settings, slack: f64) -> Vec<f64> {
    let t = f64::from(s.temperature);
    let top = logits.iter().fold(f64::NEG_INFINITY, |m, l| m.max(f64::from(*l)));
    let weights: Vec<f64> = logits.iter().map(|l| ((f64::from(*l) - top) / t).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let p: Vec<f64> = weights.iter().map(|w| w / sum).collect();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));

    let mut least = f32::NEG_INFINITY;
    if s.top_k > 0 && s.top_k < logits.len() {
        least = logits[order[s.top_k - 1]];
    }
    if s.top_p < 1.0 {
        let there: f64 = (0..p.len()).filter(|&i| logits[i] >= least).map(|i| p[i]).sum();
        let wanted = f64::from(s.top_p) * there + slack;
        let mut gathered = 0.0;
        let mut last = order[0];
        for &i in order.iter().filter(|&&i| logits[i] >= least) {
            if gathered >= wanted && gathered > 0.0 {
                break;
            }
            gathered += p[i];
            last = i;
        }
        least = logits[last];
    }
    let allowed = |i: usize| logits[i] >= least && weights[i] >= f64::from(s.min_p) - slack;
    let kept: f64 = (0..p.len()).filter(|&i| allowed(i)).map(|i| p[i]).sum();
    (0..p.len()).map(|i| if allowed(i) { p[i] / kept } else { 0.0 }).collect()
}

/// The number that fewer than one in a thousand fair samples exceed: the chi-square quantile at 0.999 for `n` degrees
/// of freedom, by Wilson and Hilferty (1931).
pub fn chi_square_limit(n: usize) -> f64 {
    let n = n as f64;
    let z = 3.0902;
    n * (1.0 - 2.0 / (9.0 * n) + z * (2.0 / (9.0 * n)).sqrt()).powi(3)
}
