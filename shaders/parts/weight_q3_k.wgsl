/// Q3_K: w = d * s * q; an f16 d for 256 weights, s in -32..31 for 16, q in -4..3.
/// 64 + 50 bytes per 256 (110 in the file, scales are unpacked). w_scales, for two times 256: a word with both d,
/// then for each 16 bytes s and 8 words of sign bits.
@group(0) @binding(0) var<storage, read> w_quants: array<vec2u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

/// Where the scales and signs begin that block b is among.
fn weight_at(b: u32) -> u32 { return b / 16u * 25u + 1u + b % 16u / 8u * 12u; }

/// 32 q: the integers are in the upper 3 bits of signed bytes, so everything is 32 times too large.
fn weight_bytes(b: u32) -> Bytes32 {
    let q = crumbs(w_quants[b]);
    let h = vec4u(w_scales[weight_at(b) + 4u + b % 8u]);
    return Bytes32((q.lo << vec4u(5u)) | ((h << vec4u(7u, 6u, 5u, 4u)) & vec4u(0x80808080u)),
                   (q.hi << vec4u(5u)) | ((h << vec4u(3u, 2u, 1u, 0u)) & vec4u(0x80808080u)));
}

fn weight_q(b: u32) -> Block32 { return from_signed(weight_bytes(b)); }

/// d * s / 32 of both halves of a block.
fn weight_scales(b: u32) -> vec2f {
    let d = half_at(w_scales[b / 16u * 25u], b / 8u);
    return d * 0.03125 * vec2f(unpack4xI8(w_scales[weight_at(b) + b % 8u / 2u] >> (16u * (b & 1u))).xy);
}

fn weight_block(b: u32) -> Block32 { return block_times2(weight_q(b), weight_scales(b)); }

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 { return block_dot2(weight_q(b), x, weight_scales(b)); }

const WEIGHT_LINE = HALVES;

fn weight_line(b: u32) -> vec2f { return weight_scales(b); }
