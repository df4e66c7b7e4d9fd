// The rows of attention_decode: elements of `x`, normalised (HEAD_NORM) and rotated.

/// Element d of row r before rotation.
fn raw(r: u32, kv_head: u32, d: u32) -> f32 {
    if r == GROUP {
        return x[(p.heads + kv_head) * HEAD_DIM + d];
    }
    return x[(kv_head * GROUP + r) * HEAD_DIM + d];
}

fn normed(r: u32, kv_head: u32, d: u32) -> f32 {
    let v = raw(r, kv_head, d);
    if !HEAD_NORM { return v; }
    if r == GROUP { return v * k_norm[d] * row_scale[r]; }
    return v * q_norm[d] * row_scale[r];
}

fn rotated(r: u32, kv_head: u32, d: u32, pos: u32) -> f32 {
    let v = normed(r, kv_head, d);
    if d >= p.rope_dims { return v; }
    let half = p.rope_dims / 2u;
    var pair = d / 2u;
    var partner = d ^ 1u;
    var second = (d & 1u) == 1u;
    if !INTERLEAVED {
        second = d >= half;
        pair = select(d, d - half, second);
        partner = select(d + half, d - half, second);
    }
    let c = rope_turn(pos, frequencies[pair], p.factor);
    return v * c.x + select(-1.0, 1.0, second) * normed(r, kv_head, partner) * c.y;
}

fn rotated_quad(r: u32, kv_head: u32, d: u32, pos: u32) -> vec4f {
    return vec4f(rotated(r, kv_head, d, pos), rotated(r, kv_head, d + 1u, pos),
                 rotated(r, kv_head, d + 2u, pos), rotated(r, kv_head, d + 3u, pos));
}
