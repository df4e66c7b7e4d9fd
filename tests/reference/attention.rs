//! Rotary positions and attention, with every key and value in sight.

/// The heads of a layer and how they are prepared.
#[derive(Clone, Debug)]
pub struct Heads {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub rope_dims: usize,
    pub interleaved: bool,
    /// Radians per position of each pair.
    pub inv_freq: Vec<f64>,
    pub factor: f64,
    /// Weights for q and k, and eps.
    pub head_norm: Option<(Vec<f32>, Vec<f32>, f32)>,
}

/// q, k and v of some rows after norm and rotation: `[T][H][Hd]`, `[T][K][Hd]`, `[T][K][Hd]`.
pub struct Prepared {
    pub q: Vec<Vec<Vec<f64>>>,
    pub k: Vec<Vec<Vec<f64>>>,
    pub v: Vec<Vec<Vec<f64>>>,
}

fn normed(x: &[f64], w: &[f32], eps: f32) -> Vec<f64> {
    let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean + f64::from(eps)).sqrt();
    x.iter().zip(w).map(|(v, w)| v * scale * f64::from(*w)).collect()
}

impl Heads {
    /// A head's vector, rotated to a position (Su et al. 2021).
    pub fn rotated(&self, x: &[f64], pos: usize) -> Vec<f64> {
        let mut y = x.to_vec();
        let half = self.rope_dims / 2;
        for i in 0..half {
            let (a, b) = if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
            let angle = pos as f64 * self.inv_freq[i];
            let (sin, cos) = (angle.sin() * self.factor, angle.cos() * self.factor);
            y[a] = x[a] * cos - x[b] * sin;
            y[b] = x[b] * cos + x[a] * sin;
        }
        y
    }

    /// Rows of q, k and v side by side, made ready; the first row is at position `pos`.
    pub fn prepare(&self, rows: &[f32], pos: usize) -> Prepared {
        let hd = self.head_dim;
        let mut out = Prepared { q: Vec::new(), k: Vec::new(), v: Vec::new() };
        for (t, row) in rows.chunks_exact((self.heads + 2 * self.kv_heads) * hd).enumerate() {
            let head = |h: usize| row[h * hd..(h + 1) * hd].iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
            let ready = |h: usize, is_q: bool| {
                let x = match &self.head_norm {
                    Some((q, k, eps)) => normed(&head(h), if is_q { q } else { k }, *eps),
                    None => head(h),
                };
                self.rotated(&x, pos + t)
            };
            out.q.push((0..self.heads).map(|h| ready(h, true)).collect());
            out.k.push((0..self.kv_heads).map(|h| ready(self.heads + h, false)).collect());
            out.v.push((0..self.kv_heads).map(|h| head(self.heads + self.kv_heads + h)).collect());
        }
        out
    }
}

/// Causal attention of rows `q` at positions from `pos` on, over all keys and values up to theirs. `[T * H * Hd]`
pub fn attention(
    q: &[Vec<Vec<f64>>],
    pos: usize,
    k: &[Vec<Vec<f64>>],
    v: &[Vec<Vec<f64>>],
    window: Option<usize>,
) -> Vec<f64> {
    let mut y = Vec::new();
    for (t, heads) in q.iter().enumerate() {
        let last = pos + t;
        let first = window.map_or(0, |w| (last + 1).saturating_sub(w));
        for (h, q) in heads.iter().enumerate() {
            let kv = h / (heads.len() / k[0].len());
            let score = |s: usize| q.iter().zip(&k[s][kv]).map(|(a, b)| a * b).sum::<f64>() / (q.len() as f64).sqrt();
            let scores: Vec<f64> = (first..=last).map(score).collect();
            let most = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let mut out = vec![0.0; q.len()];
            for (i, w) in weights.iter().enumerate() {
                for (out, v) in out.iter_mut().zip(&v[first + i][kv]) {
                    *out += w / sum * v;
                }
            }
            y.extend(out);
        }
    }
    y
}

/// Columns of rows: the values, how many there are in a row, the first that counts.
pub type Columns<'a> = (&'a [f32], usize, usize);

/// `softmax(q k^T / sqrt(Hd)) v` of `n` sequences that do not see each other. `[N * T * H * Hd]`
pub fn attend(
    n: usize,
    [heads, hd]: [usize; 2],
    q: Columns<'_>,
    k: Columns<'_>,
    v: Columns<'_>,
    causal: bool,
) -> Vec<f64> {
    let head = |(values, width, first): Columns<'_>, row: usize, h: usize| -> Vec<f64> {
        let at = row * width + first + h * hd;
        values[at..at + hd].iter().map(|v| f64::from(*v)).collect()
    };
    let (t, s) = (q.0.len() / q.1 / n, k.0.len() / k.1 / n);
    let mut y = vec![0.0; n * t * heads * hd];
    for (i, h) in (0..n).flat_map(|i| (0..heads).map(move |h| (i, h))) {
        let keys: Vec<_> = (0..s).map(|row| head(k, i * s + row, h)).collect();
        let values: Vec<_> = (0..s).map(|row| head(v, i * s + row, h)).collect();
        for row in 0..t {
            let query = head(q, i * t + row, h);
            let end = if causal { s.min(row + 1) } else { s };
            let dot = |key: &Vec<f64>| query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() / (hd as f64).sqrt();
            let scores: Vec<f64> = keys[..end].iter().map(dot).collect();
            let most = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let out = &mut y[((i * t + row) * heads + h) * hd..][..hd];
            for (w, value) in weights.iter().zip(&values) {
                out.iter_mut().zip(value).for_each(|(out, v)| *out += w / sum * v);
            }
        }
    }
    y
}
