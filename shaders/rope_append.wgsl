/// Takes rows of q, k and v side by side: q and k are normalised per head (if asked) and rotated; q goes on, k and v are
/// appended to the cache. One invocation makes one head of one position. Parts: rope. Slots: kv.
/// Cache: [kv head][position][head_dim].
override WG: u32 = 64u;
override HEAD_NORM: bool = false;
override INTERLEAVED: bool = false;
override BOUNDED: bool = false;
struct Params {
    t: u32, heads: u32, kv_heads: u32, head_dim: u32, rope_dims: u32, x_stride: u32, q_stride: u32, capacity: u32,
    eps: f32, factor: f32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> q_norm: array<f32>;
@group(0) @binding(2) var<storage, read> k_norm: array<f32>;
@group(0) @binding(3) var<storage, read> frequencies: array<u32>;
@group(0) @binding(4) var<storage, read_write> q: array<f32>;
@group(0) @binding(5) var<storage, read_write> k_cache: array<kv_quad>;
@group(0) @binding(6) var<storage, read_write> v_cache: array<kv_quad>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn norm_weight(is_q: bool, d: u32) -> f32 {
    if !HEAD_NORM { return 1.0; }
    if is_q { return q_norm[d]; }
    return k_norm[d];
}

/// Element d of the head that begins at `start`, rotated together with its partner.
fn rotated(start: u32, d: u32, is_q: bool, pos: u32) -> f32 {
    let v = x[start + d] * norm_weight(is_q, d);
    if d >= p.rope_dims { return v; }
    let half = p.rope_dims / 2u;
    let second = select(d >= half, (d & 1u) == 1u, INTERLEAVED);
    let pair = select(select(d, d - half, second), d / 2u, INTERLEAVED);
    let partner = select(select(d + half, d - half, second), d ^ 1u, INTERLEAVED);
    let c = rope_turn(pos, frequencies[pair], p.factor);
    let other = x[start + partner] * norm_weight(is_q, partner);
    return v * c.x + select(-other, other, second) * c.y;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let i = (wid.x + wid.y * nwg.x) * WG + lid;
    let all = p.heads + 2u * p.kv_heads;
    let t = i / all;
    let h = i % all;
    if t >= n { return; }
    let pos = state[0] + t;
    if pos >= p.capacity { return; }
    let start = t * p.x_stride + h * p.head_dim;
    let is_q = h < p.heads;
    let is_v = h >= p.heads + p.kv_heads;
    let kv_head = select(h - p.heads, h - p.heads - p.kv_heads, is_v);
    let at = (kv_head * p.capacity + pos) * (p.head_dim / 4u);
    if is_v {
        for (var d = 0u; d < p.head_dim; d += 4u) {
            let v = start + d;
            v_cache[at + d / 4u] = kv_pack(vec4f(x[v], x[v + 1u], x[v + 2u], x[v + 3u]));
        }
        return;
    }
    var scale = 1.0;
    if HEAD_NORM {
        var sum = 0.0;
        for (var d = 0u; d < p.head_dim; d++) { sum += x[start + d] * x[start + d]; }
        scale = inverseSqrt(sum / f32(p.head_dim) + p.eps);
    }
    for (var d = 0u; d < p.head_dim; d += 4u) {
        let out = vec4f(rotated(start, d, is_q, pos), rotated(start, d + 1u, is_q, pos),
                        rotated(start, d + 2u, is_q, pos), rotated(start, d + 3u, is_q, pos)) * scale;
        if is_q {
            let to_q = t * p.q_stride + h * p.head_dim + d;
            q[to_q] = out.x;
            q[to_q + 1u] = out.y;
            q[to_q + 2u] = out.z;
            q[to_q + 3u] = out.w;
        } else {
            k_cache[at + d / 4u] = kv_pack(out);
        }
    }
}
