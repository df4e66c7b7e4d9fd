//! Rotates q and k (Su et al. 2021), after an optional norm of each head, and appends k and v to the cache.
//!   [T, (H + 2K) * Hd] -> q: [T, H * Hd]

use super::Bounded;
use super::variants::{ROPE, kv_part};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, Weight, params, wgsl};

pub(super) static ROPE_APPEND: Kernel = Kernel {
    name: "rope_append",
    source: wgsl!(include_str!("../../shaders/rope_append.wgsl")),
    bindings: &[Read, Read, Read, Read, Write, Write, Write, Read],
    fields: RopeParams::FIELDS,
};

params! {
    struct RopeParams {
        t: u32, heads: u32, kv_heads: u32, head_dim: u32, rope_dims: u32, x_stride: u32, q_stride: u32, capacity: u32,
        eps: f32, factor: f32,
    }
}

/// The cache of one layer: `[K, S, Hd]`.
#[derive(Clone)]
pub struct KvLayer {
    /// Keys, rotated.
    pub k: Region,
    /// Values.
    pub v: Region,
    /// S: how many positions fit.
    pub capacity: usize,
    /// Elements are f32 instead of f16.
    pub exact: bool,
}

/// How q and k are prepared in one layer.
#[derive(Clone)]
pub struct Rope<'a> {
    /// H
    pub heads: usize,
    /// K
    pub kv_heads: usize,
    /// Hd
    pub head_dim: usize,
    /// How many dimensions of a head rotate.
    pub dims: usize,
    /// Pairs are neighbours (`2i`, `2i + 1`) rather than halves (`i`, `i + dims / 2`).
    pub interleaved: bool,
    /// Turns per position of each pair in units of 2^-32, `dims / 2` words; zeros for a layer without positions.
    pub frequencies: &'a Region,
    /// What YaRN multiplies cos and sin by.
    pub factor: f32,
    /// RMSNorm of each head of q and k: weights and eps.
    pub head_norm: Option<(&'a Weight, &'a Weight, f32)>,
    /// The step's state on the GPU: `[0]` the first row's position, `[1]` how many rows hold tokens.
    pub state: &'a Region,
}

/// Turns per position in units of 2^-32 of a frequency in radians per position.
pub fn turns(inv_freq: f32) -> u32 {
    (f64::from(inv_freq) / std::f64::consts::TAU * 4294967296.0).round() as u64 as u32
}

impl<'g> Tensor<'g> {
    /// Splits rows of q, k and v side by side: rotated q is returned, rotated k and v go to the cache.
    #[track_caller]
    pub fn rope_append(self, rope: &Rope<'_>, kv: &KvLayer) -> Self {
        let [t, width] = self.rows();
        assert_eq!(width, (rope.heads + 2 * rope.kv_heads) * rope.head_dim, "a row of q, k and v");
        let q = self.graph().tensor([t, rope.heads * rope.head_dim]);
        let norm = rope.head_norm;
        self.graph()
            .op(&ROPE_APPEND)
            .part(&ROPE)
            .part(kv_part(kv.exact))
            .set("HEAD_NORM", norm.is_some())
            .set("INTERLEAVED", rope.interleaved)
            .bind(self)
            .vector(norm.map(|n| n.0))
            .vector(norm.map(|n| n.1))
            .region(rope.frequencies)
            .bind(q)
            .region(&kv.k)
            .region(&kv.v)
            .bounded(Some(rope.state))
            .params(RopeParams {
                t: t as u32,
                heads: rope.heads as u32,
                kv_heads: rope.kv_heads as u32,
                head_dim: rope.head_dim as u32,
                rope_dims: rope.dims as u32,
                x_stride: self.stride() as u32,
                q_stride: q.stride() as u32,
                capacity: kv.capacity as u32,
                eps: norm.map_or(0.0, |n| n.2),
                factor: rope.factor,
            })
            .dispatch_linear((t * (rope.heads + 2 * rope.kv_heads)).div_ceil(64));
        q
    }
}
