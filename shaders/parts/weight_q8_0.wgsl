/// Q8_0: w = d * q, an f16 d for 32 signed bytes.
/// 32 + 2 bytes per block, as in the file; w_scales: d of two blocks to a word.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn weight_q(b: u32) -> Block32 { return from_signed(Bytes32(w_quants[b * 2u], w_quants[b * 2u + 1u])); }

fn weight_block(b: u32) -> Block32 { return block_times(weight_q(b), half_at(w_scales[b / 2u], b)); }

/// Quad q of block b.
fn weight_four(b: u32, q: u32) -> vec4f {
    return half_at(w_scales[b / 2u], b) * signed4(w_quants[b * 2u + q / 4u][q % 4u]);
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 {
    return half_at(w_scales[b / 2u], b) * block_dot(weight_q(b), x);
}

const WEIGHT_LINE = SCALE;

fn weight_bytes(b: u32) -> Bytes32 { return Bytes32(w_quants[b * 2u], w_quants[b * 2u + 1u]); }

fn weight_line(b: u32) -> vec2f { return vec2f(half_at(w_scales[b / 2u], b), 0.0); }
