/// softmax(q k^T * scale) v for every head of every picture, with an online softmax (Milakov and Gimelshein 2018, Dao et al.
/// 2022). A workgroup of 64 makes 32 queries of a head, 32 keys at a time: scores 4 by 4 to an invocation, 8 quads of the
/// head at a time through workgroup memory, then 4 queries by VALUE_STEPS quads of the result.
/// Slots: attend. Prologue: HEAD_DIM, HEAD_QUADS; VALUE_STEPS: eights of quads of the result in a workgroup.
var<workgroup> qt: array<vec4f, 256>; // [quad][query]
var<workgroup> kt: array<vec4f, 256>; // [quad][key], then [key][quad] of values
var<workgroup> weights: array<vec4f, 256>; // [key][four queries ^ key]: neighbours use different banks on both sides
var<workgroup> shares: array<vec4f, 64>; // [invocation of a query's eight][four queries]

const LOWEST = -3.0e38;

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
    return select(vec4f(LOWEST), score * p.scale, visible);
}

fn weights_at(s: u32, queries: u32) -> u32 { return s * 8u + (queries ^ (s % 8u)); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
    let t0 = wid.x * 32u;
    let head = wid.y % p.heads;
    let n = wid.y / p.heads;
    let value0 = wid.z * VALUE_STEPS * 8u;
    // Four queries, and one of the eight invocations that share them.
    let tr = lid / 8u;
    let tc = lid % 8u;
    let side = lid % 32u;
    let half = lid / 32u;
    let t = t0 + tr * 4u;
    let q_row = n * p.t + min(t0 + side, p.t - 1u);
    var top = vec4f(LOWEST);
    // Of the weights of this invocation's own keys.
    var total = vec4f();
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
            let quads = min(8u, HEAD_QUADS - quad0);
            for (var i = 0u; i < quads; i++) {
                let at = i * 32u + tr * 4u;
                let q0 = qt[at];
                let q1 = qt[at + 1u];
                let q2 = qt[at + 2u];
                let q3 = qt[at + 3u];
                let x = vec4f(q0.x, q1.x, q2.x, q3.x);
                let y = vec4f(q0.y, q1.y, q2.y, q3.y);
                let z = vec4f(q0.z, q1.z, q2.z, q3.z);
                let w = vec4f(q0.w, q1.w, q2.w, q3.w);
                let k0 = kt[i * 32u + tc];
                let k1 = kt[i * 32u + tc + 8u];
                let k2 = kt[i * 32u + tc + 16u];
                let k3 = kt[i * 32u + tc + 24u];
                a0 = fma(w, vec4f(k0.w), fma(z, vec4f(k0.z), fma(y, vec4f(k0.y), fma(x, vec4f(k0.x), a0))));
                a1 = fma(w, vec4f(k1.w), fma(z, vec4f(k1.z), fma(y, vec4f(k1.y), fma(x, vec4f(k1.x), a1))));
                a2 = fma(w, vec4f(k2.w), fma(z, vec4f(k2.z), fma(y, vec4f(k2.y), fma(x, vec4f(k2.x), a2))));
                a3 = fma(w, vec4f(k3.w), fma(z, vec4f(k3.z), fma(y, vec4f(k3.y), fma(x, vec4f(k3.x), a3))));
            }
        }
        a0 = seen(a0, t, s0 + tc);
        a1 = seen(a1, t, s0 + tc + 8u);
        a2 = seen(a2, t, s0 + tc + 16u);
        a3 = seen(a3, t, s0 + tc + 24u);
        shares[tc * 8u + tr] = max(max(a0, a1), max(a2, a3));
        workgroupBarrier();
        var most = top;
        for (var i = 0u; i < 8u; i++) { most = max(most, shares[i * 8u + tr]); }
        let keep = exp(top - most);
        top = most;
        a0 = exp(a0 - most);
        a1 = exp(a1 - most);
        a2 = exp(a2 - most);
        a3 = exp(a3 - most);
        total = total * keep + (a0 + a1 + a2 + a3);
        weights[weights_at(tc, tr)] = a0;
        weights[weights_at(tc + 8u, tr)] = a1;
        weights[weights_at(tc + 16u, tr)] = a2;
        weights[weights_at(tc + 24u, tr)] = a3;
        for (var step = 0u; step < VALUE_STEPS; step++) {
            if step > 0u { workgroupBarrier(); }
            // Neighbours read neighbouring quads of one row.
            for (var i = 0u; i < 32u; i += 8u) {
                let s = s0 + tr + i;
                kt[(tr + i) * 8u + tc] = load_v(n * p.s + s, value0 + step * 8u + tc, head, s < p.s);
            }
            workgroupBarrier();
            var r0 = acc[step * 4u] * keep.x;
            var r1 = acc[step * 4u + 1u] * keep.y;
            var r2 = acc[step * 4u + 2u] * keep.z;
            var r3 = acc[step * 4u + 3u] * keep.w;
            for (var s = 0u; s < 32u; s++) {
                let weight = weights[weights_at(s, tr)];
                let value = kt[s * 8u + tc];
                r0 = fma(vec4f(weight.x), value, r0);
                r1 = fma(vec4f(weight.y), value, r1);
                r2 = fma(vec4f(weight.z), value, r2);
                r3 = fma(vec4f(weight.w), value, r3);
            }
            acc[step * 4u] = r0;
            acc[step * 4u + 1u] = r1;
            acc[step * 4u + 2u] = r2;
            acc[step * 4u + 3u] = r3;
        }
        // The next tile's first barrier comes before anything is overwritten.
    }
    workgroupBarrier();
    shares[tc * 8u + tr] = total;
    workgroupBarrier();
    var all = vec4f();
    for (var i = 0u; i < 8u; i++) { all += shares[i * 8u + tr]; }
    for (var step = 0u; step < VALUE_STEPS; step++) {
        let quad = value0 + step * 8u + tc;
        for (var i = 0u; i < 4u; i++) {
            if t + i < p.t && quad < HEAD_QUADS {
                put((n * p.t + t + i) * p.y_stride + head * HEAD_DIM, quad, acc[step * 4u + i] / all[i]);
            }
        }
    }
}
