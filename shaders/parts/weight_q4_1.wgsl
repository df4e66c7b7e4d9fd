/// Q4_1: w = d * q + m, f16 d and m for 32 weights.
/// 16 + 4 bytes per block, as in the file; w_scales: d below m.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn weight_block(b: u32) -> Block32 {
    let s = unpack2x16float(w_scales[b]);
    return block_scale(from_unsigned(nibbles(w_quants[b])), s.x, s.y);
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    let s = unpack2x16float(w_scales[b]);
    return s.x * block_dot(from_unsigned(nibbles(w_quants[b])), x) + s.y * x_sum;
}

const WEIGHT_LINE = OFFSET;

fn weight_bytes(b: u32) -> Bytes32 { return nibbles(w_quants[b]); }

fn weight_line(b: u32) -> vec2f { return unpack2x16float(w_scales[b]); }
