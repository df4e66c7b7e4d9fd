/// Takes rows of q, k and v side by side: q and k are normalised per head (if asked) and rotated; q goes on, k and v are
/// appended to the cache as f16. One invocation makes one head of one position. Parts: rope.
/// Cache: [kv head][position][head_dim], two f16 to a word.
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
@group(0) @binding(5) var<storage, read_write> k_cache: array<u32>;
@group(0) @binding(6) var<storage, read_write> v_cache: array<u32>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn norm_weight(is_q: bool, d: u32) -> f32 {
    if !HEAD_NORM { return 1.0; }
    if is_q { return q_norm[d]; }
    return k_norm[d];
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
    let word = ((kv_head * p.capacity + pos) * p.head_dim) / 2u;
    if is_v {
        for (var d = 0u; d < p.head_dim; d += 2u) {
            v_cache[word + d / 2u] = pack2x16float(vec2f(x[start + d], x[start + d + 1u]));
        }
        return;
    }
    var scale = 1.0;
    if HEAD_NORM {
        var sum = 0.0;
        for (var d = 0u; d < p.head_dim; d++) { sum += x[start + d] * x[start + d]; }
        scale = inverseSqrt(sum / f32(p.head_dim) + p.eps);
    }
    // The rotary partner of dimension d, and which of the pair d is.
    let half = p.rope_dims / 2u;
    for (var d = 0u; d < p.head_dim; d += 2u) {
        var out = vec2f(x[start + d] * norm_weight(is_q, d), x[start + d + 1u] * norm_weight(is_q, d + 1u)) * scale;
        if d < p.rope_dims {
            if INTERLEAVED {
                let c = rope_turn(pos, frequencies[d / 2u], p.factor);
                out = vec2f(out.x * c.x - out.y * c.y, out.y * c.x + out.x * c.y);
            } else {
                let both = vec2u(d, d + 1u);
                let second = both >= vec2u(half);
                let f = select(both, both - half, second);
                let partner = select(both + half, both - half, second);
                let other = vec2f(x[start + partner.x] * norm_weight(is_q, partner.x),
                                  x[start + partner.y] * norm_weight(is_q, partner.y)) * scale;
                let c0 = rope_turn(pos, frequencies[f.x], p.factor);
                let c1 = rope_turn(pos, frequencies[f.y], p.factor);
                let signed = select(-other, other, second);
                out = out * vec2f(c0.x, c1.x) + signed * vec2f(c0.y, c1.y);
            }
        }
        if is_q {
            q[t * p.q_stride + h * p.head_dim + d] = out.x;
            q[t * p.q_stride + h * p.head_dim + d + 1u] = out.y;
        } else {
            k_cache[word + d / 2u] = pack2x16float(out);
        }
    }
}
