/// As linear_tile, without barriers: an invocation makes four input rows by four weight rows from registers alone.
/// For adapters that compute on the CPU. Slots: weight, activation.
override WG: u32 = 16u;
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

/// No branch here: SwiftShader's compiler took minutes over them.
fn load_x(row: u32, q: u32) -> vec4f {
    return select(x[row + q], vec4f(), K_TAIL & (q >= p.k_quads));
}

fn load_block(row: u32, b: u32) -> Block32 {
    let q = b * 8u;
    return Block32(load_x(row, q), load_x(row, q + 1u), load_x(row, q + 2u), load_x(row, q + 3u),
                   load_x(row, q + 4u), load_x(row, q + 5u), load_x(row, q + 6u), load_x(row, q + 7u));
}

fn put(t: u32, r: u32, n: u32, value: f32) {
    if t >= n || r >= p.rows { return; }
    let at = t * p.y_stride + p.y_row + r;
    var v = value;
    if HAS_BIAS && !GATED { v += bias[p.y_row + r]; }
    if HAS_RESIDUAL { v += residual[at]; }
    y[at] = activate(v);
}

/// Two rows of the result, of what w makes of x: rows r and r + 1, then those gate_rows further.
fn gate(r: vec4u, dots: vec4f) -> vec2f {
    var v = dots;
    if HAS_BIAS { v += vec4f(bias[r.x], bias[r.y], bias[r.z], bias[r.w]); }
    if GEGLU { return v.xy * gelu4(v).zw; }
    return v.xy / (1.0 + exp(-v.xy)) * v.zw;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let group = wid.x * WG + lid;
    let t = (wid.y + wid.z * nwg.y) * 4u;
    let each = select(4u, 2u, GATED);
    if t >= n || group * each >= p.rows { return; }
    let last = p.rows - 1u;
    var r = min(vec4u(group * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
    if GATED {
        let g = min(vec2u(group * 2u) + vec2u(0u, 1u), vec2u(last));
        r = vec4u(g, g + p.gate_rows);
    }
    let first = r * p.blocks;
    let xr = min(vec4u(t) + vec4u(0u, 1u, 2u, 3u), vec4u(n - 1u)) * p.x_quads;
    // One accumulator per input row, one component per weight row.
    var a0 = vec4f();
    var a1 = vec4f();
    var a2 = vec4f();
    var a3 = vec4f();
    for (var b = 0u; b < p.blocks; b++) {
        let w0 = weight_block(first.x + b);
        let w1 = weight_block(first.y + b);
        let w2 = weight_block(first.z + b);
        let w3 = weight_block(first.w + b);
        let x0 = load_block(xr.x, b);
        a0 += vec4f(block_dot(w0, x0), block_dot(w1, x0), block_dot(w2, x0), block_dot(w3, x0));
        let x1 = load_block(xr.y, b);
        a1 += vec4f(block_dot(w0, x1), block_dot(w1, x1), block_dot(w2, x1), block_dot(w3, x1));
        let x2 = load_block(xr.z, b);
        a2 += vec4f(block_dot(w0, x2), block_dot(w1, x2), block_dot(w2, x2), block_dot(w3, x2));
        let x3 = load_block(xr.w, b);
        a3 += vec4f(block_dot(w0, x3), block_dot(w1, x3), block_dot(w2, x3), block_dot(w3, x3));
    }
    for (var i = 0u; i < 4u; i++) {
        var v = a0;
        if i == 1u { v = a1; }
        if i == 2u { v = a2; }
        if i == 3u { v = a3; }
        if GATED {
            let gated = gate(r, v);
            put(t + i, group * 2u, n, gated.x);
            put(t + i, group * 2u + 1u, n, gated.y);
        } else {
            put(t + i, group * 4u, n, v.x);
            put(t + i, group * 4u + 1u, n, v.y);
            put(t + i, group * 4u + 2u, n, v.z);
            put(t + i, group * 4u + 3u, n, v.w);
        }
    }
}
