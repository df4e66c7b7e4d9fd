/// One row for each sequence, which begins at row spans[n].z: y[n] of its rows spans[n].x to spans[n].y - 1. One invocation makes four elements.
override BOUNDED: bool = false;
/// kind: 0 mean, 1 first, 2 last, 3 maximum, 4 mean weighted by 1, 2, 3 and so on from the beginning of the sequence, 5 sum over the root of the length.
struct Params { n: u32, quads: u32, y_quads: u32, y_first: u32, kind: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> spans: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.n;
    if BOUNDED { n = min(n, state[1]); }
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let row = i / p.quads;
    if row >= n { return; }
    let q = i % p.quads;
    let span = spans[row];
    let length = f32(span.y - span.x);
    var sum = vec4f();
    var most = vec4f(-3.0e38);
    let first = select(span.x, span.y - 1u, p.kind == 2u);
    let end = select(span.y, first + 1u, p.kind == 1u || p.kind == 2u);
    for (var t = first; t < end; t++) {
        let v = x[t * p.quads + q];
        sum += v * select(1.0, f32(t - span.z + 1u), p.kind == 4u);
        most = max(most, v);
    }
    var by = 1.0;
    if p.kind == 0u { by = length; }
    if p.kind == 4u { by = length * (f32(first + span.y - 2u * span.z) + 1.0) / 2.0; }
    if p.kind == 5u { by = sqrt(length); }
    y[row * p.y_quads + p.y_first + q] = select(sum / by, most, p.kind == 3u);
}
