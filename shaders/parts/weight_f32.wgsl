/// F32 weights.
/// 4 bytes per weight, as in the file; w_scales is not used.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4f>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn weight_block(b: u32) -> Block32 {
    let q = b * 8u;
    return Block32(w_quants[q], w_quants[q + 1u], w_quants[q + 2u], w_quants[q + 3u],
                   w_quants[q + 4u], w_quants[q + 5u], w_quants[q + 6u], w_quants[q + 7u]);
}

/// Quad q of block b. (Only encodings that pictures' weights have need it.)
fn weight_four(b: u32, q: u32) -> vec4f { return w_quants[b * 8u + q]; }

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 { return block_dot(weight_block(b), x); }
