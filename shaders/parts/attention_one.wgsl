// As attention_fours for one query: for heads too large for that, and for llvmpipe, which unrolls loops over a head's quads, and takes
// minutes over larger ones; where it does not, it ends them after 65,535 rounds in all.

const LOWEST = -3.0e38;
/// Quads of a large head at a time: llvmpipe unrolls these, and counts fewer rounds. They do for 7,400 positions.
const KEY_STEP = select(1u, select(4u, 8u, HEAD_QUADS % 8u == 0u && HEAD_QUADS > 64u), HEAD_QUADS > 32u && HEAD_QUADS % 4u == 0u);
const VALUE_STEP = select(1u, select(4u, 8u, VALUE_QUADS % 8u == 0u && VALUE_QUADS > 64u), VALUE_QUADS > 32u && VALUE_QUADS % 4u == 0u);

fn attention_loop(wid: vec3u, nwg: vec3u, lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * WG + lid;
    let row = i % queries();
    let head = i / queries();
    if head >= heads() { return; }
    let at = q_at(head, row);
    let end = key_end(row);
    let begin = key_begin(row);
    var qs: array<vec4f, HEAD_QUADS>;
    var acc: array<vec4f, VALUE_QUADS>;
    for (var d = 0u; d < HEAD_QUADS; d++) { qs[d] = q_quad(at, d) * p.scale; }
    for (var d = 0u; d < VALUE_QUADS; d++) { acc[d] = vec4f(); }
    var top = LOWEST;
    var total = 0.0;
    if SINKS {
        top = sink(head, row);
        total = 1.0;
    }
    for (var s = begin; s < end; s += 4u) {
        let keys = min(vec4u(s) + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
        let k = vec4u(k_at(head, keys.x), k_at(head, keys.y), k_at(head, keys.z), k_at(head, keys.w));
        var s0 = vec4f();
        var s1 = vec4f();
        var s2 = vec4f();
        var s3 = vec4f();
        for (var d0 = 0u; d0 < HEAD_QUADS; d0 += KEY_STEP) {
            for (var i = 0u; i < KEY_STEP; i++) {
                let d = d0 + i;
                let x = qs[d];
                s0 += x * k_quad(k.x, d);
                s1 += x * k_quad(k.y, d);
                s2 += x * k_quad(k.z, d);
                s3 += x * k_quad(k.w, d);
            }
        }
        let sum = transpose(mat4x4f(s0, s1, s2, s3));
        let seen = vec4u(s) + vec4u(0u, 1u, 2u, 3u) < vec4u(end);
        var score = sum[0] + sum[1] + sum[2] + sum[3];
        if RELATIVE {
            score += vec4f(bias(head, row, keys.x), bias(head, row, keys.y), bias(head, row, keys.z), bias(head, row, keys.w));
        }
        let scores = select(vec4f(LOWEST), capped(score), seen);
        let most = max(top, max(max(scores.x, scores.y), max(scores.z, scores.w)));
        let keep = exp(top - most);
        let w = exp(scores - most);
        top = most;
        total = total * keep + w.x + w.y + w.z + w.w;
        let v = vec4u(v_at(head, keys.x), v_at(head, keys.y), v_at(head, keys.z), v_at(head, keys.w));
        for (var d0 = 0u; d0 < VALUE_QUADS; d0 += VALUE_STEP) {
            for (var i = 0u; i < VALUE_STEP; i++) {
                let d = d0 + i;
                acc[d] = acc[d] * keep + v_quad(v.x, d) * w.x + v_quad(v.y, d) * w.y + v_quad(v.z, d) * w.z + v_quad(v.w, d) * w.w;
            }
        }
    }
    for (var d = 0u; d < VALUE_QUADS; d++) { put(y_at(head, row), d, acc[d] / total); }
}
