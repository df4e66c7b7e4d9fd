/// y[t, r] = sum_k w[r, k] * x[t, k] (+ bias[r]) (+ residual[t, r]); many input rows. A workgroup of 64 makes a tile of
/// 32 input rows by 64 weight rows, 32 k at a time through workgroup memory; an invocation makes 4 by 8 of it.
/// GATED: half the tile's rows are r, the other half r + gate_rows: y[t, r] = silu(w[r] x) * (w[r + gate_rows] x), or with
/// GEGLU (w[r] x) * gelu(w[r + gate_rows] x).
/// Slots: weight, activation.
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

var<workgroup> wt: array<vec4f, 512>; // [quad][row]
var<workgroup> xt: array<vec4f, 256>; // [quad][input row]

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

fn put8(t: u32, r: u32, n: u32, lo: vec4f, hi: vec4f) {
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

fn dots(a: vec4f, w0: vec4f, w1: vec4f, w2: vec4f, w3: vec4f) -> vec4f {
    return vec4f(dot(a, w0), dot(a, w1), dot(a, w2), dot(a, w3));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let t0 = (wid.y + wid.z * nwg.y) * 32u;
    if t0 >= n { return; }
    let tile_rows = select(64u, 32u, GATED);
    let r0 = wid.x * tile_rows;
    // The weight row this invocation unpacks, and the output row and input row it starts from.
    var row = r0 + lid;
    if GATED && lid >= 32u { row = p.gate_rows + r0 + lid - 32u; }
    row = min(row, select(p.rows, p.rows + p.gate_rows, GATED) - 1u);
    let tr = lid / 8u;
    let tc = lid % 8u;

    var a0 = vec4f(); var b0 = vec4f();
    var a1 = vec4f(); var b1 = vec4f();
    var a2 = vec4f(); var b2 = vec4f();
    var a3 = vec4f(); var b3 = vec4f();
    for (var b = 0u; b < p.blocks; b++) {
        let w = weight_block(row * p.blocks + b);
        wt[lid] = w.v0;
        wt[64u + lid] = w.v1;
        wt[128u + lid] = w.v2;
        wt[192u + lid] = w.v3;
        wt[256u + lid] = w.v4;
        wt[320u + lid] = w.v5;
        wt[384u + lid] = w.v6;
        wt[448u + lid] = w.v7;
        // Neighbours read neighbouring quads of one input row.
        for (var i = 0u; i < 4u; i++) {
            let t = i * 8u + tr;
            xt[tc * 32u + t] = load_x(t0 + t, b * 8u + tc, n);
        }
        workgroupBarrier();
        for (var q = 0u; q < 8u; q++) {
            let wq = q * 64u + tc;
            let w0 = wt[wq];
            let w1 = wt[wq + 8u];
            let w2 = wt[wq + 16u];
            let w3 = wt[wq + 24u];
            let w4 = wt[wq + 32u];
            let w5 = wt[wq + 40u];
            let w6 = wt[wq + 48u];
            let w7 = wt[wq + 56u];
            let xq = q * 32u + tr * 4u;
            let x0 = xt[xq];
            a0 += dots(x0, w0, w1, w2, w3); b0 += dots(x0, w4, w5, w6, w7);
            let x1 = xt[xq + 1u];
            a1 += dots(x1, w0, w1, w2, w3); b1 += dots(x1, w4, w5, w6, w7);
            let x2 = xt[xq + 2u];
            a2 += dots(x2, w0, w1, w2, w3); b2 += dots(x2, w4, w5, w6, w7);
            let x3 = xt[xq + 3u];
            a3 += dots(x3, w0, w1, w2, w3); b3 += dots(x3, w4, w5, w6, w7);
        }
        workgroupBarrier();
    }
    let t = t0 + tr * 4u;
    let r = r0 + tc;
    put8(t, r, n, a0, b0);
    put8(t + 1u, r, n, a1, b1);
    put8(t + 2u, r, n, a2, b2);
    put8(t + 3u, r, n, a3, b3);
}
