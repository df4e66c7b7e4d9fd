/// As linear_tile, without barriers: an invocation makes up to 16 input rows by eight weight rows in memory of its own. For
/// adapters that compute on the CPU. Slots: weight, linear, ends.
const ROWS = 16u;
override WG: u32 = 4u;
override K_TAIL: bool = false;
override BOUNDED: bool = false;
struct Params { t: u32, k_quads: u32, x_quads: u32, blocks: u32, rows: u32, y_row: u32, y_stride: u32, gate_rows: u32, ends: u32, scale: f32, cap: f32 }
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

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let group = wid.x * WG + lid;
    let t = (wid.y + wid.z * nwg.y) * ROWS;
    let is_gated = has(GATED);
    let each = select(8u, 4u, is_gated);
    if t >= n || group * each >= p.rows { return; }
    let last = p.rows - 1u;
    let to = vec4u(group * each) + vec4u(0u, 1u, 2u, 3u);
    let r = min(to, vec4u(last));
    let s = select(min(r + 4u, vec4u(last)), r + p.gate_rows, is_gated);
    let first = r * p.blocks;
    let second = s * p.blocks;
    let rows = min(ROWS, n - t);
    // For each input row the sums of rows r, then those of rows s.
    var sums: array<vec4f, 2u * ROWS>;
    for (var b = 0u; b < p.blocks; b++) {
        let w0 = weight_block(first.x + b);
        let w1 = weight_block(first.y + b);
        let w2 = weight_block(first.z + b);
        let w3 = weight_block(first.w + b);
        let w4 = weight_block(second.x + b);
        let w5 = weight_block(second.y + b);
        let w6 = weight_block(second.z + b);
        let w7 = weight_block(second.w + b);
        for (var i = 0u; i < rows; i++) {
            let v = load_block((t + i) * p.x_quads, b);
            sums[2u * i] += vec4f(block_dot(w0, v), block_dot(w1, v), block_dot(w2, v), block_dot(w3, v));
            sums[2u * i + 1u] += vec4f(block_dot(w4, v), block_dot(w5, v), block_dot(w6, v), block_dot(w7, v));
        }
    }
    for (var i = 0u; i < rows; i++) {
        let v = sums[2u * i];
        let u = sums[2u * i + 1u];
        let y_first = (t + i) * p.y_stride + p.y_row;
        if is_gated {
            put4(y_first, to, gated(r, v, u));
        } else {
            put4(y_first, to, v);
            put4(y_first, to + 4u, u);
        }
    }
}
