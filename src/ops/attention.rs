//! Causal attention over the cache with an online softmax: no score matrix in memory, work bounded by the true length.
//!   q: [T, H * Hd], cache: [K, S, Hd] -> [T, H * Hd]

use super::Bounded;
use super::rope_append::{KvLayer, Rope};
use super::tiles::attention_tile;
use super::variants::{ROPE, ROTATED, kv_part, serial};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Gpu, Kernel, Params, Tensor, params, wgsl};

pub(super) static ATTENTION: Kernel = Kernel {
    name: "attention",
    source: wgsl!(include_str!("../../shaders/attention.wgsl")),
    bindings: &[Read, Read, Read, Write, Read],
    fields: AttentionParams::FIELDS,
};

pub(super) static ATTENTION_DECODE: Kernel = Kernel {
    name: "attention_decode",
    source: wgsl!(include_str!("../../shaders/attention_decode.wgsl")),
    bindings: &[Read, Read, Read, Read, Write, Write, Write, Read],
    fields: DecodeParams::FIELDS,
};

params! {
    struct AttentionParams { t: u32, heads: u32, group: u32, q_quads: u32, capacity: u32, window: u32, scale: f32 }
}
params! {
    struct DecodeParams {
        heads: u32, kv_heads: u32, rope_dims: u32, capacity: u32, window: u32, splits: u32, least: u32, eps: f32,
        factor: f32, scale: f32,
    }
}

/// Splits of the cache in [`Attention::decode`]: enough to occupy a GPU, few enough to merge for free.
pub const SPLITS: usize = 8;
/// A split has at least this many keys.
const LEAST: u32 = 64;

/// Attention in one layer.
#[derive(Clone)]
pub struct Attention<'a> {
    /// Heads, rotation, and the step's state.
    pub rope: Rope<'a>,
    /// The layer's cache.
    pub kv: &'a KvLayer,
    /// Sliding window: a position sees itself and `window - 1` before it.
    pub window: Option<usize>,
}

impl Attention<'_> {
    fn scale(&self) -> f32 {
        1.0 / (self.rope.head_dim as f32).sqrt()
    }

    fn window(&self) -> u32 {
        self.window.unwrap_or(0) as u32
    }

    /// Invocations of [`Attention::decode`], as many as workgroup memory allows; `None`: it has no variant for these heads.
    fn decoders(&self, gpu: &Gpu) -> Option<usize> {
        let (group, hd) = (self.rope.heads / self.rope.kv_heads, self.rope.head_dim);
        let quads = group * hd / 4;
        let fits = |workgroup: &usize| {
            let shares = workgroup / quads;
            let shared = if shares > 1 { 5 * quads * shares } else { 5 };
            let words = (group + 1) * hd + group * (workgroup + 64) + 10 * group + 1 + shared;
            // Arrays of vectors begin at whole quads.
            words * 4 + 64 <= gpu.adapter().workgroup_memory as usize
        };
        [256, 128, 64].into_iter().find(fits).filter(|_| !serial(gpu) && group < 64)
    }

    /// Whether [`Attention::decode`] has a variant for this device and these heads.
    pub fn can_decode(&self, gpu: &Gpu) -> bool {
        self.decoders(gpu).is_some()
    }

    /// Rotates, appends and attends for a chunk of rows of q, k and v side by side.   -> [T, H * Hd]
    #[track_caller]
    pub fn prefill<'g>(&self, qkv: Tensor<'g>) -> Tensor<'g> {
        let q = qkv.rope_append(&self.rope, self.kv);
        let (graph, [t, _], r) = (q.graph(), q.rows(), &self.rope);
        let y = graph.tensor(q.shape());
        let group = r.heads / r.kv_heads;
        let quads = r.head_dim / 4;
        let (op, grid) = attention_tile(graph.op(&ATTENTION), graph.gpu(), t * group, r.kv_heads, quads);
        op.part(kv_part(self.kv.exact))
            .bind(q)
            .region(&self.kv.k)
            .region(&self.kv.v)
            .bind(y)
            .bounded(Some(r.state))
            .params(AttentionParams {
                t: t as u32,
                heads: r.heads as u32,
                group: group as u32,
                q_quads: super::quads(q),
                capacity: self.kv.capacity as u32,
                window: self.window(),
                scale: self.scale(),
            })
            .dispatch(grid);
        y
    }

    /// The same for one row, as one dispatch: leaves [`SPLITS`] partial results for [`Tensor::merge_linear`].
    #[track_caller]
    pub fn decode<'g>(&self, qkv: Tensor<'g>) -> Tensor<'g> {
        let (graph, r) = (qkv.graph(), &self.rope);
        let workgroup = self.decoders(graph.gpu()).expect("attention: no variant for these heads");
        // Partial sums, then each one's maximum and weight.
        let y = graph.tensor([r.heads * SPLITS * (r.head_dim + 2)]);
        let norm = r.head_norm;
        graph
            .op(&ATTENTION_DECODE)
            .part(&ROPE)
            .part(&ROTATED)
            .part(kv_part(self.kv.exact))
            .constant("HEAD_QUADS", r.head_dim / 4)
            .constant("GROUP", r.heads / r.kv_heads)
            .constant("WG", workgroup)
            .set("HEAD_NORM", norm.is_some())
            .set("INTERLEAVED", r.interleaved)
            .bind(qkv)
            .vector(norm.map(|n| n.0))
            .vector(norm.map(|n| n.1))
            .region(r.frequencies)
            .region(&self.kv.k)
            .region(&self.kv.v)
            .bind(y)
            .region(r.state)
            .params(DecodeParams {
                heads: r.heads as u32,
                kv_heads: r.kv_heads as u32,
                rope_dims: r.dims as u32,
                capacity: self.kv.capacity as u32,
                window: self.window(),
                splits: SPLITS as u32,
                least: LEAST,
                eps: norm.map_or(0.0, |n| n.2),
                factor: r.factor,
                scale: self.scale(),
            })
            .dispatch([SPLITS, r.kv_heads, 1]);
        y
    }
}
