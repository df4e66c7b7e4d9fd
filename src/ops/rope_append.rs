//! Makes q and k ready: clamp, norm, rotation (Su et al. 2021); and appends k and v to the cache.
//!   [T, H * Hk + K * (Hk + Hv) ..] -> q: [T, H * Hk]

use super::Bounded;
use super::heads::Attention;
use super::variants::{ROPE, ROTATED, kv_part};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, params, wgsl};

pub(super) static ROPE_APPEND: Kernel = Kernel {
    name: "rope_append",
    source: wgsl!(include_str!("../../shaders/rope_append.wgsl")),
    bindings: &[Read, Read, Read, Write, Write, Write, Read],
    fields: RopeParams::FIELDS,
};

params! {
    struct RopeParams {
        t: u32, heads: u32, kv_heads: u32, appended: u32, key_dim: u32, value_dim: u32, rope_dims: u32, x_stride: u32,
        q_stride: u32, capacity: u32, k_norm: u32, eps: f32, value_eps: f32, factor: f32, clamp: f32, growth: f32,
        growth_length: u32,
    }
}

impl<'g> Tensor<'g> {
    /// Splits rows of q, k and v side by side: q is returned, k and v go to the cache.
    #[track_caller]
    pub fn rope_append(self, a: &Attention<'_>) -> Self {
        let [t, width] = self.rows();
        assert_eq!(width, a.row(), "a row of q, k and v");
        let q = self.graph().tensor([t, a.heads * a.key_dim]);
        let appended = if a.appends { a.kv_heads } else { 0 };
        let (norm, growth) = (a.numbers().norm, a.query_growth.unwrap_or((0.0, 1)));
        a.settings(self.graph().op(&ROPE_APPEND))
            .set("PACKED", a.packed.is_some())
            .part(&ROPE)
            .part(&ROTATED)
            .part(kv_part(a.kv.exact))
            .bind(self)
            .vector(a.norm.map(|n| n.weights))
            .region_or_nothing(a.rotation.map(|r| r.frequencies))
            .bind(q)
            .region(&a.kv.k)
            .region(&a.kv.v)
            .bounded(Some(a.state))
            .params(RopeParams {
                t: t as u32,
                heads: a.heads as u32,
                kv_heads: a.kv_heads as u32,
                appended: appended as u32,
                key_dim: a.key_dim as u32,
                value_dim: a.value_dim as u32,
                rope_dims: a.numbers().rope_dims,
                x_stride: self.stride() as u32,
                q_stride: q.stride() as u32,
                capacity: a.kv.capacity as u32,
                k_norm: norm.0,
                eps: norm.1,
                value_eps: a.value_norm.unwrap_or(0.0),
                factor: a.numbers().factor,
                clamp: a.clamp.unwrap_or(0.0),
                growth: growth.0,
                growth_length: growth.1 as u32,
            })
            .dispatch_linear((t * (a.heads + 2 * appended)).div_ceil(64));
        q
    }
}
