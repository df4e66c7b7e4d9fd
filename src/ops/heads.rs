//! Attention in one layer as data: heads, their norms, rotation and cache.

use crate::gpu::{OpBuilder, Region, Weight};

/// Attention in one layer.
#[derive(Clone)]
pub struct Attention<'a> {
    /// H: query heads.
    pub heads: usize,
    /// K: key and value heads; divides H.
    pub kv_heads: usize,
    /// Hk: elements of a query or key head, a multiple of 4.
    pub key_dim: usize,
    /// Hv: elements of a value head, a multiple of 4.
    pub value_dim: usize,
    /// Multiplies the product of query and key.
    pub scale: f32,
    /// Scores become `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// A position sees itself and `window - 1` before it.
    pub window: Option<usize>,
    /// How queries and keys turn with their position.
    pub rotation: Option<Rotation<'a>>,
    /// RMS norm of queries and keys.
    pub norm: Option<HeadNorm<'a>>,
    /// RMS norm of each value head, without weights: its epsilon.
    pub value_norm: Option<f32>,
    /// Queries, keys and values are clamped to plus or minus this.
    pub clamp: Option<f32>,
    /// The gate on the result: it lies in a row behind the values.
    pub gate: Option<HeadGate>,
    /// A score of each head that has no value: [H].
    pub sinks: Option<&'a Weight>,
    /// Queries at position p are multiplied by `1 + .0 * ln(1 + floor(p / .1))`.
    pub query_growth: Option<(f32, usize)>,
    /// The layer's cache.
    pub kv: &'a KvLayer,
    /// Whether rows have keys and values, to be appended; otherwise the cache is another layer's.
    pub appends: bool,
    /// The step's state on the GPU: `[0]` the first row's position, `[1]` how many rows hold tokens.
    pub state: &'a Region,
    /// Rows are whole sequences, one after the other.
    pub packed: Option<Packed<'a>>,
}

/// Sequences that lie one after the other in the rows of one call. `[64 + 2 t]` of the step's state is the row where
/// the sequence of row t begins, the next word the row before which it ends; `[0]` is 0.
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    /// How many later positions of its sequence a position sees; `None`: all.
    pub ahead: Option<usize>,
    /// Biases of scores.
    pub relative: Option<Relative<'a>>,
}

/// Biases of scores by how far apart query and key are (Raffel et al. 2020).
#[derive(Clone, Copy)]
pub struct Relative<'a> {
    /// A bias for each bucket of distances and each head: [buckets, H].
    pub biases: &'a Weight,
    /// The word of the step's state where it stands which bucket a distance is in: of keys 0 to `reach` before the
    /// query, then of keys 0 to `reach` behind it.
    pub buckets: usize,
    /// The largest distance that is told from larger ones.
    pub reach: usize,
}

/// RMS norm of queries and keys.
#[derive(Clone, Copy)]
pub struct HeadNorm<'a> {
    /// Weights of queries, then of keys: [2 * Hk], or [(H + K) * Hk] if all heads are one row.
    pub weights: &'a Weight,
    /// All heads are one row to it.
    pub whole_row: bool,
    /// It comes after the rotation.
    pub after_rope: bool,
    /// Added to the mean square.
    pub eps: f32,
}

/// The gate that multiplies an attention's result, after a sigmoid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum HeadGate {
    /// A number for each head: [H].
    PerHead = 1,
    /// A number for each element: [H * Hv].
    PerElement = 2,
}

/// Parameters that both kernels have.
pub(super) struct Numbers {
    /// Where the weights of keys begin, and the norm's epsilon.
    pub norm: (u32, f32),
    pub rope_dims: u32,
    pub factor: f32,
}

/// The cache of one layer: keys `[K, slots, Hk]`, values `[K, slots, Hv]`.
#[derive(Clone)]
pub struct KvLayer {
    /// Keys, ready.
    pub k: Region,
    /// Values.
    pub v: Region,
    /// How many positions fit.
    pub capacity: usize,
    /// A position lies at its number modulo the capacity, where it replaces an older one; otherwise at its number.
    pub ring: bool,
    /// Elements are f32 instead of f16.
    pub exact: bool,
}

/// How queries and keys turn with their position.
#[derive(Clone, Copy)]
pub struct Rotation<'a> {
    /// How many elements of a head rotate, the first ones.
    pub dims: usize,
    /// Pairs are neighbours (`2i`, `2i + 1`) rather than halves (`i`, `i + dims / 2`).
    pub interleaved: bool,
    /// Turns per position of each pair in units of 2^-32, `dims / 2` words.
    pub frequencies: &'a Region,
    /// Multiplies cosine and sine: YaRN's factor.
    pub factor: f32,
}

/// Converts a frequency in radians per position to turns per position in units of 2^-32.
pub fn turns(inv_freq: f32) -> u32 {
    (f64::from(inv_freq) / std::f64::consts::TAU * 4294967296.0).round() as u64 as u32
}

impl<'a> Attention<'a> {
    /// Describes plain attention of `heads` heads of `head_dim` elements that share keys and values among `kv_heads`.
    pub fn new([heads, kv_heads, head_dim]: [usize; 3], kv: &'a KvLayer, state: &'a Region) -> Self {
        Attention {
            heads,
            kv_heads,
            key_dim: head_dim,
            value_dim: head_dim,
            scale: 1.0 / (head_dim as f32).sqrt(),
            soft_cap: None,
            window: None,
            rotation: None,
            norm: None,
            value_norm: None,
            clamp: None,
            gate: None,
            sinks: None,
            query_growth: None,
            kv,
            appends: true,
            state,
            packed: None,
        }
    }

    /// Returns the elements of a row of queries, keys, values and gates.
    pub fn row(&self) -> usize {
        let gates = match self.gate {
            None => 0,
            Some(HeadGate::PerHead) => self.heads,
            Some(HeadGate::PerElement) => self.heads * self.value_dim,
        };
        self.gates_first() + gates
    }

    pub(super) fn gates_first(&self) -> usize {
        let kv = if self.appends { self.kv_heads * (self.key_dim + self.value_dim) } else { 0 };
        self.heads * self.key_dim + kv
    }

    pub(super) fn numbers(&self) -> Numbers {
        let norm = self.norm.map_or((0, 0.0), |n| {
            let first = if n.whole_row { self.heads * self.key_dim } else { self.key_dim };
            (first as u32, n.eps)
        });
        let (rope_dims, factor) = self.rotation.map_or((0, 1.0), |r| (r.dims as u32, r.factor));
        Numbers { norm, rope_dims, factor }
    }

    /// Sets the overrides that both kernels have.
    pub(super) fn settings<'g>(&self, op: OpBuilder<'g>) -> OpBuilder<'g> {
        let norm = self.norm.map_or(0u32, |n| if n.whole_row { 2 } else { 1 });
        op.set("HEAD_NORM", norm)
            .set("NORM_AFTER", self.norm.is_some_and(|n| n.after_rope))
            .set("INTERLEAVED", self.rotation.is_some_and(|r| r.interleaved))
            .set("VALUE_NORM", self.value_norm.is_some())
            .set("RING", self.kv.ring)
    }

    pub(super) fn window(&self) -> u32 {
        self.window.unwrap_or(0) as u32
    }

    pub(super) fn gate(&self) -> u32 {
        self.gate.map_or(0, |g| g as u32)
    }
}
