//! Rotary positions and attention, with every key and value in sight.

use inkstone::ops::HeadGate;

/// The heads of a layer, how they are prepared, and what attention makes of them.
#[derive(Clone, Debug)]
pub struct Heads {
    /// H.
    pub heads: usize,
    /// K.
    pub kv_heads: usize,
    /// Elements of a head of queries or keys.
    pub key_dim: usize,
    /// Elements of a head of values.
    pub value_dim: usize,
    /// The elements of a head that are rotated, the first.
    pub rope_dims: usize,
    /// Whether neighbours are rotated together, not halves.
    pub interleaved: bool,
    /// Radians per position of each pair.
    pub inv_freq: Vec<f64>,
    /// Multiplies what is rotated.
    pub factor: f64,
    /// Of queries and keys.
    pub norm: Option<HeadNorm>,
    /// Epsilon of a norm of each value head.
    pub value_norm: Option<f32>,
    /// The largest size of an element before all else.
    pub clamp: Option<f32>,
    /// Queries at position p are multiplied by `1 + .0 * ln(1 + floor(p / .1))`.
    pub growth: Option<(f32, usize)>,
    /// Multiplies scores.
    pub scale: f32,
    /// Of scores.
    pub soft_cap: Option<f32>,
    /// How many positions a query sees, its own included.
    pub window: Option<usize>,
    /// A score of nothing for each head.
    pub sinks: Option<Vec<f32>>,
    /// What lies behind the values in a row: a number for each head, or for each element.
    pub gate: Option<HeadGate>,
    /// Whether rows have keys and values.
    pub appends: bool,
}

/// RMS norm of queries and keys.
#[derive(Clone, Debug)]
pub struct HeadNorm {
    /// Of queries, then of keys.
    pub weights: Vec<f32>,
    /// Over all heads together, not one by one.
    pub whole_row: bool,
    /// After the rotation, not before it.
    pub after_rope: bool,
    /// Added to the mean of squares.
    pub eps: f32,
}

/// q, k and v of some rows as attention wants them, and the rows' gates: `[T][H][Hk]`, `[T][K][Hk]`, `[T][K][Hv]`, `[T][..]`.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Queries.
    pub q: Vec<Vec<Vec<f64>>>,
    /// Keys.
    pub k: Vec<Vec<Vec<f64>>>,
    /// Values.
    pub v: Vec<Vec<Vec<f64>>>,
    /// Gates.
    pub gates: Vec<Vec<f64>>,
}

fn normed(x: &[f64], w: Option<&[f32]>, eps: f32) -> Vec<f64> {
    let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean + f64::from(eps)).sqrt();
    let weight = |i: usize| w.map_or(1.0, |w| f64::from(w[i]));
    x.iter().enumerate().map(|(i, v)| v * scale * weight(i)).collect()
}

impl Heads {
    /// Elements of a row of q, k, v and gates.
    pub fn width(&self) -> usize {
        let gates = match self.gate {
            None => 0,
            Some(HeadGate::PerHead) => self.heads,
            Some(HeadGate::PerElement) => self.heads * self.value_dim,
        };
        self.heads * self.key_dim + self.kv() * (self.key_dim + self.value_dim) + gates
    }

    fn kv(&self) -> usize {
        if self.appends { self.kv_heads } else { 0 }
    }

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

    /// Queries, or keys, of a row: heads after norm and rotation. `first`: where their norm's weights begin.
    fn ready(&self, x: &[f64], first: usize, pos: usize) -> Vec<Vec<f64>> {
        let rotated = |x: &[f64]| x.chunks_exact(self.key_dim).flat_map(|h| self.rotated(h, pos)).collect::<Vec<_>>();
        let norm = |x: &[f64]| match &self.norm {
            None => x.to_vec(),
            Some(n) if n.whole_row => normed(x, Some(&n.weights[first..first + x.len()]), n.eps),
            Some(n) => {
                let w = &n.weights[first..first + self.key_dim];
                x.chunks_exact(self.key_dim).flat_map(|h| normed(h, Some(w), n.eps)).collect()
            }
        };
        let after = self.norm.as_ref().is_some_and(|n| n.after_rope);
        let y = if after { norm(&rotated(x)) } else { rotated(&norm(x)) };
        y.chunks_exact(self.key_dim).map(<[f64]>::to_vec).collect()
    }

