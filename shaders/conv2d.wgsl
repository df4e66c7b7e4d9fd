/// y = conv(x, w) (+ bias) (+ a value per picture and channel) (+ residual), then an activation: implicit GEMM. A workgroup
/// of 64 makes a tile of TILE_ROWS pixels by 64 output channels, 32 input channels of one tap at a time.
/// Slots: weight, conv, tile, ends.
fn load_x(first: i32, q: u32) -> vec4f {
    if first < 0 || q >= p.c_quads { return vec4f(); }
    return x[u32(first) + q];
}

fn put8(t: u32, r: u32, sums: Sums8) {
    let to = place(t);
    let lo = vec4u(r) + vec4u(0u, 8u, 16u, 24u);
    put4(to, lo, sums.lo);
    put4(to, lo + 32u, sums.hi);
}

/// A pixel whose input an invocation brings: picture, and the input's row and column at the kernel's top left.
fn pixel(t: u32) -> vec3i {
    let at = out_pixel(min(t, p.pixels - 1u));
    return vec3i(at.x, corner(at));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let t0 = (wid.y + wid.z * nwg.y) * TILE_ROWS;
    if t0 >= p.pixels { return; }
    let r0 = wid.x * 64u;
    let tr = lid / 8u;
    let tc = lid % 8u;
    let first = min(r0 + lid, p.rows - 1u) * p.side * p.side * p.c_blocks;
    let t = t0 + tr;
    let p0 = pixel(t);
    let p1 = pixel(t + 8u);
    let p2 = pixel(t + 16u);
    let p3 = pixel(t + 24u);
    let p4 = pixel(t + 32u);
    let p5 = pixel(t + 40u);
    let p6 = pixel(t + 48u);
    let p7 = pixel(t + 56u);

    var sums: Tile;
    var b = 0u;
    for (var ky = 0; ky < i32(p.side); ky++) {
        for (var kx = 0; kx < i32(p.side); kx++) {
            let tap = vec2i(ky, kx);
            let s0 = source(p0.x, p0.yz, tap);
            let s1 = source(p1.x, p1.yz, tap);
            let s2 = source(p2.x, p2.yz, tap);
            let s3 = source(p3.x, p3.yz, tap);
            let s4 = source(p4.x, p4.yz, tap);
            let s5 = source(p5.x, p5.yz, tap);
            let s6 = source(p6.x, p6.yz, tap);
            let s7 = source(p7.x, p7.yz, tap);
            for (var cb = 0u; cb < p.c_blocks; cb++) {
                tile_weights(lid, weight_block(first + b));
                b++;
                let q = cb * 8u + tc;
                tile_input(tc, tr, load_x(s0, q));
                tile_input(tc, tr + 8u, load_x(s1, q));
                tile_input(tc, tr + 16u, load_x(s2, q));
                tile_input(tc, tr + 24u, load_x(s3, q));
                if TILE_ROWS > 32u {
                    tile_input(tc, tr + 32u, load_x(s4, q));
                    tile_input(tc, tr + 40u, load_x(s5, q));
                    tile_input(tc, tr + 48u, load_x(s6, q));
                    tile_input(tc, tr + 56u, load_x(s7, q));
                }
                workgroupBarrier();
                sums = tile_product(sums, tr, tc);
                workgroupBarrier();
            }
        }
    }
    let r = r0 + tc;
    for (var i = 0u; i < TILE_ROWS; i += 8u) {
        put8(t + i, r, sums.s0);
        sums = tile_shift(sums);
    }
}
