// As attention_fours for one query: for heads too large for that, and for llvmpipe, which unrolls loops over a head's quads, and takes
// minutes over larger ones; where it does not, it ends them after 65,535 rounds in all.

fn attention_loop(wid: vec3u, nwg: vec3u, lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * WG + lid;
    let row = i % queries();
    let head = i / queries();
    if head >= heads() { return; }
    let at = q_at(head, row);
    let end = key_end(row);
    var begin = 0u;
    if window() > 0u && end > window() { begin = end - window(); }
    var qs: array<vec4f, HEAD_QUADS>;
    var acc: array<vec4f, HEAD_QUADS>;
    for (var d = 0u; d < HEAD_QUADS; d++) {
        qs[d] = q_quad(at, d) * p.scale;
        acc[d] = vec4f();
    }
    var top = -3.0e38;
    var total = 0.0;
    for (var s = begin; s < end; s += 4u) {
        let keys = min(vec4u(s) + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
        let k = vec4u(k_at(head, keys.x), k_at(head, keys.y), k_at(head, keys.z), k_at(head, keys.w));
        var s0 = vec4f();
        var s1 = vec4f();
        var s2 = vec4f();
        var s3 = vec4f();
        for (var d = 0u; d < HEAD_QUADS; d++) {
            let x = qs[d];
            s0 += x * k_quad(k.x, d);
            s1 += x * k_quad(k.y, d);
            s2 += x * k_quad(k.z, d);
            s3 += x * k_quad(k.w, d);
        }
        let sum = transpose(mat4x4f(s0, s1, s2, s3));
        let seen = vec4u(s) + vec4u(0u, 1u, 2u, 3u) < vec4u(end);
        let scores = select(vec4f(-3.0e38), sum[0] + sum[1] + sum[2] + sum[3], seen);
        let most = max(top, max(max(scores.x, scores.y), max(scores.z, scores.w)));
        let keep = exp(top - most);
        let w = exp(scores - most);
        top = most;
        total = total * keep + w.x + w.y + w.z + w.w;
        let v = vec4u(v_at(head, keys.x), v_at(head, keys.y), v_at(head, keys.z), v_at(head, keys.w));
        for (var d = 0u; d < HEAD_QUADS; d++) {
            acc[d] = acc[d] * keep + v_quad(v.x, d) * w.x + v_quad(v.y, d) * w.y + v_quad(v.z, d) * w.z + v_quad(v.w, d) * w.w;
        }
    }
    for (var d = 0u; d < HEAD_QUADS; d++) { put(y_at(head, row), d, acc[d] / total); }
}
