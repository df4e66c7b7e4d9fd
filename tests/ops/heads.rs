//! What the tests of rope_append and attention share: layers of made-up heads, their caches, and rows of q, k and v.

use crate::gpu::{activation, download, state, upload, vector};
use crate::reference::attention::{Heads, Prepared};
use crate::reference::weights::Numbers;
use crate::tolerance::Tolerance;
use half::f16;
use inkstone::gpu::{Gpu, Region, Weight};
use inkstone::ops::{Attention, KvLayer, Rope, turns};
use std::rc::Rc;

/// What a cache holds before anything was appended: a value that no test computes.
pub const EMPTY: f32 = 30720.0;

/// Heads with the usual frequencies.
pub fn heads(h: usize, k: usize, head_dim: usize, base: f64) -> Heads {
    let dims = head_dim;
    Heads {
        heads: h,
        kv_heads: k,
        head_dim,
        rope_dims: dims,
        interleaved: false,
        inv_freq: inv_freq(dims, base),
        factor: 1.0,
        head_norm: None,
    }
}

/// Radians per position, as any configuration's table has them: f32.
pub fn inv_freq(dims: usize, base: f64) -> Vec<f64> {
    (0..dims / 2).map(|i| f64::from(base.powf(-2.0 * i as f64 / dims as f64) as f32)).collect()
}

/// The same heads, of which only some dimensions rotate.
pub fn partial(mut heads: Heads, dims: usize, base: f64) -> Heads {
    heads.rope_dims = dims;
    heads.inv_freq = inv_freq(dims, base);
    heads
}

/// The same heads with a norm before the rotation.
pub fn with_norm(mut heads: Heads, numbers: &mut Numbers) -> Heads {
    heads.head_norm = Some((numbers.floats(heads.head_dim), numbers.floats(heads.head_dim), 1e-6));
    heads
}

/// A layer on the GPU: what an [`Attention`] borrows.
pub struct Layer {
    heads: Heads,
    frequencies: Region,
    norm: Option<(Weight, Weight, f32)>,
    pub kv: KvLayer,
    pub state: Region,
    window: Option<usize>,
}

impl Layer {
    /// A layer whose cache of `capacity` positions is [`EMPTY`]; `n` rows with tokens start at `pos`.
    /// Every third sum of `pos` and `capacity` has a cache of f32, the others one of f16.
    pub fn new(gpu: &Rc<Gpu>, heads: &Heads, capacity: usize, window: Option<usize>, pos: usize, n: usize) -> Layer {
        let exact = (pos + capacity).is_multiple_of(3);
        let empty = bytes(&vec![EMPTY.into(); heads.kv_heads * capacity * heads.head_dim], exact);
        let words: Vec<u32> = heads.inv_freq.iter().map(|f| turns(*f as f32)).collect();
        let norm = heads.head_norm.as_ref().map(|(q, k, eps)| (vector(gpu, q), vector(gpu, k), *eps));
        Layer {
            heads: heads.clone(),
            frequencies: upload(gpu, &words),
            norm,
            kv: KvLayer { k: upload(gpu, &empty), v: upload(gpu, &empty), capacity, exact },
            state: state(gpu, pos, n),
            window,
        }
    }

    pub fn rope(&self) -> Rope<'_> {
        let h = &self.heads;
        Rope {
            heads: h.heads,
            kv_heads: h.kv_heads,
            head_dim: h.head_dim,
            dims: h.rope_dims,
            interleaved: h.interleaved,
            frequencies: &self.frequencies,
            factor: h.factor as f32,
            head_norm: self.norm.as_ref().map(|(q, k, eps)| (q, k, *eps)),
            state: &self.state,
        }
    }

    pub fn attention(&self) -> Attention<'_> {
        Attention { rope: self.rope(), kv: &self.kv, window: self.window }
    }

    /// Writes the first positions of the cache, rounded as it rounds, which is also what is returned.
    pub fn fill(&self, past: &Prepared) -> Prepared {
        let (rounded, hd, capacity) = (self.round(past), self.heads.head_dim, self.kv.capacity);
        for (region, rows) in [(&self.kv.k, &rounded.k), (&self.kv.v, &rounded.v)] {
            for head in 0..self.heads.kv_heads {
                let values: Vec<f64> = rows.iter().flat_map(|row| &row[head]).copied().collect();
                if !values.is_empty() {
                    let size = if self.kv.exact { 4 } else { 2 };
                    region.write((head * capacity * hd * size) as u64, &bytes(&values, self.kv.exact));
                }
            }
        }
        rounded
    }

    /// Keys and values as the cache can hold them.
    pub fn round(&self, p: &Prepared) -> Prepared {
        let one = |v: &f64| if self.kv.exact { f64::from(*v as f32) } else { f16::from_f64(*v).to_f64() };
        let all = |rows: &[Vec<Vec<f64>>]| {
            let head = |h: &Vec<f64>| h.iter().map(one).collect();
            rows.iter().map(|row| row.iter().map(head).collect()).collect()
        };
        Prepared { q: p.q.clone(), k: all(&p.k), v: all(&p.v) }
    }

    /// What a region of the cache holds: `[K][S][Hd]`.
    pub fn cached(&self, gpu: &Rc<Gpu>, region: &Region) -> Vec<f32> {
        let words = download::<u32>(gpu, region);
        if self.kv.exact {
            return words.into_iter().map(f32::from_bits).collect();
        }
        words.iter().flat_map(|w| [*w as u16, (w >> 16) as u16]).map(|h| f16::from_bits(h).to_f32()).collect()
    }

    /// How close results must come.
    pub fn tolerance(&self) -> Tolerance {
        if self.kv.exact { Tolerance::F32 } else { Tolerance::F16 }
    }

    /// Rows of q, k and v on the GPU.
    pub fn rows(&self, gpu: &Rc<Gpu>, rows: &[f32]) -> Region {
        activation(gpu, rows, self.width())
    }

    pub fn width(&self) -> usize {
        (self.heads.heads + 2 * self.heads.kv_heads) * self.heads.head_dim
    }
}

/// Elements as a cache of f32 (`exact`) or f16 holds them.
fn bytes(values: &[f64], exact: bool) -> Vec<u8> {
    match exact {
        true => values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        false => values.iter().flat_map(|v| f16::from_f64(*v).to_le_bytes()).collect(),
    }
}
