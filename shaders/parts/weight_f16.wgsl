/// F16 weights.
/// 2 bytes per weight, as in the file; w_scales is not used.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

/// The four weights in two words.
fn weight_quad(w: vec2u) -> vec4f { return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }

fn weight_block(b: u32) -> Block32 {
    let q = b * 4u;
    let w0 = w_quants[q];
    let w1 = w_quants[q + 1u];
    let w2 = w_quants[q + 2u];
    let w3 = w_quants[q + 3u];
    return Block32(weight_quad(w0.xy), weight_quad(w0.zw), weight_quad(w1.xy), weight_quad(w1.zw),
                   weight_quad(w2.xy), weight_quad(w2.zw), weight_quad(w3.xy), weight_quad(w3.zw));
}

/// Quad q of block b.
fn weight_four(b: u32, q: u32) -> vec4f {
    let w = w_quants[b * 4u + q / 2u];
    return weight_quad(select(w.xy, w.zw, (q & 1u) == 1u));
}

fn weight_dot(b: u32, x: Block32, x_sum: f32) -> f32 { return block_dot(weight_block(b), x); }
