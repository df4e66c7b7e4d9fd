//! What the tests of rope_append and attention share: layers of made-up heads, their caches, and rows of q, k and v.

use half::f16;
use inkstone::gpu::{Gpu, Region, Weight};
use inkstone::ops::{self, Attention, KvLayer, Rotation, turns};
use std::rc::Rc;
use support::gpu::{activation, download, state, upload, vector};
use support::reference::attention::{HeadNorm, Heads, Prepared};
use support::reference::weights::Numbers;
use support::tolerance::Tolerance;

/// What a cache holds before anything was appended: a value that no test computes.
pub const EMPTY: f32 = 30720.0;

/// Heads with the usual frequencies.
pub fn heads(h: usize, k: usize, head_dim: usize, base: f64) -> Heads {
    let dims = head_dim;
    Heads {
        heads: h,
        kv_heads: k,
        key_dim: head_dim,
        value_dim: head_dim,
        rope_dims: dims,
        interleaved: false,
        inv_freq: inv_freq(dims, base),
        factor: 1.0,
        norm: None,
        value_norm: None,
        clamp: None,
        growth: None,
        scale: 1.0 / (head_dim as f32).sqrt(),
        soft_cap: None,
        window: None,
        sinks: None,
        gate: None,
        appends: true,
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
    let weights = numbers.floats(2 * heads.key_dim);
    heads.norm = Some(HeadNorm { weights, whole_row: false, after_rope: false, eps: 1e-6 });
    heads
}

/// A layer on the GPU: what an [`Attention`] borrows.
pub struct Layer {
    heads: Heads,
    frequencies: Region,
    norm: Option<Weight>,
    sinks: Option<Weight>,
    pub kv: KvLayer,
    pub state: Region,
}

impl Layer {
    /// A layer whose cache of `capacity` positions is [`EMPTY`]; `n` rows with tokens start at `pos`.
    /// Every third sum of `pos` and `capacity` has a cache of f32, the others one of f16.
    pub fn new(gpu: &Rc<Gpu>, heads: &Heads, capacity: usize, pos: usize, n: usize) -> Layer {
        let exact = (pos + capacity).is_multiple_of(3);
        let empty = |dim: usize| bytes(&vec![EMPTY.into(); heads.kv_heads * capacity * dim], exact);
        let (k, v) = (upload(gpu, &empty(heads.key_dim)), upload(gpu, &empty(heads.value_dim)));
        Layer::on(gpu, heads, KvLayer { k, v, capacity, ring: false, exact }, state(gpu, pos, n))
    }

    /// A layer on a cache that is there.
    pub fn on(gpu: &Rc<Gpu>, heads: &Heads, kv: KvLayer, state: Region) -> Layer {
        let words: Vec<u32> = heads.inv_freq.iter().map(|f| turns(*f as f32)).collect();
        Layer {
            heads: heads.clone(),
            frequencies: upload(gpu, if words.is_empty() { &[0] } else { &words[..] }),
            norm: heads.norm.as_ref().map(|n| vector(gpu, &n.weights)),
            sinks: heads.sinks.as_ref().map(|s| vector(gpu, s)),
            kv,
            state,
        }
    }

    pub fn attention(&self) -> Attention<'_> {
        let h = &self.heads;
        let rotation = Rotation {
            dims: h.rope_dims,
            interleaved: h.interleaved,
            frequencies: &self.frequencies,
            factor: h.factor as f32,
        };
        let norm = h.norm.as_ref().zip(self.norm.as_ref());
        Attention {
            key_dim: h.key_dim,
            value_dim: h.value_dim,
            scale: h.scale,
            soft_cap: h.soft_cap,
            window: h.window,
            rotation: (h.rope_dims > 0).then_some(rotation),
            norm: norm.map(|(n, weights)| ops::HeadNorm {
                weights,
                whole_row: n.whole_row,
                after_rope: n.after_rope,
                eps: n.eps,
            }),
            value_norm: h.value_norm,
            clamp: h.clamp,
            gate: h.gate,
            sinks: self.sinks.as_ref(),
            query_growth: h.growth,
            appends: h.appends,
            ..Attention::new([h.heads, h.kv_heads, h.key_dim], &self.kv, &self.state)
        }
    }

    /// Writes the first positions of the cache, rounded as it rounds, which is also what is returned.
    pub fn fill(&self, past: &Prepared) -> Prepared {
        let (rounded, h, capacity) = (self.round(past), &self.heads, self.kv.capacity);
        for (region, rows, hd) in [(&self.kv.k, &rounded.k, h.key_dim), (&self.kv.v, &rounded.v, h.value_dim)] {
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
        Prepared { k: all(&p.k), v: all(&p.v), ..p.clone() }
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
        self.heads.width()
    }
}

/// Elements as a cache of f32 (`exact`) or f16 holds them.
fn bytes(values: &[f64], exact: bool) -> Vec<u8> {
    match exact {
        true => values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        false => values.iter().flat_map(|v| f16::from_f64(*v).to_le_bytes()).collect(),
    }
}
