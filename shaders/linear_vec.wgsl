/// y[r] = sum_k w[r, k] * x[k] (+ bias[r]) (+ residual[r]); one input row. A group of lanes makes four rows.
/// GATED: rows r and r + gate_rows of w together make y[r] = silu(w[r] x) * (w[r + gate_rows] x), or with GEGLU
/// (w[r] x) * gelu(w[r + gate_rows] x).
/// Slots: weight, input, reduce, activation.
override WG: u32 = 64u;
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
override GATED: bool = false;
override GEGLU: bool = false;
override K_TAIL: bool = false;
struct Params { k: u32, k_quads: u32, blocks: u32, rows: u32, y_row: u32, gate_rows: u32, eps: f32 }
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> norm: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn input_block(b: u32) -> Block32 {
    let q = b * 8u;
    return Block32(input_quad(q), input_quad(q + 1u), input_quad(q + 2u), input_quad(q + 3u),
                   input_quad(q + 4u), input_quad(q + 5u), input_quad(q + 6u), input_quad(q + 7u));
}

fn put(r: u32, value: f32) {
    if r >= p.rows { return; }
    let at = p.y_row + r;
    var v = value;
    if HAS_BIAS && !GATED { v += bias[at]; }
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
    let group = reduce_group(wid.x + wid.y * nwg.x, lid);
    let last = p.rows - 1u;
    var r = vec4u(group * 4u) + vec4u(0u, 1u, 2u, 3u);
    if GATED {
        let g = min(vec2u(group * 2u) + vec2u(0u, 1u), vec2u(last));
        r = vec4u(g, g + p.gate_rows);
    } else {
        r = min(r, vec4u(last));
    }
    let first = r * p.blocks;
    let scale = input_scale(lid);
    var acc = vec4f();
    for (var b = reduce_lane(lid); b < p.blocks; b += reduce_lanes()) {
        let v = input_block(b);
        let s = v.v0 + v.v1 + v.v2 + v.v3 + v.v4 + v.v5 + v.v6 + v.v7;
        let sum = s.x + s.y + s.z + s.w;
        acc += vec4f(weight_dot(first.x + b, v, sum), weight_dot(first.y + b, v, sum),
                     weight_dot(first.z + b, v, sum), weight_dot(first.w + b, v, sum));
    }
    let dots = reduce_sum4(acc, lid) * scale;
    if reduce_lane(lid) != 0u { return; }
    if GATED {
        let gated = gate(r, dots);
        put(group * 2u, gated.x);
        put(group * 2u + 1u, gated.y);
    } else {
        put(group * 4u, dots.x);
        put(group * 4u + 1u, dots.y);
        put(group * 4u + 2u, dots.z);
        put(group * 4u + 3u, dots.w);
    }
}
