/// softmax(q k^T / sqrt(head_dim)) v over the cache, causal, with an online softmax. A workgroup makes 64 rows (position
/// by head within a group of heads that share a key-value head), an invocation one row; tiles of keys and values
/// pass through workgroup memory as they lie in the cache.
/// Slots: kv. Prologue: HEAD_QUADS = head_dim / 4.
override BOUNDED: bool = false;
struct Params { t: u32, heads: u32, group: u32, q_quads: u32, capacity: u32, window: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k_cache: array<kv_quad>;
@group(0) @binding(2) var<storage, read> v_cache: array<kv_quad>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> k_tile: array<kv_quad, KV_TILE * HEAD_QUADS>;
var<workgroup> v_tile: array<kv_quad, KV_TILE * HEAD_QUADS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let rows = n * p.group;
    if wid.x * 64u >= rows { return; }
    let row = min(wid.x * 64u + lid, rows - 1u);
    let t = row / p.group;
    let h = wid.y * p.group + row % p.group;
    let first_t = (wid.x * 64u) / p.group;
    let last_t = min((wid.x * 64u + 63u) / p.group, n - 1u);
    let end = state[0] + t + 1u;
    var begin = 0u;
    var tile_begin = 0u;
    if p.window > 0u {
        if end > p.window { begin = end - p.window; }
        let first_end = state[0] + first_t + 1u;
        if first_end > p.window { tile_begin = first_end - p.window; }
    }
    let tile_end = state[0] + last_t + 1u;
    let base = wid.y * p.capacity * HEAD_QUADS;
    let at = t * p.q_quads + h * HEAD_QUADS;
    var qs: array<vec4f, HEAD_QUADS>;
    var acc: array<vec4f, HEAD_QUADS>;
    for (var d = 0u; d < HEAD_QUADS; d++) {
        qs[d] = q[at + d] * p.scale;
        acc[d] = vec4f();
    }
    var top = -3.0e38;
    var sum = 0.0;
    for (var s0 = tile_begin; s0 < tile_end; s0 += KV_TILE) {
        let size = min(KV_TILE, tile_end - s0) * HEAD_QUADS;
        workgroupBarrier();
        for (var i = lid; i < size; i += 64u) {
            k_tile[i] = k_cache[base + s0 * HEAD_QUADS + i];
            v_tile[i] = v_cache[base + s0 * HEAD_QUADS + i];
        }
        workgroupBarrier();
        let start = max(begin, s0);
        let stop = min(end, s0 + KV_TILE);
        for (var s = start; s < stop; s++) {
            let k = (s - s0) * HEAD_QUADS;
            var score4 = vec4f();
            for (var d = 0u; d < HEAD_QUADS; d++) { score4 += qs[d] * kv_unpack(k_tile[k + d]); }
            let score = score4.x + score4.y + score4.z + score4.w;
            if score > top {
                let keep = exp(top - score);
                top = score;
                sum *= keep;
                for (var d = 0u; d < HEAD_QUADS; d++) { acc[d] *= keep; }
            }
            let weight = exp(score - top);
            sum += weight;
            for (var d = 0u; d < HEAD_QUADS; d++) { acc[d] += kv_unpack(v_tile[k + d]) * weight; }
        }
    }
    if wid.x * 64u + lid >= rows { return; }
    for (var d = 0u; d < HEAD_QUADS; d++) { y[at + d] = acc[d] / sum; }
}
