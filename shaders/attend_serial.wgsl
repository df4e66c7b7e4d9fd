/// As attend, without barriers: one invocation makes one head of one row. For adapters that compute on the CPU.
/// Slots: attend. Prologue: HEAD_DIM, HEAD_QUADS.
override WG: u32 = 4u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * WG + lid;
    let t = i % p.t;
    let head = (i / p.t) % p.heads;
    let n = i / (p.t * p.heads);
    if n >= p.n { return; }
    let at = (n * p.t + t) * p.q_stride + p.q_first + head * HEAD_DIM;
    var qs: array<vec4f, HEAD_QUADS>;
    var acc: array<vec4f, HEAD_QUADS>;
    for (var d = 0u; d < HEAD_QUADS; d++) {
        qs[d] = q_quad(at, d) * p.scale;
        acc[d] = vec4f();
    }
    var stop = p.s;
    if CAUSAL { stop = min(stop, t + 1u); }
    var top = -3.0e38;
    var sum = 0.0;
    var k_at = n * p.s * p.k_stride + p.k_first + head * HEAD_DIM;
    var v_at = n * p.s * p.v_stride + p.v_first + head * HEAD_DIM;
    for (var s = 0u; s < stop; s++) {
        var score4 = vec4f();
        for (var d = 0u; d < HEAD_QUADS; d++) { score4 += qs[d] * k_quad(k_at, d); }
        let score = score4.x + score4.y + score4.z + score4.w;
        let new_top = max(top, score);
        let keep = exp(top - new_top);
        let weight = exp(score - new_top);
        top = new_top;
        sum = sum * keep + weight;
        for (var d = 0u; d < HEAD_QUADS; d++) { acc[d] = acc[d] * keep + v_quad(v_at, d) * weight; }
        k_at += p.k_stride;
        v_at += p.v_stride;
    }
    let out = (n * p.t + t) * p.y_stride + head * HEAD_DIM;
    for (var d = 0u; d < HEAD_QUADS; d++) { put(out, d, acc[d] / sum); }
}
