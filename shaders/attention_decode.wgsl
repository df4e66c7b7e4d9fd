/// One new position's attention, split over the cache. Takes the raw row of q, k and v side by side, normalises (if
/// asked) and rotates q and k, appends k and v to the cache, and leaves for each head and split an unnormalised sum of
/// values with its maximum and weight; the next linear merges the splits as it reads (part input_merge).
/// A workgroup makes one split for all heads that share a key-value head. Parts: rope, rotated, scales, soft_cap. Slots: kv.
/// Prologue: HEAD_QUADS, VALUE_QUADS, GROUP, WG.
/// y: [head][split][elements of a value head], then [head][split][maximum, weight].
// Long because: norm, rotation, cache and scores of a new position are one dispatch.
override RING: bool = false;
override CAPPED: bool = false;
override SINKS: bool = false;
/// 0: no gate; 1: a number for each head; 2: for each element.
override GATE: u32 = 0u;
struct Params {
    heads: u32, kv_heads: u32, appended: u32, rope_dims: u32, capacity: u32, window: u32, splits: u32, least: u32, gate_first: u32,
    k_norm: u32, eps: f32, value_eps: f32, factor: f32, scale: f32, cap: f32, clamp: f32, growth: f32, growth_length: u32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> frequencies: array<u32>;
@group(0) @binding(3) var<storage, read> sinks: array<f32>;
@group(0) @binding(4) var<storage, read_write> k_cache: array<kv_quad>;
@group(0) @binding(5) var<storage, read_write> v_cache: array<kv_quad>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

const HEAD_DIM = HEAD_QUADS * 4u;
const VALUE_DIM = VALUE_QUADS * 4u;
/// Keys at a time, and the invocations that share the scores of one.
const KEYS = 64u;
const LANES = WG / KEYS;
/// Scores of one head that an invocation looks through for their maximum.
const RUN = 8u;
const RUNS = KEYS / RUN;
/// Quads of results, and how many invocations share the keys of one; each invocation has up to OWNED.
const QUADS = GROUP * VALUE_QUADS;
const SHARES = max(1u, WG / QUADS);
const OWNED = (QUADS * SHARES + WG - 1u) / WG;
const SHARED = select(1u, QUADS * SHARES, SHARES > 1u);
const LOWEST = -3.0e38;
// Row g < GROUP is head g's q; row GROUP is the new k.
var<workgroup> rows: array<vec4f, (GROUP + 1u) * HEAD_QUADS>;
var<workgroup> parts: array<f32, max(GROUP, 2u) * WG>; // [head][key][lane]: scores; before, [row][part]: squares
var<workgroup> weights: array<f32, GROUP * KEYS>; // [head][key]: scores, then weights
var<workgroup> tops: array<f32, GROUP>;
var<workgroup> run_tops: array<f32, GROUP * RUNS>;
var<workgroup> share_sums: array<vec4f, SHARED>;
var<workgroup> share_weights: array<f32, SHARED>;

/// Where a position lies in the cache.
fn slot(s: u32) -> u32 { return select(s, s % p.capacity, RING); }

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
            let at = p.heads * p.splits * VALUE_DIM + ((kv_head * GROUP + lid) * p.splits + split) * 2u;
            y[at] = LOWEST;
            y[at + 1u] = 0.0;
        }
        return;
    }
    let has_new = stop == end;
    let keys = p.heads * HEAD_DIM;
    let key = keys + kv_head * HEAD_DIM;
    let value = keys + p.kv_heads * HEAD_DIM + kv_head * VALUE_DIM;
    if HEAD_NORM > 0u || VALUE_NORM { scale_rows(kv_head, keys, key, value, lid); }
    for (var i = lid; i < (GROUP + 1u) * HEAD_QUADS; i += WG) {
        let r = i / HEAD_QUADS;
        let is_k = r == GROUP;
        let head = select(kv_head * GROUP + r, kv_head, is_k);
        let first = norm_first(select(0u, p.k_norm, is_k), head, HEAD_DIM);
        var factor = select(p.scale * growth(pos), 1.0, is_k);
        if HEAD_NORM > 0u { factor *= row_scale[r]; }
        rows[i] = rotated_quad(select(0u, keys, is_k) + head * HEAD_DIM, i % HEAD_QUADS * 4u, first, pos) * factor;
    }
    let sinks_here = SINKS && split == 0u;
    if lid < GROUP {
        tops[lid] = LOWEST;
        if sinks_here { tops[lid] = sinks[kv_head * GROUP + lid]; }
    }
    workgroupBarrier();
    let base = kv_head * p.capacity;
    if has_new && p.appended > 0u && (RING || pos < p.capacity) {
        let at = base + slot(pos);
        for (var i = lid; i < HEAD_QUADS; i += WG) { k_cache[at * HEAD_QUADS + i] = kv_pack(rows[GROUP * HEAD_QUADS + i]); }
        for (var i = lid; i < VALUE_QUADS; i += WG) {
            var v = element_quad(value + i * 4u);
            if VALUE_NORM { v *= row_scale[GROUP + 1u]; }
            v_cache[at * VALUE_QUADS + i] = kv_pack(v);
        }
    }
    storageBarrier();
    var acc: array<vec4f, OWNED>;
    var sums: array<f32, OWNED>;
    for (var o = 0u; o < OWNED; o++) { sums[o] = select(0.0, 1.0, sinks_here && o * WG + lid < QUADS); }
    for (var s0 = start; s0 < stop; s0 += KEYS) {
        // Four heads at a time, a key to LANES neighbours.
        let k_row = (base + slot(min(s0 + lid / LANES, stop - 1u))) * HEAD_QUADS;
        for (var g = 0u; g < GROUP; g += 4u) {
            let r = min(vec4u(g) + vec4u(0u, 1u, 2u, 3u), vec4u(GROUP)) * HEAD_QUADS;
            var score = vec4f();
            for (var d = lid % LANES; d < HEAD_QUADS; d += LANES) {
                let k = kv_unpack(k_cache[k_row + d]);
                score += vec4f(dot(k, rows[r.x + d]), dot(k, rows[r.y + d]), dot(k, rows[r.z + d]), dot(k, rows[r.w + d]));
            }
            parts[g * WG + lid] = score.x;
            if g + 1u < GROUP { parts[(g + 1u) * WG + lid] = score.y; }
            if g + 2u < GROUP { parts[(g + 2u) * WG + lid] = score.z; }
            if g + 3u < GROUP { parts[(g + 3u) * WG + lid] = score.w; }
        }
        workgroupBarrier();
        let size = min(KEYS, stop - s0);
        for (var i = lid; i < GROUP * RUNS; i += WG) {
            var top = LOWEST;
            for (var j = i * RUN; j < (i + 1u) * RUN; j++) {
                var score = 0.0;
                for (var l = 0u; l < LANES; l++) { score += parts[j * LANES + l]; }
                if CAPPED { score = soft_cap4(vec4f(score), p.cap).x; }
                score = select(LOWEST, score, j % KEYS < size);
                weights[j] = score;
                top = max(top, score);
            }
            run_tops[i] = top;
        }
        workgroupBarrier();
        for (var i = lid; i < GROUP * KEYS; i += WG) { weights[i] = exp(weights[i] - top_now(i / KEYS)); }
        workgroupBarrier();
        for (var o = 0u; o < OWNED; o++) {
            let i = o * WG + lid;
            if i < QUADS * SHARES {
                let g = i % QUADS / VALUE_QUADS;
                let keep = exp(tops[g] - top_now(g));
                var a = acc[o] * keep;
                var sum = sums[o] * keep;
                for (var j = i / QUADS; j < size; j += SHARES) {
                    let weight = weights[g * KEYS + j];
                    a += kv_unpack(v_cache[(base + slot(s0 + j)) * VALUE_QUADS + i % VALUE_QUADS]) * weight;
                    sum += weight;
                }
                acc[o] = a;
                sums[o] = sum;
            }
        }
        workgroupBarrier();
        if lid < GROUP { tops[lid] = top_now(lid); }
    }
    if SHARES > 1u {
        if lid < QUADS * SHARES {
            share_sums[lid] = acc[0];
            share_weights[lid] = sums[0];
        }
        workgroupBarrier();
        if lid < QUADS {
            for (var i = 1u; i < SHARES; i++) {
                acc[0] += share_sums[i * QUADS + lid];
                sums[0] += share_weights[i * QUADS + lid];
            }
        }
    }
    for (var o = 0u; o < OWNED; o++) {
        let i = o * WG + lid;
        if i < QUADS {
            let head = kv_head * GROUP + i / VALUE_QUADS;
            let at = (head * p.splits + split) * VALUE_DIM + (i % VALUE_QUADS) * 4u;
            var value_sum = acc[o];
            if GATE == 1u { value_sum /= 1.0 + exp(-x[p.gate_first + head]); }
            if GATE == 2u {
                let gate = p.gate_first + head * VALUE_DIM + (i % VALUE_QUADS) * 4u;
                value_sum /= 1.0 + exp(-vec4f(x[gate], x[gate + 1u], x[gate + 2u], x[gate + 3u]));
            }
            y[at] = value_sum.x;
            y[at + 1u] = value_sum.y;
            y[at + 2u] = value_sum.z;
            y[at + 3u] = value_sum.w;
            if i % VALUE_QUADS == 0u {
                let stats = p.heads * p.splits * VALUE_DIM + (head * p.splits + split) * 2u;
                y[stats] = top_now(i / VALUE_QUADS);
                y[stats + 1u] = sums[o];
            }
        }
    }
}
