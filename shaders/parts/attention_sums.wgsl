// What an invocation of a tiled attention holds, and what is done with it. Prologue: QUERY_FOURS, 1 or 2.

/// Numbers of an invocation's queries: lo of tr, tr + 8, tr + 16, tr + 24; hi of those 32 further, if it has so many.
struct Fours { lo: vec4f, hi: vec4f }

fn both(v: f32) -> Fours { return Fours(vec4f(v), vec4f(v)); }
fn max_of(a: Fours, b: Fours) -> Fours { return Fours(max(a.lo, b.lo), max(a.hi, b.hi)); }
fn sum_of(a: Fours, b: Fours) -> Fours { return Fours(a.lo + b.lo, a.hi + b.hi); }
fn product_of(a: Fours, b: Fours) -> Fours { return Fours(a.lo * b.lo, a.hi * b.hi); }
fn exp_of(a: Fours, top: Fours) -> Fours { return Fours(exp(a.lo - top.lo), exp(a.hi - top.hi)); }

/// s + q k
fn add_scores(s: Fours, lo: Columns, hi: Columns, k: vec4f) -> Fours {
    if QUERY_FOURS == 1u { return Fours(add_product(s.lo, lo, k), s.hi); }
    return Fours(add_product(s.lo, lo, k), add_product(s.hi, hi, k));
}

/// Four queries' sums of a quad of values.
struct Sums { r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f }

fn scaled(s: Sums, by: vec4f) -> Sums { return Sums(s.r0 * by.x, s.r1 * by.y, s.r2 * by.z, s.r3 * by.w); }

/// s + w v
fn add_values(s: Sums, w: vec4f, v: vec4f) -> Sums {
    return Sums(fma(vec4f(w.x), v, s.r0), fma(vec4f(w.y), v, s.r1), fma(vec4f(w.z), v, s.r2), fma(vec4f(w.w), v, s.r3));
}
