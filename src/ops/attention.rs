//! Causal attention over the cache, `softmax(q k^T * scale) v`; heads share keys and values in groups of H / K (Ainslie
//! et al. 2023). Bounded by the true length.
//!   q: [T, H * Hk], cache: [K, S, Hk] and [K, S, Hv] -> [T, H * Hv]

use super::Bounded;
use super::heads::Attention;
use super::input::Input;
use super::merge::{SPLITS, Splits};
use super::tiles::attention_tile;
use super::variants::{ROPE, ROTATED, SCALES, SOFT_CAP, kv_part, serial};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Gpu, Kernel, Params, Tensor, params, wgsl};

pub(super) static ATTENTION: Kernel = Kernel {
    name: "attention",
    source: wgsl!(include_str!("../../shaders/attention.wgsl")),
    bindings: &[Read, Read, Read, Read, Read, Write, Read, Read],
    fields: AttentionParams::FIELDS,
};

pub(super) static ATTENTION_DECODE: Kernel = Kernel {
    name: "attention_decode",
    source: wgsl!(include_str!("../../shaders/attention_decode.wgsl")),
    bindings: &[Read, Read, Read, Read, Write, Write, Write, Read],
    fields: DecodeParams::FIELDS,
};

params! {
    struct AttentionParams {
        t: u32, heads: u32, group: u32, q_quads: u32, y_quads: u32, capacity: u32, window: u32, gate_stride: u32,
        gate_first: u32, ahead: u32, buckets: u32, reach: u32, scale: f32, cap: f32,
    }
}
params! {
    struct DecodeParams {
        heads: u32, kv_heads: u32, appended: u32, rope_dims: u32, capacity: u32, window: u32, splits: u32, least: u32,
        gate_first: u32, k_norm: u32, eps: f32, value_eps: f32, factor: f32, scale: f32, cap: f32, clamp: f32,
        growth: f32, growth_length: u32,
    }
}

/// A split has at least this many keys.
const LEAST: u32 = 64;

