/// y = x / sqrt(mean(x^2) + eps) * w (+ residual), row by row. A group of lanes makes a row. Slots: reduce.
override WG: u32 = 64u;
override BOUNDED: bool = false;
override WEIGHTED: bool = true;
override RESIDUAL: bool = false;
struct Params { rows: u32, dim: u32, quads: u32, eps: f32, scale: f32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> residual: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

/// The quad's elements that exist: the row's padding may hold anything.
fn masked(v: vec4f, q: u32) -> vec4f {
    return select(vec4f(), v, vec4u(q * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.dim));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.rows;
    if BOUNDED { n = min(n, state[1]); }
    let row = reduce_group(wid.x + wid.y * nwg.x, lid);
    let first = min(row, n - 1u) * p.quads;
    var sum = 0.0;
    for (var q = reduce_lane(lid); q < p.quads; q += reduce_lanes()) {
        let v = masked(x[first + q], q);
        sum += dot(v, v);
    }
    // `scale` is 1 unless the result is added to something.
    let scale = inverseSqrt(reduce_sum(sum, lid) / f32(p.dim) + p.eps) * p.scale;
    if row >= n { return; }
    for (var q = reduce_lane(lid); q < p.quads; q += reduce_lanes()) {
        var v = x[first + q] * scale;
        if WEIGHTED { v *= w[q]; }
        if RESIDUAL { v += residual[first + q]; }
        y[first + q] = masked(v, q);
    }
}
