/// softmax(q k^T * scale) v over the cache, causal; or PACKED, within sequences that lie one after the other, row t of which
/// begins at row state[64 + 2 t] and ends before the next word. A workgroup makes a tile of rows: position by head within a
/// group of heads that share a key-value head.
/// Slots: kv, attention. Prologue: HEAD_QUADS, VALUE_QUADS, QUERY_FOURS, VALUE_STEPS.
override WG: u32 = 64u;
override BOUNDED: bool = false;
override RING: bool = false;
override CAPPED: bool = false;
override SINKS: bool = false;
/// 0: no gate; 1: a number for each head; 2: for each element.
override GATE: u32 = 0u;
override PACKED: bool = false;
/// A bias of each score by how far apart query and key are.
override RELATIVE: bool = false;
struct Params {
    t: u32, heads: u32, group: u32, q_quads: u32, y_quads: u32, capacity: u32, window: u32, gate_stride: u32, gate_first: u32,
    ahead: u32, buckets: u32, reach: u32, scale: f32, cap: f32,
}
@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k_cache: array<kv_quad>;
@group(0) @binding(2) var<storage, read> v_cache: array<kv_quad>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read> sinks: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(0) @binding(7) var<storage, read> relative: array<f32>; // [bucket][head]
@group(1) @binding(0) var<uniform> p: Params;

fn heads() -> u32 { return p.heads / p.group; }
fn queries() -> u32 { return select(p.t, min(p.t, state[1]), BOUNDED) * p.group; }
/// The row where the sequence of a row begins, or the one before which it ends.
fn bounds(t: u32, end: u32) -> u32 { return state[64u + 2u * min(t, p.t - 1u) + end]; }
fn key_end(row: u32) -> u32 {
    let t = row / p.group;
    if PACKED { return min(bounds(t, 1u), t + 1u + min(p.ahead, p.t)); }
    return state[0] + t + 1u;
}
fn key_begin(row: u32) -> u32 {
    let t = row / p.group;
    if PACKED { return max(bounds(t, 0u), select(0u, t + 1u - min(t + 1u, p.window), p.window > 0u)); }
    let end = key_end(row);
    return select(0u, end - min(end, p.window), p.window > 0u);
}
fn window() -> u32 { return p.window; }
/// The bias of a row's score with key s: `relative` has a row for each bucket, of all heads; which bucket a distance is in
/// stands at state[buckets] and on, first for keys before and then for keys behind.
fn bias(head: u32, row: u32, s: u32) -> f32 {
    if !RELATIVE { return 0.0; }
    let t = row / p.group;
    let behind = select(0u, p.reach + 1u, s > t);
    let distance = min(max(s, t) - min(s, t), p.reach);
    return relative[state[p.buckets + behind + distance] * p.heads + head * p.group + row % p.group];
}
fn capped(score: vec4f) -> vec4f {
    if CAPPED { return soft_cap4(score, p.cap); }
    return score;
}
fn sink(head: u32, row: u32) -> f32 { return sinks[head * p.group + row % p.group]; }

// Where heads begin, in quads.
fn q_at(head: u32, row: u32) -> u32 { return row / p.group * p.q_quads + (head * p.group + row % p.group) * HEAD_QUADS; }
fn y_at(head: u32, row: u32) -> u32 { return row / p.group * p.y_quads + (head * p.group + row % p.group) * VALUE_QUADS; }
fn slot(head: u32, s: u32) -> u32 { return head * p.capacity + select(s, s % p.capacity, RING); }
fn k_at(head: u32, s: u32) -> u32 { return slot(head, s) * HEAD_QUADS; }
fn v_at(head: u32, s: u32) -> u32 { return slot(head, s) * VALUE_QUADS; }
fn q_quad(at: u32, quad: u32) -> vec4f { return q[at + quad]; }
fn k_quad(at: u32, quad: u32) -> vec4f { return kv_unpack(k_cache[at + quad]); }
fn v_quad(at: u32, quad: u32) -> vec4f { return kv_unpack(v_cache[at + quad]); }
fn gate_of(at: u32, quad: u32) -> vec4f {
    let first = at / p.y_quads * p.gate_stride + p.gate_first;
    let head = at % p.y_quads / VALUE_QUADS;
    if GATE == 1u { return vec4f(gates[first + head]); }
    let g = first + (head * VALUE_QUADS + quad) * 4u;
    return vec4f(gates[g], gates[g + 1u], gates[g + 2u], gates[g + 3u]);
}
fn put(at: u32, quad: u32, value: vec4f) {
    if GATE == 0u { y[at + quad] = value; } else { y[at + quad] = value / (1.0 + exp(-gate_of(at, quad))); }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    attention_loop(wid, nwg, lid);
}
