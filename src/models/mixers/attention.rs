//! Attention to other positions.

use super::at::{At, PackedRows};
use crate::config::language::{AttentionConfig, AttentionGate, NormKind};
use crate::gpu::Weight;
use crate::load::Weights;
use crate::ops::{Attention, HeadGate, HeadNorm, Input, KvLayer, Linear, Packed, Product, Relative};
use crate::{Error, Result};

/// Elements of the largest head that kernels take.
const LARGEST: usize = 512;

/// Weights of one attention. Hk: elements of a query or key head, Hv: of a value head.
pub struct AttentionMixer {
    config: AttentionConfig,
    qkv: Weight,                 // [H * Hk + K * (Hk + Hv) (+ gates), D]
    qkv_bias: Option<Weight>,    // as many
    qk_norm: Option<Weight>,     // [2 * Hk] or [(H + K) * Hk]
    sinks: Option<Weight>,       // [H]
    output: Weight,              // [D, H * Hv]
    output_bias: Option<Weight>, // [D]
}

impl AttentionMixer {
    /// Binds the attention of layer `i`.
    pub fn bind(w: &Weights<'_>, i: usize, dim: usize, c: &AttentionConfig) -> Result<Self> {
        let n = |stem: &str, what: &str| format!("blk.{i}.{stem}.{what}");
        let (q, k, v) = (c.heads * c.key_dim, c.kv_heads * c.key_dim, c.kv_heads * c.value_dim);
        let joined = |what: &str| w.has(&n("attn_qkv", what));
        let projections = |what: &str| match (c.shares, joined(what)) {
            (Some(_), _) => vec![("attn_q", q)],
            (None, true) => vec![("attn_qkv", q + k + v)],
            (None, false) => vec![("attn_q", q), ("attn_k", k), ("attn_v", v)],
        };
        let gate = c.gate.map(|gate| match gate {
            AttentionGate::PerHead => ("attn_gate", c.heads),
            AttentionGate::PerElement => ("attn_gate", c.heads * c.value_dim),
        });
        let weights = projections("weight").into_iter().chain(gate).map(|(stem, rows)| (n(stem, "weight"), rows));
        let biases = projections("bias").into_iter().map(|(stem, rows)| (n(stem, "bias"), rows));
        let bound = AttentionMixer {
            qkv: w.named_stack(weights, dim)?,
            qkv_bias: w.biases(c.qkv_bias, biases)?,
            qk_norm: match c.qk_norm {
                Some(norm) => {
                    let [q, k] = if norm.whole_row { [q, k] } else { [c.key_dim; 2] };
                    let more = if norm.norm.plus_one { 1.0 } else { 0.0 };
                    let (q_norm, k_norm) = (n("attn_q_norm", "weight"), n("attn_k_norm", "weight"));
                    let parts = [(q_norm.as_str(), q), (k_norm.as_str(), k)];
                    Some(w.vectors_plus(&parts[..if c.shares.is_some() { 1 } else { 2 }], more)?)
                }
                None => None,
            },
            sinks: c.sinks.then(|| w.vector(&n("attn_sinks", "weight"), c.heads)).transpose()?,
            output: w.matrix(&n("attn_output", "weight"), [dim, c.heads * c.value_dim])?,
            output_bias: w.biases(c.output_bias, [(n("attn_output", "bias"), dim)])?,
            config: c.clone(),
        };
        // Kernels load four elements at a time, and hold tiles of keys and values in 16 KiB.
        if let Some(size) = [c.key_dim, c.value_dim].into_iter().find(|d| !d.is_multiple_of(4) || *d > LARGEST) {
            return Err(Error::unsupported(format!(
                "heads of {size} elements are not supported; they must be a multiple of 4, up to {LARGEST}"
            )));
        }
        if c.gate.is_some() && c.qkv_bias || c.qk_norm.is_some_and(|n| n.norm.kind != NormKind::Rms) {
            return Err(Error::unsupported(
                "gates beside biases, and norms of heads other than RMS norms, are not supported; choose another model",
            ));
        }
        Ok(bound)
    }

    /// Projects, attends, projects.   [T, D] -> [T, D]
    pub fn run<'a, 'g>(&'a self, x: Input<'_, 'g>, kv: &'a KvLayer, at: At<'a>) -> Product<'a, 'g> {
        let attention = self.attention(kv, at);
        let (bias, state) = (self.qkv_bias.as_ref(), at.bound);
        let qkv = x.linear(&self.qkv, Linear { bias, state, ..Linear::default() }); // [T, H * Hk + ..]
        let a = attention.run(qkv); // [T, H * Hv]
        let bias = self.output_bias.as_ref();
        a.product(&self.output, Linear { bias, state, ..Linear::default() }) // [T, D]
    }

    fn attention<'a>(&'a self, kv: &'a KvLayer, at: At<'a>) -> Attention<'a> {
        let c = &self.config;
        Attention {
            heads: c.heads,
            kv_heads: c.kv_heads,
            key_dim: c.key_dim,
            value_dim: c.value_dim,
            scale: c.scale,
            soft_cap: c.soft_cap,
            window: c.window,
            rotation: c.rope.map(|i| at.rotations[i].rotation()),
            norm: c.qk_norm.zip(self.qk_norm.as_ref()).map(|(norm, weights)| HeadNorm {
                weights,
                whole_row: norm.whole_row,
                after_rope: norm.after_rope,
                eps: norm.norm.eps,
            }),
            value_norm: c.value_norm,
            clamp: c.clamp,
            gate: c.gate.map(|gate| match gate {
                AttentionGate::PerHead => HeadGate::PerHead,
                AttentionGate::PerElement => HeadGate::PerElement,
            }),
            sinks: self.sinks.as_ref(),
            query_growth: c.query_growth.map(|g| (g.beta, g.length)),
            kv,
            appends: c.shares.is_none(),
            state: at.state,
            packed: at.packed.map(|rows| self.packed(rows)),
        }
    }

    fn packed<'a>(&self, rows: PackedRows<'a>) -> Packed<'a> {
        let c = &self.config;
        let relative = c.relative_bias.zip(rows.relative);
        Packed {
            ahead: if c.both_ways { c.window.map(|w| w - 1) } else { Some(0) },
            relative: relative.map(|(r, biases)| Relative { biases, buckets: rows.buckets, reach: r.reach }),
        }
    }
}
