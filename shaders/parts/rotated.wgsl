// Elements of queries and keys as attention wants them: clamped, normalised, rotated. The factor of a norm is common to a head
// or a row and is left to the kernel. From the kernel: `x`, `norms` (of queries, then from p.k_norm on of keys),
// `frequencies`, `p`.

/// 0: no norm; 1: of each head; 2: of all heads as one row.
override HEAD_NORM: u32 = 0u;
/// The norm comes after the rotation, which leaves its factor as it is.
override NORM_AFTER: bool = false;
override INTERLEAVED: bool = false;

/// An element of the row of queries, keys and values.
fn element(at: u32) -> f32 {
    let v = x[at];
    return select(v, clamp(v, -p.clamp, p.clamp), p.clamp > 0.0);
}

/// Element d of the head that begins at x[start], before rotation; its norm's weights begin at norms[first].
fn unrotated(start: u32, d: u32, first: u32) -> f32 {
    let v = element(start + d);
    if HEAD_NORM == 0u || NORM_AFTER { return v; }
    return v * norms[first + d];
}

/// The same, rotated together with its partner.
fn rotated(start: u32, d: u32, first: u32, pos: u32) -> f32 {
    var v = unrotated(start, d, first);
    if d < p.rope_dims {
        let half = p.rope_dims / 2u;
        let second = select(d >= half, (d & 1u) == 1u, INTERLEAVED);
        let pair = select(select(d, d - half, second), d / 2u, INTERLEAVED);
        let partner = select(select(d + half, d - half, second), d ^ 1u, INTERLEAVED);
        let c = rope_turn(pos, frequencies[pair], p.factor);
        v = v * c.x + select(-1.0, 1.0, second) * unrotated(start, partner, first) * c.y;
    }
    if HEAD_NORM > 0u && NORM_AFTER { v *= norms[first + d]; }
    return v;
}

/// Four neighbours of them.
fn rotated_quad(start: u32, d: u32, first: u32, pos: u32) -> vec4f {
    return vec4f(rotated(start, d, first, pos), rotated(start, d + 1u, first, pos),
                 rotated(start, d + 2u, first, pos), rotated(start, d + 3u, first, pos));
}

/// Four neighbouring elements.
fn element_quad(at: u32) -> vec4f {
    return vec4f(element(at), element(at + 1u), element(at + 2u), element(at + 3u));
}

/// Where the norm's weights of a head begin, of which those of queries or of keys begin at `base`.
fn norm_first(base: u32, head: u32, dim: u32) -> u32 { return base + select(0u, head * dim, HEAD_NORM == 2u); }

/// How much a query at this position has grown.
fn growth(pos: u32) -> f32 {
    if p.growth == 0.0 { return 1.0; }
    return 1.0 + p.growth * log(1.0 + f32(pos / p.growth_length));
}
