/// y = (x - mean) / sqrt(variance + eps) * w + b, row by row (Ba et al. 2016). A group of lanes makes a row. Slots: reduce.
override WG: u32 = 64u;
override BOUNDED: bool = false;
override WEIGHTED: bool = true;
override BIASED: bool = true;
struct Params { rows: u32, dim: u32, quads: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
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
    var sum = vec4f();
    for (var q = reduce_lane(lid); q < p.quads; q += reduce_lanes()) {
        sum += masked(x[first + q], q);
    }
    let mean = reduce_sum(sum.x + sum.y + sum.z + sum.w, lid) / f32(p.dim);
    var square = 0.0;
    for (var q = reduce_lane(lid); q < p.quads; q += reduce_lanes()) {
        let d = masked(x[first + q] - mean, q);
        square += dot(d, d);
    }
    let scale = inverseSqrt(reduce_sum(square, lid) / f32(p.dim) + p.eps);
    if row >= n { return; }
    for (var q = reduce_lane(lid); q < p.quads; q += reduce_lanes()) {
        var v = (x[first + q] - mean) * scale;
        if WEIGHTED { v *= w[q]; }
        if BIASED { v += b[q]; }
        y[first + q] = masked(v, q);
    }
}
