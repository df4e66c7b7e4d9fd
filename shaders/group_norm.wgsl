/// y = (x - mean) / sqrt(variance + eps) * w + b, then silu if asked, by group of channels and picture (Wu and He 2018);
/// mean and variance are put together from the stretches that group_norm_sums left. An invocation makes four channels of
/// `run` pixels. w and b end in zeros, and so do the rows that it makes.
override SILU: bool = false;
struct Params {
    n: u32, channels: u32, quads: u32, size: u32, groups: u32, pixels: u32, run: u32, runs: u32, slots: u32, eps: f32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

/// Mean and 1 / deviation of a group.
fn moments(n: u32, g: u32) -> vec2f {
    var count = 0.0;
    var mean = 0.0;
    var squares = 0.0;
    for (var s = 0u; s < p.slots; s++) {
        let part = sums[(n * p.slots + s) * p.groups + g];
        let total = max(count + part.x, 1.0);
        let d = part.y - mean;
        mean += d * part.x / total;
        squares += part.z + d * d * count * part.x / total;
        count += part.x;
    }
    return vec2f(mean, inverseSqrt(squares / count + p.eps));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let q = i % p.quads;
    let run = (i / p.quads) % p.runs;
    let n = i / (p.quads * p.runs);
    if n >= p.n { return; }
    let g = min(vec4u(q * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(p.channels - 1u)) / p.size;
    let m0 = moments(n, g.x);
    var m1 = m0;
    if g.y != g.x { m1 = moments(n, g.y); }
    var m2 = m1;
    if g.z != g.y { m2 = moments(n, g.z); }
    var m3 = m2;
    if g.w != g.z { m3 = moments(n, g.w); }
    let scale = vec4f(m0.y, m1.y, m2.y, m3.y) * w[q];
    let mean = vec4f(m0.x, m1.x, m2.x, m3.x);
    let shift = b[q];
    let end = min((run + 1u) * p.run, p.pixels);
    for (var t = run * p.run; t < end; t++) {
        let at = (n * p.pixels + t) * p.quads + q;
        var v = (x[at] - mean) * scale + shift;
        if SILU { v = v / (1.0 + exp(-v)); }
        y[at] = v;
    }
}
