/// y[t, r] = sum_k w[r, k] * x[t, k] (+ bias[r]) (+ residual[t, r]); many input rows. A workgroup of 64 makes a tile of
/// TILE_ROWS input rows by 64 weight rows. GATED: half of these are r, the other half r + gate_rows:
/// y[t, r] = silu(w[r] x) * (w[r + gate_rows] x), or with GEGLU (w[r] x) * gelu(w[r + gate_rows] x).
/// Slots: weight, tile, activation.
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
override GATED: bool = false;
override GEGLU: bool = false;
override K_TAIL: bool = false;
override BOUNDED: bool = false;
struct Params { t: u32, k_quads: u32, x_quads: u32, blocks: u32, rows: u32, y_row: u32, y_stride: u32, gate_rows: u32 }
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn load_x(t: u32, q: u32, n: u32) -> vec4f {
    if t >= n || (K_TAIL && q >= p.k_quads) { return vec4f(); }
    return x[t * p.x_quads + q];
}

fn put(t: u32, r: u32, n: u32, value: f32) {
    if t >= n || r >= p.rows { return; }
    let at = t * p.y_stride + p.y_row + r;
    var v = value;
    if HAS_BIAS && !GATED { v += bias[p.y_row + r]; }
    if HAS_RESIDUAL { v += residual[at]; }
    y[at] = activate(v);
}

/// The biases of every eighth row from r on.
fn bias4(r: u32) -> vec4f {
    let last = vec4u(p.rows + p.gate_rows - 1u);
    let at = min(vec4u(r) + vec4u(0u, 8u, 16u, 24u), last);
    return vec4f(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
}

fn gate(r: u32, first: vec4f, second: vec4f) -> vec4f {
    var lo = first;
    var hi = second;
    if HAS_BIAS {
        lo += bias4(r);
        hi += bias4(r + p.gate_rows);
    }
    if GEGLU { return lo * gelu4(hi); }
    return lo / (1.0 + exp(-lo)) * hi;
}

fn put8(t: u32, r: u32, n: u32, sums: Sums8) {
    let lo = sums.lo;
    let hi = sums.hi;
    if GATED {
        let v = gate(r, lo, hi);
        put(t, r, n, v.x);
        put(t, r + 8u, n, v.y);
        put(t, r + 16u, n, v.z);
        put(t, r + 24u, n, v.w);
    } else {
        put(t, r, n, lo.x);
        put(t, r + 8u, n, lo.y);
        put(t, r + 16u, n, lo.z);
        put(t, r + 24u, n, lo.w);
        put(t, r + 32u, n, hi.x);
        put(t, r + 40u, n, hi.y);
        put(t, r + 48u, n, hi.z);
        put(t, r + 56u, n, hi.w);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let t0 = (wid.y + wid.z * nwg.y) * TILE_ROWS;
    if t0 >= n { return; }
    let tile_rows = select(64u, 32u, GATED);
    let r0 = wid.x * tile_rows;
    // The weight row this invocation unpacks, and the output row and input row it starts from.
    var row = r0 + lid;
    if GATED && lid >= 32u { row = p.gate_rows + r0 + lid - 32u; }
    row = min(row, select(p.rows, p.rows + p.gate_rows, GATED) - 1u);
    let tr = lid / 8u;
    let tc = lid % 8u;

    var sums: Tile;
    for (var b = 0u; b < p.blocks; b++) {
        tile_weights(lid, weight_block(row * p.blocks + b));
        // Neighbours read neighbouring quads of one input row.
        for (var i = 0u; i < TILE_ROWS; i += 8u) {
            tile_input(tc, i + tr, load_x(t0 + i + tr, b * 8u + tc, n));
        }
        workgroupBarrier();
        sums = tile_product(sums, tr, tc);
        workgroupBarrier();
    }
    let t = t0 + tr;
    let r = r0 + tc;
    put8(t, r, n, sums.s0);
    put8(t + 8u, r, n, sums.s1);
    put8(t + 16u, r, n, sums.s2);
    put8(t + 24u, r, n, sums.s3);
    if TILE_ROWS > 32u {
        put8(t + 32u, r, n, sums.s4);
        put8(t + 40u, r, n, sums.s5);
        put8(t + 48u, r, n, sums.s6);
        put8(t + 56u, r, n, sums.s7);
    }
}
