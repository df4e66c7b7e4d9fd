/// y[t] = a[t] followed by b[t].
struct Params { t: u32, a_dim: u32, dim: u32, a_stride: u32, b_stride: u32, y_stride: u32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let t = i / p.dim;
    if t >= p.t { return; }
    let c = i % p.dim;
    let second = c >= p.a_dim;
    // Both are read; the index of the one that is not wanted stays inside.
    let va = a[t * p.a_stride + min(c, p.a_dim - 1u)];
    let vb = b[t * p.b_stride + select(0u, c - p.a_dim, second)];
    y[t * p.y_stride + c] = select(va, vb, second);
}
