/// softmax(q k^T * scale) v over the cache, causal. A workgroup makes a tile of rows: position by head within a group of
/// heads that share a key-value head.
/// Slots: kv, attention. Prologue: HEAD_QUADS, QUERY_FOURS, VALUE_STEPS.
override WG: u32 = 64u;
override BOUNDED: bool = false;
struct Params { t: u32, heads: u32, group: u32, q_quads: u32, capacity: u32, window: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k_cache: array<kv_quad>;
@group(0) @binding(2) var<storage, read> v_cache: array<kv_quad>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn heads() -> u32 { return p.heads / p.group; }
fn queries() -> u32 { return select(p.t, min(p.t, state[1]), BOUNDED) * p.group; }
fn key_end(row: u32) -> u32 { return state[0] + row / p.group + 1u; }
fn window() -> u32 { return p.window; }

// Where heads begin, in quads.
fn q_at(head: u32, row: u32) -> u32 { return row / p.group * p.q_quads + (head * p.group + row % p.group) * HEAD_QUADS; }
fn y_at(head: u32, row: u32) -> u32 { return q_at(head, row); }
fn k_at(head: u32, s: u32) -> u32 { return (head * p.capacity + s) * HEAD_QUADS; }
fn v_at(head: u32, s: u32) -> u32 { return k_at(head, s); }
fn q_quad(at: u32, quad: u32) -> vec4f { return q[at + quad]; }
fn k_quad(at: u32, quad: u32) -> vec4f { return kv_unpack(k_cache[at + quad]); }
fn v_quad(at: u32, quad: u32) -> vec4f { return kv_unpack(v_cache[at + quad]); }
fn put(at: u32, quad: u32, value: vec4f) { y[at + quad] = value; }

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    attention_loop(wid, nwg, lid);
}
