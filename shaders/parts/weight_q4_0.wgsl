/// Q4_0: w = d * (q - 8), an f16 d for 32 weights.
/// 16 + 2 bytes per block, as in the file; w_scales: d of two blocks to a word.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn weight_block(b: u32) -> Block32 {
    let d = half_at(w_scales[b / 2u], b);
    return block_scale(from_unsigned(nibbles(w_quants[b])), d, -8.0 * d);
}

/// Quad q of block b: the low halves of bytes are quads 0 to 3.
fn weight_four(b: u32, q: u32) -> vec4f {
    let four = unsigned4((w_quants[b][q % 4u] >> (q / 4u * 4u)) & 0x0f0f0f0fu);
    return half_at(w_scales[b / 2u], b) * (four - 8.0);
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    return half_at(w_scales[b / 2u], b) * (block_dot(from_unsigned(nibbles(w_quants[b])), x) - 8.0 * x_sum);
}

const WEIGHT_LINE = SCALE;

fn weight_bytes(b: u32) -> Bytes32 {
    let n = nibbles(w_quants[b]);
    return Bytes32(centred(n.lo, 8u), centred(n.hi, 8u));
}

fn weight_line(b: u32) -> vec2f { return vec2f(half_at(w_scales[b / 2u], b), 0.0); }
