/// y = x * scale + shift, and with LIMIT y = limit * tanh(y / limit): latents as an image decoder wants them.
override LIMIT: bool = false;
struct Params { quads: u32, scale: f32, shift: f32, limit: f32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    if i >= p.quads { return; }
    var v = x[i] * p.scale + p.shift;
    // tanh overflows on some drivers when its argument is large.
    if LIMIT { v = tanh(clamp(v / p.limit, vec4f(-20.0), vec4f(20.0))) * p.limit; }
    y[i] = v;
}
