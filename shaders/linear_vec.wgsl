/// y[r] = sum_k w[r, k] * x[k] (+ bias[r]) (+ residual[r]); one input row. A group of lanes makes four rows.
/// With a gate, rows r and r + gate_rows of w together make y[r] = silu(w[r] x) * (w[r + gate_rows] x), or another
/// gate of part `gates`.
/// Slots: weight, input, dots, reduce, linear, ends.
override WG: u32 = 64u;
override K_TAIL: bool = false;
struct Params { k: u32, k_quads: u32, blocks: u32, rows: u32, y_row: u32, gate_rows: u32, eps: f32, ends: u32, scale: f32, cap: f32 }
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

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let group = reduce_group(wid.x + wid.y * nwg.x, lid);
    let last = p.rows - 1u;
    var r = vec4u(group * 4u) + vec4u(0u, 1u, 2u, 3u);
    if has(GATED) {
        let g = min(vec2u(group * 2u) + vec2u(0u, 1u), vec2u(last));
        r = vec4u(g, g + p.gate_rows);
    } else {
        r = min(r, vec4u(last));
    }
    let first = r * p.blocks;
    let scale = input_scale(lid);
    var acc = vec4f();
    for (var b = reduce_lane(lid); b < p.blocks; b += reduce_lanes()) {
        acc += dots(first, b);
    }
    let dots = reduce_sum4(acc, lid) * scale;
    if reduce_lane(lid) != 0u { return; }
    if has(GATED) {
        // Two rows: what .zw of them would be lies past the end.
        put4(p.y_row, vec4u(group * 2u, group * 2u + 1u, p.rows, p.rows), gated(r, dots, dots.zwzw));
    } else {
        put4(p.y_row, vec4u(group * 4u) + vec4u(0u, 1u, 2u, 3u), dots);
    }
}
