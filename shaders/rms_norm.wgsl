/// y = x / sqrt(mean(x^2) + eps) * w, row by row. A group of lanes makes a row. Slots: reduce.
override WG: u32 = 64u;
override BOUNDED: bool = false;
struct Params { rows: u32, dim: u32, quads: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

/// The quad's elements that exist: the row's padding may hold anything.
fn masked(v: vec4f, q: u32) -> vec4f {
    return select(vec4f(), v, vec4u(q * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.dim));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.rows;
    if BOUNDED { n = min(n, state[1]); }
    let row = reduce_group(wid.x, lid);
    let first = min(row, n - 1u) * p.quads;
    var sum = 0.0;
    for (var q = reduce_lane(lid); q < p.quads; q += reduce_lanes()) {
        let v = masked(x[first + q], q);
        sum += dot(v, v);
    }
    let scale = inverseSqrt(reduce_sum(sum, lid) / f32(p.dim) + p.eps);
    if row >= n { return; }
    for (var q = reduce_lane(lid); q < p.quads; q += reduce_lanes()) {
        y[first + q] = masked(x[first + q] * scale * w[q], q);
    }
}
