/// y[t] = w[ids[t]] * scale: rows of the token embedding. With ADDED, y[t] += w[ids[t]]; with POSITIONS, w[position of t]. One
/// invocation makes 32 elements. Slots: weight.
override BOUNDED: bool = false;
override ADDED: bool = false;
override POSITIONS: bool = false;
struct Params { t: u32, blocks: u32, quads: u32, row: u32, rows: u32, scale: f32 }
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn put(t: u32, q: u32, v: vec4f) {
    if q >= p.quads { return; }
    let at = t * p.quads + q;
    if ADDED { y[at] += v; } else { y[at] = v * p.scale; }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let t = i / p.blocks;
    if t >= n { return; }
    var id = 0u;
    if POSITIONS { id = state[0] + t; } else { id = ids[t]; }
    // Another slice of the table has this row.
    if id < p.row || id >= p.row + p.rows { return; }
    let b = i % p.blocks;
    let w = weight_block((id - p.row) * p.blocks + b);
    let q = b * 8u;
    put(t, q, w.v0);
    put(t, q + 1u, w.v1);
    put(t, q + 2u, w.v2);
    put(t, q + 3u, w.v3);
    put(t, q + 4u, w.v4);
    put(t, q + 5u, w.v5);
    put(t, q + 6u, w.v6);
    put(t, q + 7u, w.v7);
}
