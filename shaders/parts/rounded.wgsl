// For products of small integers: 32 elements of the input, rounded to multiples of a 127th of the largest.

/// The multiples, their unit, the sum of the multiples.
struct Rounded { q: Bytes32, unit: f32, sum: f32 }

/// Adds the products of 16 integers with 16 others.
fn dot16(s: i32, a: vec4u, b: vec4u) -> i32 {
    return s + dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

fn rounded4(v: vec4f, inverse: f32) -> u32 { return pack4xI8(vec4i(round(v * inverse))); }

fn rounded(v: Block32) -> Rounded {
    let lo = max(max(abs(v.v0), abs(v.v1)), max(abs(v.v2), abs(v.v3)));
    let hi = max(max(abs(v.v4), abs(v.v5)), max(abs(v.v6), abs(v.v7)));
    let m = max(lo, hi);
    let most = max(max(m.x, m.y), max(m.z, m.w));
    let inverse = select(0.0, 127.0 / most, most > 0.0);
    let q = Bytes32(
        vec4u(rounded4(v.v0, inverse), rounded4(v.v1, inverse), rounded4(v.v2, inverse), rounded4(v.v3, inverse)),
        vec4u(rounded4(v.v4, inverse), rounded4(v.v5, inverse), rounded4(v.v6, inverse), rounded4(v.v7, inverse)));
    let ones = vec4u(0x01010101u);
    return Rounded(q, most / 127.0, f32(dot16(dot16(0, q.lo, ones), q.hi, ones)));
}
