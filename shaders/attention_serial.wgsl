/// softmax(q k^T / sqrt(head_dim)) v over the cache, causal, with an online softmax; one invocation makes one head of
/// one position, without barriers. For adapters that compute on the CPU.
/// Slots: kv. Prologue: HEAD_QUADS = head_dim / 4.
override WG: u32 = 4u;
override BOUNDED: bool = false;
struct Params { t: u32, heads: u32, group: u32, q_quads: u32, capacity: u32, window: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k_cache: array<kv_quad>;
@group(0) @binding(2) var<storage, read> v_cache: array<kv_quad>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let i = (wid.x + wid.y * nwg.x) * WG + lid;
    let t = i / p.heads;
    let h = i % p.heads;
    if t >= n { return; }
    let end = state[0] + t + 1u;
    var begin = 0u;
    if p.window > 0u && end > p.window { begin = end - p.window; }
    let base = (h / p.group) * p.capacity * HEAD_QUADS;
    let at = t * p.q_quads + h * HEAD_QUADS;
    var qs: array<vec4f, HEAD_QUADS>;
    var acc: array<vec4f, HEAD_QUADS>;
    for (var d = 0u; d < HEAD_QUADS; d++) {
        qs[d] = q[at + d] * p.scale;
        acc[d] = vec4f();
    }
    var top = -3.0e38;
    var sum = 0.0;
    for (var s = begin; s < end; s++) {
        let row = base + s * HEAD_QUADS;
        var score4 = vec4f();
        for (var d = 0u; d < HEAD_QUADS; d++) { score4 += qs[d] * kv_unpack(k_cache[row + d]); }
        let score = score4.x + score4.y + score4.z + score4.w;
        let new_top = max(top, score);
        let keep = exp(top - new_top);
        let weight = exp(score - new_top);
        top = new_top;
        sum = sum * keep + weight;
        for (var d = 0u; d < HEAD_QUADS; d++) { acc[d] = acc[d] * keep + kv_unpack(v_cache[row + d]) * weight; }
    }
    for (var d = 0u; d < HEAD_QUADS; d++) { y[at + d] = acc[d] / sum; }
}
