/// As conv2d, without barriers: an invocation makes four pixels by four output channels from registers alone. For adapters
/// that compute on the CPU. Slots: weight, conv, activation.
override WG: u32 = 16u;

/// No branch here: SwiftShader's compiler took minutes over them.
fn load_x(first: i32, q: u32) -> vec4f {
    return select(x[u32(max(first, 0)) + q], vec4f(), (first < 0) | (C_TAIL & (q >= p.c_quads)));
}

fn load_block(first: i32, cb: u32) -> Block32 {
    let q = cb * 8u;
    return Block32(load_x(first, q), load_x(first, q + 1u), load_x(first, q + 2u), load_x(first, q + 3u),
                   load_x(first, q + 4u), load_x(first, q + 5u), load_x(first, q + 6u), load_x(first, q + 7u));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let r = (wid.x * WG + lid) * 4u;
    let t = (wid.y + wid.z * nwg.y) * 4u;
    if t >= p.pixels || r >= p.rows { return; }
    let blocks = p.side * p.side * p.c_blocks;
    let first = min(vec4u(r) + vec4u(0u, 1u, 2u, 3u), vec4u(p.rows - 1u)) * blocks;
    let last = p.pixels - 1u;
    let p0 = out_pixel(t);
    let p1 = out_pixel(min(t + 1u, last));
    let p2 = out_pixel(min(t + 2u, last));
    let p3 = out_pixel(min(t + 3u, last));
    // One accumulator per pixel, one component per output channel.
    var a0 = vec4f();
    var a1 = vec4f();
    var a2 = vec4f();
    var a3 = vec4f();
    var b = 0u;
    for (var ky = 0; ky < i32(p.side); ky++) {
        for (var kx = 0; kx < i32(p.side); kx++) {
            let tap = vec2i(ky, kx);
            let s0 = source(p0.x, corner(p0), tap);
            let s1 = source(p1.x, corner(p1), tap);
            let s2 = source(p2.x, corner(p2), tap);
            let s3 = source(p3.x, corner(p3), tap);
            for (var cb = 0u; cb < p.c_blocks; cb++) {
                let w0 = weight_block(first.x + b);
                let w1 = weight_block(first.y + b);
                let w2 = weight_block(first.z + b);
                let w3 = weight_block(first.w + b);
                b++;
                let x0 = load_block(s0, cb);
                a0 += vec4f(block_dot(w0, x0), block_dot(w1, x0), block_dot(w2, x0), block_dot(w3, x0));
                let x1 = load_block(s1, cb);
                a1 += vec4f(block_dot(w0, x1), block_dot(w1, x1), block_dot(w2, x1), block_dot(w3, x1));
                let x2 = load_block(s2, cb);
                a2 += vec4f(block_dot(w0, x2), block_dot(w1, x2), block_dot(w2, x2), block_dot(w3, x2));
                let x3 = load_block(s3, cb);
                a3 += vec4f(block_dot(w0, x3), block_dot(w1, x3), block_dot(w2, x3), block_dot(w3, x3));
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        var v = a0;
        if i == 1u { v = a1; }
        if i == 2u { v = a2; }
        if i == 3u { v = a3; }
        let to = place(t + i);
        put(to, r, v.x);
        put(to, r + 1u, v.y);
        put(to, r + 2u, v.z);
        put(to, r + 3u, v.w);
    }
}
