/// One new position's attention, split over the cache. Takes the raw row of q, k and v side by side, normalises (if
/// asked) and rotates q and k, appends k and v to the cache, and leaves for each head and split an unnormalised sum of
/// values with its maximum and weight; the next linear merges the splits as it reads (part input_merge).
/// A workgroup makes one split for all heads that share a key-value head. Parts: rope. Slots: kv. Prologue: HEAD_QUADS, GROUP.
/// y: [head][split][head_dim], then [head][split][maximum, weight].
override HEAD_NORM: bool = false;
override INTERLEAVED: bool = false;
struct Params {
    heads: u32, kv_heads: u32, rope_dims: u32, capacity: u32, window: u32, splits: u32, least: u32, eps: f32, factor: f32, scale: f32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> q_norm: array<f32>;
@group(0) @binding(2) var<storage, read> k_norm: array<f32>;
@group(0) @binding(3) var<storage, read> frequencies: array<u32>;
@group(0) @binding(4) var<storage, read_write> k_cache: array<kv_quad>;
@group(0) @binding(5) var<storage, read_write> v_cache: array<kv_quad>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

const WG = 64u;
const HEAD_DIM = HEAD_QUADS * 4u;
/// Scores of one head that an invocation looks through for their maximum.
const RUN = 8u;
const RUNS = WG / RUN;
const LOWEST = -3.0e38;
// Row g < GROUP is head g's q; row GROUP is the new k.
var<workgroup> rows: array<f32, (GROUP + 1u) * HEAD_DIM>;
var<workgroup> scores: array<f32, GROUP * WG>;
var<workgroup> row_scale: array<f32, GROUP + 1u>;
var<workgroup> tops: array<f32, GROUP>;
var<workgroup> run_tops: array<f32, GROUP * RUNS>;

/// Element d of row r before rotation.
fn raw(r: u32, kv_head: u32, d: u32) -> f32 {
    if r == GROUP {
        return x[(p.heads + kv_head) * HEAD_DIM + d];
    }
    return x[(kv_head * GROUP + r) * HEAD_DIM + d];
}

fn normed(r: u32, kv_head: u32, d: u32) -> f32 {
    let v = raw(r, kv_head, d);
    if !HEAD_NORM { return v; }
    if r == GROUP { return v * k_norm[d] * row_scale[r]; }
    return v * q_norm[d] * row_scale[r];
}

fn rotated(r: u32, kv_head: u32, d: u32, pos: u32) -> f32 {
    let v = normed(r, kv_head, d);
    if d >= p.rope_dims { return v; }
    let half = p.rope_dims / 2u;
    var pair = d / 2u;
    var partner = d ^ 1u;
    var second = (d & 1u) == 1u;
    if !INTERLEAVED {
        second = d >= half;
        pair = select(d, d - half, second);
        partner = select(d + half, d - half, second);
    }
    let c = rope_turn(pos, frequencies[pair], p.factor);
    return v * c.x + select(-1.0, 1.0, second) * normed(r, kv_head, partner) * c.y;
}

fn row_quad(row: u32, d: u32) -> vec4f {
    let r = row + d * 4u;
    return vec4f(rows[r], rows[r + 1u], rows[r + 2u], rows[r + 3u]);
}

/// The highest score of head g so far, with the latest runs.
fn top_now(g: u32) -> f32 {
    var top = tops[g];
    for (var i = 0u; i < RUNS; i++) { top = max(top, run_tops[g * RUNS + i]); }
    return top;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
    let kv_head = wid.y;
    let split = wid.x;
    let pos = state[0];
    let end = pos + 1u;
    var begin = 0u;
    if p.window > 0u && end > p.window { begin = end - p.window; }
    // Splits of equal length, none so short that its fixed cost outweighs its keys; those past the end stay empty.
    let each = max((end - begin + p.splits - 1u) / p.splits, p.least);
    let start = begin + split * each;
    let stop = min(start + each, end);
    if start >= stop {
        if lid < GROUP {
            let at = p.heads * p.splits * HEAD_DIM + ((kv_head * GROUP + lid) * p.splits + split) * 2u;
            y[at] = LOWEST;
            y[at + 1u] = 0.0;
        }
        return;
    }
    let has_new = stop == end;
    if HEAD_NORM {
        if lid <= GROUP {
            var sum = 0.0;
            for (var d = 0u; d < HEAD_DIM; d++) {
                let v = raw(lid, kv_head, d);
                sum += v * v;
            }
            row_scale[lid] = inverseSqrt(sum / f32(HEAD_DIM) + p.eps);
        }
        workgroupBarrier();
    }
    for (var i = lid; i < (GROUP + 1u) * HEAD_DIM; i += WG) {
        rows[i] = rotated(i / HEAD_DIM, kv_head, i % HEAD_DIM, pos) * select(1.0, p.scale, i < GROUP * HEAD_DIM);
    }
    if lid < GROUP { tops[lid] = LOWEST; }
    workgroupBarrier();
    let base = kv_head * p.capacity * HEAD_QUADS;
    if has_new && pos < p.capacity {
        for (var i = lid; i < HEAD_QUADS; i += WG) {
            let k = GROUP * HEAD_DIM + i * 4u;
            let v = (p.heads + p.kv_heads + kv_head) * HEAD_DIM + i * 4u;
            k_cache[base + pos * HEAD_QUADS + i] = kv_pack(vec4f(rows[k], rows[k + 1u], rows[k + 2u], rows[k + 3u]));
            v_cache[base + pos * HEAD_QUADS + i] = kv_pack(vec4f(x[v], x[v + 1u], x[v + 2u], x[v + 3u]));
        }
    }
    storageBarrier();
    // Each invocation gathers up to OWNED of the group's output quads, and for each the sum of the weights.
    const OWNED = (GROUP * HEAD_QUADS + WG - 1u) / WG;
    var acc: array<vec4f, OWNED>;
    var sums: array<f32, OWNED>;
    for (var s0 = start; s0 < stop; s0 += WG) {
        // A key to each invocation, four heads at a time.
        let s = s0 + lid;
        for (var g = 0u; g < GROUP; g += 4u) {
            var score = vec4f(LOWEST);
            if s < stop {
                let r = min(vec4u(g) + vec4u(0u, 1u, 2u, 3u), vec4u(GROUP)) * HEAD_DIM;
                score = vec4f();
                for (var d = 0u; d < HEAD_QUADS; d++) {
                    let k = kv_unpack(k_cache[base + s * HEAD_QUADS + d]);
                    score += vec4f(dot(k, row_quad(r.x, d)), dot(k, row_quad(r.y, d)),
                                   dot(k, row_quad(r.z, d)), dot(k, row_quad(r.w, d)));
                }
            }
            scores[g * WG + lid] = score.x;
            if g + 1u < GROUP { scores[(g + 1u) * WG + lid] = score.y; }
            if g + 2u < GROUP { scores[(g + 2u) * WG + lid] = score.z; }
            if g + 3u < GROUP { scores[(g + 3u) * WG + lid] = score.w; }
        }
        workgroupBarrier();
        for (var i = lid; i < GROUP * RUNS; i += WG) {
            var top = scores[i * RUN];
            for (var j = 1u; j < RUN; j++) { top = max(top, scores[i * RUN + j]); }
            run_tops[i] = top;
        }
        workgroupBarrier();
        for (var g = 0u; g < GROUP; g++) {
            scores[g * WG + lid] = exp(scores[g * WG + lid] - top_now(g));
        }
        workgroupBarrier();
        let size = min(WG, stop - s0);
        for (var o = 0u; o < OWNED; o++) {
            let i = o * WG + lid;
            if i < GROUP * HEAD_QUADS {
                let g = i / HEAD_QUADS;
                let d = i % HEAD_QUADS;
                let keep = exp(tops[g] - top_now(g));
                var a = acc[o] * keep;
                var sum = sums[o] * keep;
                for (var j = 0u; j < size; j++) {
                    let weight = scores[g * WG + j];
                    a += kv_unpack(v_cache[base + (s0 + j) * HEAD_QUADS + d]) * weight;
                    sum += weight;
                }
                acc[o] = a;
                sums[o] = sum;
            }
        }
        workgroupBarrier();
        if lid < GROUP { tops[lid] = top_now(lid); }
    }
    for (var o = 0u; o < OWNED; o++) {
        let i = o * WG + lid;
        if i < GROUP * HEAD_QUADS {
            let head = kv_head * GROUP + i / HEAD_QUADS;
            let at = (head * p.splits + split) * HEAD_DIM + (i % HEAD_QUADS) * 4u;
            y[at] = acc[o].x;
            y[at + 1u] = acc[o].y;
            y[at + 2u] = acc[o].z;
            y[at + 3u] = acc[o].w;
            if i % HEAD_QUADS == 0u {
                let stats = p.heads * p.splits * HEAD_DIM + (head * p.splits + split) * 2u;
                y[stats] = top_now(i / HEAD_QUADS);
                y[stats + 1u] = sums[o];
            }
        }
    }
}