    /// Rows of q, k, v and gates side by side, made ready; the first row is at position `pos`.
    pub fn prepare(&self, rows: &[f32], pos: usize) -> Prepared {
        let mut out = Prepared::default();
        let (q_end, k_size) = (self.heads * self.key_dim, self.kv() * self.key_dim);
        let gates = q_end + k_size + self.kv() * self.value_dim;
        let whole = self.norm.as_ref().is_some_and(|n| n.whole_row);
        for (t, row) in rows.chunks_exact(self.width()).enumerate() {
            let wide: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
            let most = self.clamp.map_or(f64::INFINITY, f64::from);
            let x: Vec<f64> = wide.iter().map(|v| v.clamp(-most, most)).collect();
            let mut q = self.ready(&x[..q_end], 0, pos + t);
            if let Some((by, length)) = self.growth {
                let grown = 1.0 + f64::from(by) * (1.0 + ((pos + t) / length) as f64).ln();
                q.iter_mut().flatten().for_each(|v| *v *= grown);
            }
            out.q.push(q);
            out.gates.push(wide[gates..].to_vec());
            if self.appends {
                out.k.push(self.ready(&x[q_end..q_end + k_size], if whole { q_end } else { self.key_dim }, pos + t));
                let values = x[q_end + k_size..gates].chunks_exact(self.value_dim);
                out.v.push(values.map(|v| self.value_norm.map_or(v.to_vec(), |eps| normed(v, None, eps))).collect());
            }
        }
        out
    }

    /// Causal attention of rows `new` at positions from `pos` on, over all keys and values up to theirs. `[T * H * Hv]`
    pub fn attention(&self, new: &Prepared, pos: usize, k: &[Vec<Vec<f64>>], v: &[Vec<Vec<f64>>]) -> Vec<f64> {
        self.attention_ahead(new, pos, k, v, 0, &|_, _, _| 0.0)
    }

    /// The same, where a row sees up to `ahead` positions behind its own, and with biases `bias(head, query, key)`.
    pub fn attention_ahead(
        &self,
        new: &Prepared,
        pos: usize,
        k: &[Vec<Vec<f64>>],
        v: &[Vec<Vec<f64>>],
        ahead: usize,
        bias: &dyn Fn(usize, usize, usize) -> f64,
    ) -> Vec<f64> {
        let mut y = Vec::new();
        for (t, heads) in new.q.iter().enumerate() {
            let first = self.window.map_or(0, |w| (pos + t + 1).saturating_sub(w));
            let last = (pos + t).saturating_add(ahead).min(k.len() - 1);
            for (h, q) in heads.iter().enumerate() {
                let kv = h / (self.heads / self.kv_heads);
                let score = |s: usize| {
                    let score = q.iter().zip(&k[s][kv]).map(|(a, b)| a * b).sum::<f64>() * f64::from(self.scale)
                        + bias(h, pos + t, s);
                    self.soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
                };
                let mut scores: Vec<f64> = (first..=last).map(score).collect();
                scores.extend(self.sinks.iter().map(|s| f64::from(s[h])));
                let most = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
                let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                let sum: f64 = weights.iter().sum();
                let mut out = vec![0.0; self.value_dim];
                for (w, v) in weights.iter().zip(&v[first..=last]) {
                    for (out, v) in out.iter_mut().zip(&v[kv]) {
                        *out += w / sum * v;
                    }
                }
                for (i, out) in out.iter_mut().enumerate() {
                    let gate = match self.gate {
                        None => continue,
                        Some(HeadGate::PerHead) => new.gates[t][h],
                        Some(HeadGate::PerElement) => new.gates[t][h * self.value_dim + i],
                    };
                    *out /= 1.0 + (-gate).exp();
                }
                y.extend(out);
            }
        }
        y
    }
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
