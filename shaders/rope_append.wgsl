/// Takes rows of q, k and v side by side: q and k are normalised (if asked) and rotated; q goes on, k and v are appended to
/// the cache. One invocation makes one head of one position. Parts: rope, rotated. Slots: kv.
/// Cache: [kv head][slot][elements of a head]; a position's slot is its number, in a ring what is left of it.
override WG: u32 = 64u;
override BOUNDED: bool = false;
override RING: bool = false;
override VALUE_NORM: bool = false;
/// Rows are of sequences that lie one after the other: row t is of one that begins at row state[64 + 2 t].
override PACKED: bool = false;
struct Params {
    t: u32, heads: u32, kv_heads: u32, appended: u32, key_dim: u32, value_dim: u32, rope_dims: u32, x_stride: u32, q_stride: u32,
    capacity: u32, k_norm: u32, eps: f32, value_eps: f32, factor: f32, clamp: f32, growth: f32, growth_length: u32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> frequencies: array<u32>;
@group(0) @binding(3) var<storage, read_write> q: array<f32>;
@group(0) @binding(4) var<storage, read_write> k_cache: array<kv_quad>;
@group(0) @binding(5) var<storage, read_write> v_cache: array<kv_quad>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

/// 1 / sqrt(mean(x^2) + eps) of `n` elements.
fn rms_factor(start: u32, n: u32, eps: f32) -> f32 {
    var sum = 0.0;
    for (var d = 0u; d < n; d++) {
        let v = element(start + d);
        sum += v * v;
    }
    return inverseSqrt(sum / f32(n) + eps);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let i = (wid.x + wid.y * nwg.x) * WG + lid;
    let all = p.heads + 2u * p.appended;
    let t = i / all;
    let h = i % all;
    if t >= n { return; }
    var pos = state[0] + t;
    if !RING && pos >= p.capacity { return; }
    let slot = select(pos, pos % p.capacity, RING);
    if PACKED { pos = t - state[64u + 2u * t]; }
    let row = t * p.x_stride;
    let keys = row + p.heads * p.key_dim;
    if h >= p.heads + p.appended {
        let head = h - p.heads - p.appended;
        let start = keys + p.kv_heads * p.key_dim + head * p.value_dim;
        let at = (head * p.capacity + slot) * (p.value_dim / 4u);
        var scale = 1.0;
        if VALUE_NORM { scale = rms_factor(start, p.value_dim, p.value_eps); }
        for (var d = 0u; d < p.value_dim; d += 4u) { v_cache[at + d / 4u] = kv_pack(element_quad(start + d) * scale); }
        return;
    }
    let is_q = h < p.heads;
    let head = select(h - p.heads, h, is_q);
    let heads = select(p.kv_heads, p.heads, is_q);
    let first_head = select(keys, row, is_q);
    let start = first_head + head * p.key_dim;
    let first = norm_first(select(p.k_norm, 0u, is_q), head, p.key_dim);
    var scale = 1.0;
    if HEAD_NORM == 1u { scale = rms_factor(start, p.key_dim, p.eps); }
    if HEAD_NORM == 2u { scale = rms_factor(first_head, heads * p.key_dim, p.eps); }
    if is_q { scale *= growth(pos); }
    for (var d = 0u; d < p.key_dim; d += 4u) {
        let out = rotated_quad(start, d, first, pos) * scale;
        if is_q {
            let to_q = t * p.q_stride + h * p.key_dim + d;
            q[to_q] = out.x;
            q[to_q + 1u] = out.y;
            q[to_q + 2u] = out.z;
            q[to_q + 3u] = out.w;
        } else {
            k_cache[(head * p.capacity + slot) * (p.key_dim / 4u) + d / 4u] = kv_pack(out);
        }
    }
}
