/// y[t, i]: what a gate makes of x[t, i] and x[t, i + dim], which lie side by side in a row: see `gate4`. Slots: gelu, gates.
override BOUNDED: bool = false;
struct Params { t: u32, dim: u32, x_stride: u32, y_stride: u32, kind: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let t = i / p.dim;
    if t >= n { return; }
    let c = i % p.dim;
    let at = t * p.x_stride + c;
    y[t * p.y_stride + c] = gate4(p.kind, vec4f(x[at]), vec4f(x[at + p.dim])).x;
}
