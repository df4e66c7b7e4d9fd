/// y[t, i] = x[t, i] * gelu(x[t, i + dim]): values and gates side by side in a row (Shazeer 2020). Slots: gelu.
struct Params { t: u32, dim: u32, x_stride: u32, y_stride: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let t = i / p.dim;
    if t >= p.t { return; }
    let c = i % p.dim;
    let at = t * p.x_stride + c;
    y[t * p.y_stride + c] = x[at] * gelu(x[at + p.dim]);
}
