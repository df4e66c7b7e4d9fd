/// Q6_K: w = d * s * q; an f16 d for 256 weights, a signed byte s for 16, q in -32..31.
/// 128 + 82 bytes per 256, as many as in the file. w_scales, for two times 256: a word with both d, then for each 16
/// words of upper bits and 16 bytes s.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

/// Where the upper bits and scales begin that block b is among.
fn weight_at(b: u32) -> u32 { return b / 16u * 41u + 1u + b % 16u / 8u * 20u; }

/// 4 q: the integers are in the upper 6 bits of signed bytes, so everything is 4 times too large.
fn weight_bytes(b: u32) -> Bytes32 {
    let q = w_quants[b];
    let at = weight_at(b) + b % 8u * 2u;
    let shift = vec4u(6u, 4u, 2u, 0u);
    return Bytes32(
        ((q << vec4u(2u)) & vec4u(0x3c3c3c3cu)) | ((vec4u(w_scales[at]) << shift) & vec4u(0xc0c0c0c0u)),
        ((q >> vec4u(2u)) & vec4u(0x3c3c3c3cu)) | ((vec4u(w_scales[at + 1u]) << shift) & vec4u(0xc0c0c0c0u)));
}

fn weight_q(b: u32) -> Block32 { return from_signed(weight_bytes(b)); }

/// d * s / 4 of both halves of a block.
fn weight_scales(b: u32) -> vec2f {
    let d = half_at(w_scales[b / 16u * 41u], b / 8u);
    return d * 0.25 * vec2f(unpack4xI8(w_scales[weight_at(b) + 16u + b % 8u / 2u] >> (16u * (b & 1u))).xy);
}

fn weight_block(b: u32) -> Block32 { return block_times2(weight_q(b), weight_scales(b)); }

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 { return block_dot2(weight_q(b), x, weight_scales(b)); }

const WEIGHT_LINE = HALVES;

fn weight_line(b: u32) -> vec2f { return weight_scales(b); }
