/// y[t, r] = sum_k w[r, k] * x[t, k] (+ bias[r]) (+ residual[t, r]); many input rows. A workgroup of 64 makes a tile of
/// TILE_ROWS input rows by 64 weight rows. With a gate half of these are r, the other half r + gate_rows:
/// y[t, r] = silu(w[r] x) * (w[r + gate_rows] x), or another gate of part `gates`.
/// Slots: weight, tile with fill (or tile_int8), columns, linear, ends.
override BOUNDED: bool = false;
struct Params { t: u32, k_quads: u32, x_quads: u32, blocks: u32, rows: u32, y_row: u32, y_stride: u32, gate_rows: u32, ends: u32, scale: f32, cap: f32 }
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn load_x(t: u32, q: u32, n: u32) -> vec4f {
    if t >= n || q >= p.k_quads { return vec4f(); }
    return x[t * p.x_quads + q];
}

/// Input row t of the result: eight of its rows, from r on.
fn put8(t: u32, r: u32, n: u32, sums: Sums8) {
    if t >= n { return; }
    let first = t * p.y_stride + p.y_row;
    let lo = vec4u(r) + vec4u(0u, 8u, 16u, 24u);
    if has(GATED) {
        put4(first, lo, gated(lo, sums.lo, sums.hi));
    } else {
        put4(first, lo, sums.lo);
        put4(first, lo + 32u, sums.hi);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let t0 = (wid.y + wid.z * nwg.y) * TILE_ROWS;
    if t0 >= n { return; }
    let is_gated = has(GATED);
    let tile_rows = select(64u, 32u, is_gated);
    let r0 = wid.x * tile_rows;
    // The weight row this invocation unpacks, and the output row and input row it starts from.
    var row = r0 + lid;
    if is_gated && lid >= 32u { row = p.gate_rows + r0 + lid - 32u; }
    row = min(row, select(p.rows, p.rows + p.gate_rows, is_gated) - 1u);
    let tr = lid / 8u;
    let tc = lid % 8u;

    var sums: Tile;
    for (var b = 0u; b < p.blocks; b++) {
        tile_fill(lid, row, b, t0, n);
        workgroupBarrier();
        sums = tile_product(sums, tr, tc);
        workgroupBarrier();
    }
    let t = t0 + tr;
    let r = r0 + tc;
    for (var i = 0u; i < TILE_ROWS; i += 8u) {
        put8(t + i, r, n, sums.s0);
        sums = tile_shift(sums);
    }
}