impl Attention<'_> {
    /// Returns the invocations of [`Attention::decode`], as many as workgroup memory allows; `None`: it has no variant
    /// for these heads.
    fn decoders(&self, gpu: &Gpu) -> Option<usize> {
        let (group, hk) = (self.heads / self.kv_heads, self.key_dim);
        let quads = group * self.value_dim / 4;
        let fits = |workgroup: &usize| {
            let shares = workgroup / quads;
            let shared = if shares > 1 { 5 * quads * shares } else { 5 };
            let words = (group + 1) * hk + group.max(2) * workgroup + group * 64 + 10 * group + 2 + shared;
            // Arrays of vectors begin at whole quads.
            words * 4 + 64 <= gpu.adapter().workgroup_memory as usize
        };
        [256, 128, 64].into_iter().find(fits).filter(|_| !serial(gpu) && group + 2 <= 64)
    }

    /// Returns whether [`Attention::decode`] has a variant for this device and these heads.
    pub fn can_decode(&self, gpu: &Gpu) -> bool {
        self.decoders(gpu).is_some()
    }

    /// Attends, for rows of q, k and v (and gates) side by side.   -> [T, H * Hv]
    #[track_caller]
    pub fn run<'g>(&self, qkv: Tensor<'g>) -> Input<'static, 'g> {
        if qkv.rows()[0] == 1 && self.packed.is_none() && self.can_decode(qkv.graph().gpu()) {
            Input::Splits(self.decode(qkv))
        } else {
            Input::Plain(self.prefill(qkv))
        }
    }

    /// Rotates, appends and attends for a chunk of rows of q, k and v side by side.   -> [T, H * Hv]
    #[track_caller]
    pub fn prefill<'g>(&self, qkv: Tensor<'g>) -> Tensor<'g> {
        let q = qkv.rope_append(self);
        let (graph, [t, _]) = (q.graph(), q.rows());
        let y = graph.tensor([t, self.heads * self.value_dim]);
        let group = self.heads / self.kv_heads;
        let quads = [self.key_dim / 4, self.value_dim / 4];
        let relative = self.packed.and_then(|p| p.relative);
        let (op, grid) = attention_tile(graph.op(&ATTENTION), graph.gpu(), t * group, self.kv_heads, quads);
        op.part(kv_part(self.kv.exact))
            .part(&SOFT_CAP)
            .set("RING", self.kv.ring)
            .set("CAPPED", self.soft_cap.is_some())
            .set("SINKS", self.sinks.is_some())
            .set("GATE", self.gate())
            .set("PACKED", self.packed.is_some())
            .set("RELATIVE", relative.is_some())
            .bind(q)
            .region(&self.kv.k)
            .region(&self.kv.v)
            .bind_or_nothing(self.gate.map(|_| qkv))
            .vector(self.sinks)
            .bind(y)
            .bounded(Some(self.state))
            .vector(relative.map(|r| r.biases))
            .params(AttentionParams {
                t: t as u32,
                heads: self.heads as u32,
                group: group as u32,
                q_quads: super::quads(q),
                y_quads: super::quads(y),
                capacity: self.kv.capacity as u32,
                window: self.window(),
                gate_stride: qkv.stride() as u32,
                gate_first: self.gates_first() as u32,
                ahead: self.packed.and_then(|p| p.ahead).map_or(u32::MAX, |n| n as u32),
                buckets: relative.map_or(0, |r| r.buckets as u32),
                reach: relative.map_or(0, |r| r.reach as u32),
                scale: self.scale,
                cap: self.soft_cap.unwrap_or(1.0),
            })
            .dispatch(grid);
        y
    }

    /// Does the same for one row, as one dispatch; the splits that it leaves are merged by whoever reads them.
    #[track_caller]
    pub fn decode<'g>(&self, qkv: Tensor<'g>) -> Splits<'g> {
        let graph = qkv.graph();
        assert_eq!(qkv.rows(), [1, self.row()], "a row of q, k and v");
        let workgroup = self.decoders(graph.gpu()).expect("attention: no variant for these heads");
        // Partial sums, then each one's maximum and weight.
        let y = graph.tensor([self.heads * SPLITS * (self.value_dim + 2)]);
        let (numbers, growth) = (self.numbers(), self.query_growth.unwrap_or((0.0, 1)));
        self.settings(graph.op(&ATTENTION_DECODE))
            .part(&ROPE)
            .part(&ROTATED)
            .part(&SCALES)
            .part(&SOFT_CAP)
            .part(kv_part(self.kv.exact))
            .constant("HEAD_QUADS", self.key_dim / 4)
            .constant("VALUE_QUADS", self.value_dim / 4)
            .constant("GROUP", self.heads / self.kv_heads)
            .constant("WG", workgroup)
            .set("CAPPED", self.soft_cap.is_some())
            .set("SINKS", self.sinks.is_some())
            .set("GATE", self.gate())
            .bind(qkv)
            .vector(self.norm.map(|n| n.weights))
            .region_or_nothing(self.rotation.map(|r| r.frequencies))
            .vector(self.sinks)
            .region(&self.kv.k)
            .region(&self.kv.v)
            .bind(y)
            .region(self.state)
            .params(DecodeParams {
                heads: self.heads as u32,
                kv_heads: self.kv_heads as u32,
                appended: if self.appends { self.kv_heads as u32 } else { 0 },
                rope_dims: numbers.rope_dims,
                capacity: self.kv.capacity as u32,
                window: self.window(),
                splits: SPLITS as u32,
                least: LEAST,
                gate_first: self.gates_first() as u32,
                k_norm: numbers.norm.0,
                eps: numbers.norm.1,
                value_eps: self.value_norm.unwrap_or(0.0),
                factor: numbers.factor,
                scale: self.scale,
                cap: self.soft_cap.unwrap_or(1.0),
                clamp: self.clamp.unwrap_or(0.0),
                growth: growth.0,
                growth_length: growth.1 as u32,
            })
            .dispatch([SPLITS, self.kv_heads, 1]);
        Splits { parts: y, heads: self.heads, value_dim: self.value_dim }
    }
}
