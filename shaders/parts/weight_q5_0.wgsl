/// Q5_0: w = d * (q - 16), an f16 d for 32 weights.
/// 16 + 6 bytes per block, as many as in the file. w_scales, for two blocks: a word with both d, a word of fifth
/// bits each.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn weight_q(b: u32) -> Block32 {
    return from_unsigned(nibbles_and_bits(w_quants[b], w_scales[b / 2u * 3u + 1u + b % 2u]));
}

fn weight_block(b: u32) -> Block32 {
    let d = half_at(w_scales[b / 2u * 3u], b);
    return block_scale(weight_q(b), d, -16.0 * d);
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    return half_at(w_scales[b / 2u * 3u], b) * (block_dot(weight_q(b), x) - 16.0 * x_sum);
}

const WEIGHT_LINE = SCALE;

fn weight_bytes(b: u32) -> Bytes32 {
    let n = nibbles_and_bits(w_quants[b], w_scales[b / 2u * 3u + 1u + b % 2u]);
    return Bytes32(centred(n.lo, 16u), centred(n.hi, 16u));
}

fn weight_line(b: u32) -> vec2f { return vec2f(half_at(w_scales[b / 2u * 3u], b), 0.0); }
