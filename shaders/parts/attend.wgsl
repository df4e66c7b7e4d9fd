/// What the attentions over rows share. Queries, keys and values are columns of rows that may lie side by side in one tensor:
/// head h of row t begins at element t * stride + first + h * HEAD_DIM. Prologue: HEAD_DIM, HEAD_QUADS = HEAD_DIM / 4 rounded
/// up. ODD: heads are no whole number of quads, so that they begin anywhere.
override CAUSAL: bool = false;
override ODD: bool = false;
struct Params {
    n: u32, t: u32, s: u32, heads: u32, q_stride: u32, q_first: u32, k_stride: u32, k_first: u32, v_stride: u32, v_first: u32,
    y_stride: u32, scale: f32,
}
@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

/// The elements of a head's quad that exist.
fn real(quad: u32) -> vec4<bool> { return vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(HEAD_DIM); }

/// Four elements from any element on, of two neighbouring quads.
fn shifted(a: vec4f, b: vec4f, by: u32) -> vec4f {
    switch by {
        case 1u: { return vec4f(a.yzw, b.x); }
        case 2u: { return vec4f(a.zw, b.xy); }
        case 3u: { return vec4f(a.w, b.xyz); }
        default: { return a; }
    }
}

fn q_quad(head: u32, quad: u32) -> vec4f {
    let at = head / 4u + quad;
    if !ODD { return q[at]; }
    return select(vec4f(), shifted(q[at], q[min(at + 1u, arrayLength(&q) - 1u)], head % 4u), real(quad));
}

fn k_quad(head: u32, quad: u32) -> vec4f {
    let at = head / 4u + quad;
    if !ODD { return k[at]; }
    return select(vec4f(), shifted(k[at], k[min(at + 1u, arrayLength(&k) - 1u)], head % 4u), real(quad));
}

fn v_quad(head: u32, quad: u32) -> vec4f {
    let at = head / 4u + quad;
    if !ODD { return v[at]; }
    return select(vec4f(), shifted(v[at], v[min(at + 1u, arrayLength(&v) - 1u)], head % 4u), real(quad));
}

fn put(head: u32, quad: u32, value: vec4f) {
    for (var i = 0u; i < 4u; i++) {
        if quad * 4u + i < HEAD_DIM { y[head + quad * 4u + i] = value[i]; }
    }
}
