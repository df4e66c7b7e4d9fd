/// Q5_K: w = d * s * q - dmin * m; f16 d and dmin for 256 weights, 6-bit s and m for 32.
/// 128 + 52 bytes per 256 (176 in the file, scales are unpacked). w_scales: a word with d below dmin, bytes s m s m
/// ..., 8 words of fifth bits.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

/// Scale and minimum of a block.
fn weight_scale(b: u32) -> vec2f {
    let at = b / 8u * 13u;
    return unpack2x16float(w_scales[at]) * vec2f(unpack4xU8(w_scales[at + 1u + b % 8u / 2u] >> (16u * (b & 1u))).xy);
}

fn weight_q(b: u32) -> Block32 {
    return from_unsigned(nibbles_and_bits(w_quants[b], w_scales[b / 8u * 13u + 5u + b % 8u]));
}

fn weight_block(b: u32) -> Block32 {
    let s = weight_scale(b);
    return block_scale(weight_q(b), s.x, -s.y);
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    let s = weight_scale(b);
    return s.x * block_dot(weight_q(b), x) - s.y * x_sum;
}

const WEIGHT_LINE = OFFSET;

fn weight_bytes(b: u32) -> Bytes32 {
    return nibbles_and_bits(w_quants[b], w_scales[b / 8u * 13u + 5u + b % 8u]);
}

fn weight_line(b: u32) -> vec2f { return weight_scale(b) * vec2f(1.0, -1.0); }
