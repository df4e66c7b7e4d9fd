/// One step of a sampler on latents, element by element: guidance, then what the stage's row of numbers says.
///   out = u + guidance * (c - u);   m = convert . (x, out);   x0 = denoised . (x, out)
///   v = (x, saved, m, h1, h2, h3, noise);   x' = next . v;   saved' = save . v;   with shift h3' = h2, h2' = h1, h1' = m
/// With KNOWN, x' becomes mask * x' + (1 - mask) * known . (original, first noise). Then the model's next input.
/// latents: planes x, saved, h1, h2, h3, x0. kept: planes original, first noise, mask.
override GUIDED: bool = false;
override KNOWN: bool = false;
struct Params { quads: u32 }
@group(0) @binding(0) var<storage, read> stage: array<f32>;
@group(0) @binding(1) var<storage, read> out: array<vec4f>;
@group(0) @binding(2) var<storage, read> noise: array<vec4f>;
@group(0) @binding(3) var<storage, read> kept: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> latents: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> input: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

fn row(first: u32, x: vec4f, saved: vec4f, m: vec4f, h1: vec4f, h2: vec4f, h3: vec4f, e: vec4f) -> vec4f {
    return stage[first] * x + stage[first + 1u] * saved + stage[first + 2u] * m + stage[first + 3u] * h1
         + stage[first + 4u] * h2 + stage[first + 5u] * h3 + stage[first + 6u] * e;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let n = p.quads;
    if i >= n { return; }
    var predicted = out[i];
    if GUIDED { predicted += stage[0] * (out[n + i] - predicted); }
    let x = latents[i];
    let saved = latents[n + i];
    let h1 = latents[2u * n + i];
    let h2 = latents[3u * n + i];
    let h3 = latents[4u * n + i];
    let e = noise[i];
    let m = stage[2] * x + stage[3] * predicted;
    var next = row(6u, x, saved, m, h1, h2, h3, e);
    if KNOWN {
        let known = stage[22] * kept[i] + stage[23] * kept[n + i];
        next = mix(known, next, kept[2u * n + i]);
    }
    latents[i] = next;
    latents[n + i] = row(13u, x, saved, m, h1, h2, h3, e);
    if stage[20] != 0.0 {
        latents[2u * n + i] = m;
        latents[3u * n + i] = h1;
        latents[4u * n + i] = h2;
    }
    latents[5u * n + i] = stage[4] * x + stage[5] * predicted;
    input[i] = stage[1] * next;
    if GUIDED { input[n + i] = stage[1] * next; }
}
