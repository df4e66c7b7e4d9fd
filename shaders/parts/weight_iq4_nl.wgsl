/// IQ4_NL: w = d * level[q], an f16 d for 32 weights.
/// 16 + 2 bytes per block, as in the file; w_scales: d of two blocks to a word.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

/// The 16 levels -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113, without a table in memory: this polynomial
/// stays within 0.44 of each plus a half, so its floor is the level exactly.
fn weight_levels(word: u32) -> vec4f {
    let n = vec4f(unpack4xU8(word));
    return floor((((0.00158604 * n + 0.0310864) * n - 1.37193) * n + 24.1738) * n - 126.067);
}

fn weight_q(b: u32) -> Block32 {
    let n = nibbles(w_quants[b]);
    return Block32(weight_levels(n.lo.x), weight_levels(n.lo.y), weight_levels(n.lo.z), weight_levels(n.lo.w),
                   weight_levels(n.hi.x), weight_levels(n.hi.y), weight_levels(n.hi.z), weight_levels(n.hi.w));
}

fn weight_block(b: u32) -> Block32 { return block_times(weight_q(b), half_at(w_scales[b / 2u], b)); }

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    return half_at(w_scales[b / 2u], b) * block_dot(weight_q(b), x);
}
