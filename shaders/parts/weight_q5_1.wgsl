/// Q5_1: w = d * q + m, f16 d and m for 32 weights.
/// 16 + 8 bytes per block, as many as in the file. w_scales: a word with d below m, a word of fifth bits.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn weight_q(b: u32) -> Block32 { return from_unsigned(nibbles_and_bits(w_quants[b], w_scales[b * 2u + 1u])); }

fn weight_block(b: u32) -> Block32 {
    let s = unpack2x16float(w_scales[b * 2u]);
    return block_scale(weight_q(b), s.x, s.y);
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    let s = unpack2x16float(w_scales[b * 2u]);
    return s.x * block_dot(weight_q(b), x) + s.y * x_sum;
}

const WEIGHT_LINE = OFFSET;

fn weight_bytes(b: u32) -> Bytes32 { return nibbles_and_bits(w_quants[b], w_scales[b * 2u + 1u]); }

fn weight_line(b: u32) -> vec2f { return unpack2x16float(w_scales[b * 2u]); }
