/// y = conv(x, w) (+ bias) (+ a value per picture and channel) (+ residual), then an activation: implicit GEMM. A workgroup
/// of 64 makes a tile of 32 pixels by 64 output channels, 32 input channels of one tap at a time through workgroup memory;
/// an invocation makes 4 by 8 of it. Slots: weight, conv, activation.
var<workgroup> wt: array<vec4f, 512>; // [quad][output channel]
var<workgroup> xt: array<vec4f, 256>; // [quad][pixel]

fn load_x(first: i32, q: u32) -> vec4f {
    if first < 0 || (C_TAIL && q >= p.c_quads) { return vec4f(); }
    return x[u32(first) + q];
}

fn put8(t: u32, r: u32, lo: vec4f, hi: vec4f) {
    let to = place(t);
    put(to, r, lo.x);
    put(to, r + 8u, lo.y);
    put(to, r + 16u, lo.z);
    put(to, r + 24u, lo.w);
    put(to, r + 32u, hi.x);
    put(to, r + 40u, hi.y);
    put(to, r + 48u, hi.z);
    put(to, r + 56u, hi.w);
}

fn dots(a: vec4f, w0: vec4f, w1: vec4f, w2: vec4f, w3: vec4f) -> vec4f {
    return vec4f(dot(a, w0), dot(a, w1), dot(a, w2), dot(a, w3));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let t0 = (wid.y + wid.z * nwg.y) * 32u;
    if t0 >= p.pixels { return; }
    let r0 = wid.x * 64u;
    let tr = lid / 8u;
    let tc = lid % 8u;
    let blocks = p.side * p.side * p.c_blocks;
    let first = min(r0 + lid, p.rows - 1u) * blocks;
    // The four pixels whose input this invocation brings.
    let last = p.pixels - 1u;
    let p0 = out_pixel(min(t0 + tr, last));
    let p1 = out_pixel(min(t0 + 8u + tr, last));
    let p2 = out_pixel(min(t0 + 16u + tr, last));
    let p3 = out_pixel(min(t0 + 24u + tr, last));
    let c0 = corner(p0);
    let c1 = corner(p1);
    let c2 = corner(p2);
    let c3 = corner(p3);

    var a0 = vec4f(); var b0 = vec4f();
    var a1 = vec4f(); var b1 = vec4f();
    var a2 = vec4f(); var b2 = vec4f();
    var a3 = vec4f(); var b3 = vec4f();
    var b = 0u;
    for (var ky = 0; ky < i32(p.side); ky++) {
        for (var kx = 0; kx < i32(p.side); kx++) {
            let tap = vec2i(ky, kx);
            let s0 = source(p0.x, c0, tap);
            let s1 = source(p1.x, c1, tap);
            let s2 = source(p2.x, c2, tap);
            let s3 = source(p3.x, c3, tap);
            for (var cb = 0u; cb < p.c_blocks; cb++) {
                let w = weight_block(first + b);
                b++;
                wt[lid] = w.v0;
                wt[64u + lid] = w.v1;
                wt[128u + lid] = w.v2;
                wt[192u + lid] = w.v3;
                wt[256u + lid] = w.v4;
                wt[320u + lid] = w.v5;
                wt[384u + lid] = w.v6;
                wt[448u + lid] = w.v7;
                let q = cb * 8u + tc;
                let at = tc * 32u + tr;
                xt[at] = load_x(s0, q);
                xt[at + 8u] = load_x(s1, q);
                xt[at + 16u] = load_x(s2, q);
                xt[at + 24u] = load_x(s3, q);
                workgroupBarrier();
                for (var k = 0u; k < 8u; k++) {
                    let wq = k * 64u + tc;
                    let w0 = wt[wq];
                    let w1 = wt[wq + 8u];
                    let w2 = wt[wq + 16u];
                    let w3 = wt[wq + 24u];
                    let w4 = wt[wq + 32u];
                    let w5 = wt[wq + 40u];
                    let w6 = wt[wq + 48u];
                    let w7 = wt[wq + 56u];
                    let xq = k * 32u + tr * 4u;
                    let x0 = xt[xq];
                    a0 += dots(x0, w0, w1, w2, w3); b0 += dots(x0, w4, w5, w6, w7);
                    let x1 = xt[xq + 1u];
                    a1 += dots(x1, w0, w1, w2, w3); b1 += dots(x1, w4, w5, w6, w7);
                    let x2 = xt[xq + 2u];
                    a2 += dots(x2, w0, w1, w2, w3); b2 += dots(x2, w4, w5, w6, w7);
                    let x3 = xt[xq + 3u];
                    a3 += dots(x3, w0, w1, w2, w3); b3 += dots(x3, w4, w5, w6, w7);
                }
                workgroupBarrier();
            }
        }
    }
    let t = t0 + tr * 4u;
    let r = r0 + tc;
    put8(t, r, a0, b0);
    put8(t + 1u, r, a1, b1);
    put8(t + 2u, r, a2, b2);
    put8(t + 3u, r, a3, b3);
}
