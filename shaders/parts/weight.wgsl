/// What the parts that read weights share. Weights are read a block at a time: 32 neighbours of a row.

/// 32 values of a row: v0 holds 0..3, v1 4..7, ... v7 28..31.
struct Block32 { v0: vec4f, v1: vec4f, v2: vec4f, v3: vec4f, v4: vec4f, v5: vec4f, v6: vec4f, v7: vec4f }

/// 32 small integers, one to a byte: the words of lo are the quads 0..3 of a block, those of hi the quads 4..7.
struct Bytes32 { lo: vec4u, hi: vec4u }

/// What the weight_line of an encoding that has weight_bytes holds: w = x q; w = x q + y; w = x q for the first 16 weights of a
/// block and y q for the others.
const SCALE = 0u;
const OFFSET = 1u;
const HALVES = 2u;

/// The low or (odd i) the high half of a word, as the f16 it holds.
fn half_at(word: u32, i: u32) -> f32 { return unpack2x16float(word >> (16u * (i & 1u))).x; }

/// 16 bytes of which byte i holds integer i below integer i + 16.
fn nibbles(q: vec4u) -> Bytes32 { return Bytes32(q & vec4u(0x0f0f0f0fu), (q >> vec4u(4u)) & vec4u(0x0f0f0f0fu)); }

/// The same, with a fifth bit for each from h: its bit 8 k + i belongs to byte k of quad i.
fn nibbles_and_bits(q: vec4u, h: u32) -> Bytes32 {
    let n = nibbles(q);
    return Bytes32(n.lo | ((vec4u(h) << vec4u(4u, 3u, 2u, 1u)) & vec4u(0x10101010u)),
                   n.hi | ((vec4u(h) >> vec4u(0u, 1u, 2u, 3u)) & vec4u(0x10101010u)));
}

/// 64 bits that hold 2 for each integer: in each byte of q.x, quad 0 lowest and quad 3 highest; q.y for quads 4..7.
fn crumbs(q: vec2u) -> Bytes32 {
    let shift = vec4u(0u, 2u, 4u, 6u);
    return Bytes32((vec4u(q.x) >> shift) & vec4u(0x03030303u), (vec4u(q.y) >> shift) & vec4u(0x03030303u));
}

/// Unsigned bytes less `middle`, itself at most 128, as signed bytes.
fn centred(q: vec4u, middle: u32) -> vec4u {
    let m = vec4u(middle * 0x01010101u);
    return ((q | vec4u(0x80808080u)) - m) ^ vec4u(0x80808080u);
}

/// The bytes of a word, lowest first. Not unpack4xU8: SwiftShader takes twice as long over it and over converting unsigned
/// integers.
fn unsigned4(w: u32) -> vec4f { return vec4f(vec4i((vec4u(w) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu))); }

fn signed4(w: u32) -> vec4f { return vec4f(vec4i(vec4u(w) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)); }

fn from_unsigned(q: Bytes32) -> Block32 {
    return Block32(unsigned4(q.lo.x), unsigned4(q.lo.y), unsigned4(q.lo.z), unsigned4(q.lo.w),
                   unsigned4(q.hi.x), unsigned4(q.hi.y), unsigned4(q.hi.z), unsigned4(q.hi.w));
}

fn from_signed(q: Bytes32) -> Block32 {
    return Block32(signed4(q.lo.x), signed4(q.lo.y), signed4(q.lo.z), signed4(q.lo.w),
                   signed4(q.hi.x), signed4(q.hi.y), signed4(q.hi.z), signed4(q.hi.w));
}

/// scale * q
fn block_times(q: Block32, scale: f32) -> Block32 {
    return Block32(scale * q.v0, scale * q.v1, scale * q.v2, scale * q.v3,
                   scale * q.v4, scale * q.v5, scale * q.v6, scale * q.v7);
}

/// scale.x * q for the first 16 weights, scale.y * q for the others.
fn block_times2(q: Block32, scale: vec2f) -> Block32 {
    return Block32(scale.x * q.v0, scale.x * q.v1, scale.x * q.v2, scale.x * q.v3,
                   scale.y * q.v4, scale.y * q.v5, scale.y * q.v6, scale.y * q.v7);
}

/// scale * q + offset
fn block_scale(q: Block32, scale: f32, offset: f32) -> Block32 {
    let o = vec4f(offset);
    return Block32(scale * q.v0 + o, scale * q.v1 + o, scale * q.v2 + o, scale * q.v3 + o,
                   scale * q.v4 + o, scale * q.v5 + o, scale * q.v6 + o, scale * q.v7 + o);
}

/// scale * q + offset, .x of both for the first 16 weights and .y for the others.
fn block_scale2(q: Block32, scale: vec2f, offset: vec2f) -> Block32 {
    let a = offset.xxxx;
    let b = offset.yyyy;
    return Block32(scale.x * q.v0 + a, scale.x * q.v1 + a, scale.x * q.v2 + a, scale.x * q.v3 + a,
                   scale.y * q.v4 + b, scale.y * q.v5 + b, scale.y * q.v6 + b, scale.y * q.v7 + b);
}

/// sum over i of q[i] * x[i]
fn block_dot(q: Block32, x: Block32) -> f32 {
    let s = q.v0 * x.v0 + q.v1 * x.v1 + q.v2 * x.v2 + q.v3 * x.v3
          + q.v4 * x.v4 + q.v5 * x.v5 + q.v6 * x.v6 + q.v7 * x.v7;
    return s.x + s.y + s.z + s.w;
}

/// As block_dot, with a scale for the first 16 weights and one for the others.
fn block_dot2(q: Block32, x: Block32, scale: vec2f) -> f32 {
    let s = scale.x * (q.v0 * x.v0 + q.v1 * x.v1 + q.v2 * x.v2 + q.v3 * x.v3)
          + scale.y * (q.v4 * x.v4 + q.v5 * x.v5 + q.v6 * x.v6 + q.v7 * x.v7);
    return s.x + s.y + s.z + s.w;
}

/// The sum of the first 16 of x.
fn first_sum(x: Block32) -> f32 {
    let s = x.v0 + x.v1 + x.v2 + x.v3;
    return s.x + s.y + s.z + s.w;
}
