/// softmax(q k^T * scale) v for every head of every picture, with an online softmax (Milakov and Gimelshein 2018, Dao et al.
/// 2022). A workgroup of 64 makes 32 queries of a head, 32 keys at a time: scores 4 by 4 to an invocation, 8 quads of the
/// head at a time through workgroup memory, then 4 queries by VALUE_STEPS quads of the result.
/// Slots: attend. Prologue: HEAD_DIM, HEAD_QUADS; VALUE_STEPS: eights of quads of the result in a workgroup.
var<workgroup> qt: array<vec4f, 256>; // [quad][query]
var<workgroup> kt: array<vec4f, 256>; // [quad][key], then [quad][key] of values
var<workgroup> scores: array<vec4f, 256>; // [key][four queries]
var<workgroup> top: array<f32, 32>;
var<workgroup> total: array<f32, 32>;
var<workgroup> keep: array<f32, 32>;

fn load_q(row: u32, quad: u32, head: u32) -> vec4f {
    if quad >= HEAD_QUADS { return vec4f(); }
    return q_quad(row * p.q_stride + p.q_first + head * HEAD_DIM, quad);
}

fn load_k(row: u32, quad: u32, head: u32, inside: bool) -> vec4f {
    if quad >= HEAD_QUADS || !inside { return vec4f(); }
    return k_quad(row * p.k_stride + p.k_first + head * HEAD_DIM, quad);
}

fn load_v(row: u32, quad: u32, head: u32, inside: bool) -> vec4f {
    if quad >= HEAD_QUADS || !inside { return vec4f(); }
    return v_quad(row * p.v_stride + p.v_first + head * HEAD_DIM, quad);
}

/// A score, or what no query sees.
fn seen(score: vec4f, t: u32, s: u32) -> vec4f {
    let rows = vec4u(t) + vec4u(0u, 1u, 2u, 3u);
    var visible = vec4<bool>(s < p.s);
    if CAUSAL { visible = visible & (rows >= vec4u(s)); }
    return select(vec4f(-3.0e38), score * p.scale, visible);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
    let t0 = wid.x * 32u;
    let head = wid.y % p.heads;
    let n = wid.y / p.heads;
    let value0 = wid.z * VALUE_STEPS * 8u;
    let tr = lid / 8u;
    let tc = lid % 8u;
    let side = lid % 32u;
    let half = lid / 32u;
    let q_row = n * p.t + min(t0 + side, p.t - 1u);
    if lid < 32u {
        top[lid] = -3.0e38;
        total[lid] = 0.0;
    }
    var acc: array<vec4f, 4u * VALUE_STEPS>;
    for (var i = 0u; i < 4u * VALUE_STEPS; i++) { acc[i] = vec4f(); }
    var stop = p.s;
    if CAUSAL { stop = min(stop, t0 + 32u); }
    for (var s0 = 0u; s0 < stop; s0 += 32u) {
        // Four keys, each with its scores against four queries.
        var a0 = vec4f(); var a1 = vec4f(); var a2 = vec4f(); var a3 = vec4f();
        let inside = s0 + side < p.s;
        let s_row = n * p.s + s0 + side;
        for (var quad0 = 0u; quad0 < HEAD_QUADS; quad0 += 8u) {
            workgroupBarrier();
            for (var i = 0u; i < 4u; i++) {
                let quad = half * 4u + i;
                qt[quad * 32u + side] = load_q(q_row, quad0 + quad, head);
                kt[quad * 32u + side] = load_k(s_row, quad0 + quad, head, inside);
            }
            workgroupBarrier();
            for (var i = 0u; i < 8u; i++) {
                let at = i * 32u + tr * 4u;
                let q0 = qt[at];
                let q1 = qt[at + 1u];
                let q2 = qt[at + 2u];
                let q3 = qt[at + 3u];
                let k0 = kt[i * 32u + tc];
                let k1 = kt[i * 32u + tc + 8u];
                let k2 = kt[i * 32u + tc + 16u];
                let k3 = kt[i * 32u + tc + 24u];
                a0 += vec4f(dot(q0, k0), dot(q1, k0), dot(q2, k0), dot(q3, k0));
                a1 += vec4f(dot(q0, k1), dot(q1, k1), dot(q2, k1), dot(q3, k1));
                a2 += vec4f(dot(q0, k2), dot(q1, k2), dot(q2, k2), dot(q3, k2));
                a3 += vec4f(dot(q0, k3), dot(q1, k3), dot(q2, k3), dot(q3, k3));
            }
        }
        let t = t0 + tr * 4u;
        scores[tc * 8u + tr] = seen(a0, t, s0 + tc);
        scores[(tc + 8u) * 8u + tr] = seen(a1, t, s0 + tc + 8u);
        scores[(tc + 16u) * 8u + tr] = seen(a2, t, s0 + tc + 16u);
        scores[(tc + 24u) * 8u + tr] = seen(a3, t, s0 + tc + 24u);
        workgroupBarrier();
        if lid < 8u {
            // Four queries to an invocation.
            var most = vec4f(top[lid * 4u], top[lid * 4u + 1u], top[lid * 4u + 2u], top[lid * 4u + 3u]);
            let before = most;
            for (var s = 0u; s < 32u; s++) { most = max(most, scores[s * 8u + lid]); }
            let fade = exp(before - most);
            var sum = vec4f();
            for (var s = 0u; s < 32u; s++) {
                let weight = exp(scores[s * 8u + lid] - most);
                scores[s * 8u + lid] = weight;
                sum += weight;
            }
            for (var i = 0u; i < 4u; i++) {
                top[lid * 4u + i] = most[i];
                keep[lid * 4u + i] = fade[i];
                total[lid * 4u + i] = total[lid * 4u + i] * fade[i] + sum[i];
            }
        }
        for (var step = 0u; step < VALUE_STEPS; step++) {
            workgroupBarrier();
            for (var i = 0u; i < 4u; i++) {
                let quad = half * 4u + i;
                kt[quad * 32u + side] = load_v(s_row, value0 + step * 8u + quad, head, inside);
            }
            workgroupBarrier();
            var r0 = acc[step * 4u] * keep[tr * 4u];
            var r1 = acc[step * 4u + 1u] * keep[tr * 4u + 1u];
            var r2 = acc[step * 4u + 2u] * keep[tr * 4u + 2u];
            var r3 = acc[step * 4u + 3u] * keep[tr * 4u + 3u];
            for (var s = 0u; s < 32u; s++) {
                let weight = scores[s * 8u + tr];
                let value = kt[tc * 32u + s];
                r0 += weight.x * value;
                r1 += weight.y * value;
                r2 += weight.z * value;
                r3 += weight.w * value;
            }
            acc[step * 4u] = r0;
            acc[step * 4u + 1u] = r1;
            acc[step * 4u + 2u] = r2;
            acc[step * 4u + 3u] = r3;
        }
        // The next tile's first barrier comes before anything is overwritten.
    }
    workgroupBarrier();
    for (var step = 0u; step < VALUE_STEPS; step++) {
        let quad = value0 + step * 8u + tc;
        for (var i = 0u; i < 4u; i++) {
            let t = t0 + tr * 4u + i;
            if t < p.t && quad < HEAD_QUADS {
                put((n * p.t + t) * p.y_stride + head * HEAD_DIM, quad, acc[step * 4u + i] / total[tr * 4u + i]);
            }
        }
    }
}
