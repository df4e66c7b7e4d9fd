/// Q2_K: w = d * s * q - dmin * m; f16 d and dmin for 256 weights, 4-bit s and m for 16.
/// 64 + 20 bytes per 256, as many as in the file. w_scales: a word with d below dmin, then 16 bytes with s below m.
@group(0) @binding(0) var<storage, read> w_quants: array<vec2u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

/// The scales of both halves of a block, then their minimums.
fn weight_scales(b: u32) -> vec4f {
    let at = b / 8u * 5u;
    let d = unpack2x16float(w_scales[at]);
    let s = unpack4xU8(w_scales[at + 1u + b % 8u / 2u] >> (16u * (b & 1u))).xy;
    return vec4f(d.x * vec2f(s & vec2u(15u)), d.y * vec2f(s >> vec2u(4u)));
}

fn weight_block(b: u32) -> Block32 {
    let s = weight_scales(b);
    return block_scale2(from_unsigned(crumbs(w_quants[b])), s.xy, -s.zw);
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    let s = weight_scales(b);
    let sum = first_sum(x);
    return block_dot2(from_unsigned(crumbs(w_quants[b])), x, s.xy) - s.z * sum - s.w * (x_sum - sum);
}
