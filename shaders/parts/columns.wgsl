// What the tiled products share.

/// A quad of each of four rows, element by element.
struct Columns { x: vec4f, y: vec4f, z: vec4f, w: vec4f }

fn columns(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> Columns {
    return Columns(vec4f(a.x, b.x, c.x, d.x), vec4f(a.y, b.y, c.y, d.y),
                   vec4f(a.z, b.z, c.z, d.z), vec4f(a.w, b.w, c.w, d.w));
}

/// s + w v; four fused multiply-adds to a sum, where `s + dot()` would be five operations.
fn add_product(s: vec4f, w: Columns, v: vec4f) -> vec4f {
    return fma(vec4f(v.w), w.w, fma(vec4f(v.z), w.z, fma(vec4f(v.y), w.y, fma(vec4f(v.x), w.x, s))));
}

/// An input row by eight rows of weights.
struct Sums8 { lo: vec4f, hi: vec4f }

/// What an invocation makes: eight input rows. Named, not indexed: compilers keep an array in memory.
struct Tile { s0: Sums8, s1: Sums8, s2: Sums8, s3: Sums8, s4: Sums8, s5: Sums8, s6: Sums8, s7: Sums8 }

/// The sums of the next rows in front: a loop that writes them out is a small program, and indexes nothing.
fn tile_shift(s: Tile) -> Tile { return Tile(s.s1, s.s2, s.s3, s.s4, s.s5, s.s6, s.s7, s.s7); }
