/// As conv2d, without barriers: an invocation makes up to 16 pixels by eight output channels in memory of its own. For adapters
/// that compute on the CPU. Slots: weight, conv, ends.
override WG: u32 = 4u;
override C_TAIL: bool = false;
const PIXELS = 16u;

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
    let r = (wid.x * WG + lid) * 8u;
    let t = (wid.y + wid.z * nwg.y) * PIXELS;
    if t >= p.pixels || r >= p.rows { return; }
    let last = vec4u(p.rows - 1u);
    let blocks = p.side * p.side * p.c_blocks;
    let first = min(vec4u(r) + vec4u(0u, 1u, 2u, 3u), last) * blocks;
    let second = min(vec4u(r) + vec4u(4u, 5u, 6u, 7u), last) * blocks;
    let pixels = min(PIXELS, p.pixels - t);
    var corners: array<vec3i, PIXELS>;
    for (var i = 0u; i < pixels; i++) {
        let pixel = out_pixel(t + i);
        corners[i] = vec3i(pixel.x, corner(pixel));
    }
    // For each pixel the sums of the first four channels, then those of the others.
    var sums: array<vec4f, 2u * PIXELS>;
    var sources: array<i32, PIXELS>;
    var b = 0u;
    for (var ky = 0; ky < i32(p.side); ky++) {
        for (var kx = 0; kx < i32(p.side); kx++) {
            for (var i = 0u; i < pixels; i++) { sources[i] = source(corners[i].x, corners[i].yz, vec2i(ky, kx)); }
            for (var cb = 0u; cb < p.c_blocks; cb++) {
                let w0 = weight_block(first.x + b);
                let w1 = weight_block(first.y + b);
                let w2 = weight_block(first.z + b);
                let w3 = weight_block(first.w + b);
                let w4 = weight_block(second.x + b);
                let w5 = weight_block(second.y + b);
                let w6 = weight_block(second.z + b);
                let w7 = weight_block(second.w + b);
                b++;
                for (var i = 0u; i < pixels; i++) {
                    let v = load_block(sources[i], cb);
                    sums[2u * i] += vec4f(block_dot(w0, v), block_dot(w1, v), block_dot(w2, v), block_dot(w3, v));
                    sums[2u * i + 1u] += vec4f(block_dot(w4, v), block_dot(w5, v), block_dot(w6, v), block_dot(w7, v));
                }
            }
        }
    }
    for (var i = 0u; i < pixels; i++) {
        let to = place(t + i);
        let v = sums[2u * i];
        let u = sums[2u * i + 1u];
        let lo = vec4u(r) + vec4u(0u, 1u, 2u, 3u);
        put4(to, lo, v);
        put4(to, lo + 4u, u);
    }
}
