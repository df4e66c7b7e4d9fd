// In place of attention_loop, attention_tile and attention_sums, without barriers: an invocation makes four queries of a head, and
// looks at four keys at a time, so that what it reads, its own memory included, is used four times. From the kernel: what
// attention_loop lists; heads().

const LOWEST = -3.0e38;

/// For each of four keys a number of each of four queries.
struct Keys { a: vec4f, b: vec4f, c: vec4f, d: vec4f }

/// The scores of four queries with key s, very low where they don't see it.
fn seen(score: vec4f, s: u32, begin: vec4u, end: vec4u) -> vec4f {
    return select(vec4f(LOWEST), score, (vec4u(s) >= begin) & (vec4u(s) < end));
}

/// Their weights. (Where no query saw a key yet, the highest score is very low, too.)
fn weights(score: vec4f, top: vec4f) -> vec4f {
    return select(vec4f(), exp(score - top), score > vec4f(-1.0e38));
}

/// Their scores with key s, biased.
fn biased(score: vec4f, head: u32, row: vec4u, s: u32) -> vec4f {
    if !RELATIVE { return score; }
    return score + vec4f(bias(head, row.x, s), bias(head, row.y, s), bias(head, row.z, s), bias(head, row.w, s));
}

fn attention_loop(wid: vec3u, nwg: vec3u, lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * WG + lid;
    let fours = (queries() + 3u) / 4u;
    let head = i / fours;
    if head >= heads() { return; }
    // The last ones may be made several times over.
    let row = min(vec4u(i % fours * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(queries() - 1u));
    let at = vec4u(q_at(head, row.x), q_at(head, row.y), q_at(head, row.z), q_at(head, row.w));
    let end = vec4u(key_end(row.x), key_end(row.y), key_end(row.z), key_end(row.w));
    let begin = vec4u(key_begin(row.x), key_begin(row.y), key_begin(row.z), key_begin(row.w));
    // Four queries' quads: a query is a row of the matrix.
    var qs: array<mat4x4f, HEAD_QUADS>;
    var sums: array<mat4x4f, VALUE_QUADS>;
    for (var d = 0u; d < HEAD_QUADS; d++) {
        qs[d] = transpose(mat4x4f(q_quad(at.x, d), q_quad(at.y, d), q_quad(at.z, d), q_quad(at.w, d))) * p.scale;
    }
    for (var d = 0u; d < VALUE_QUADS; d++) { sums[d] = mat4x4f(); }
    var top = vec4f(LOWEST);
    var total = vec4f();
    if SINKS {
        top = vec4f(sink(head, row.x), sink(head, row.y), sink(head, row.z), sink(head, row.w));
        total = vec4f(1.0);
    }
    for (var s = begin.x; s < end.w; s += 4u) {
        let keys = min(vec4u(s) + vec4u(0u, 1u, 2u, 3u), vec4u(end.w - 1u));
        let k = vec4u(k_at(head, keys.x), k_at(head, keys.y), k_at(head, keys.z), k_at(head, keys.w));
        var scores = Keys(vec4f(), vec4f(), vec4f(), vec4f());
        for (var d = 0u; d < HEAD_QUADS; d++) {
            let m = qs[d];
            scores = Keys(scores.a + m * k_quad(k.x, d), scores.b + m * k_quad(k.y, d),
                          scores.c + m * k_quad(k.z, d), scores.d + m * k_quad(k.w, d));
        }
        if RELATIVE {
            scores = Keys(biased(scores.a, head, row, keys.x), biased(scores.b, head, row, keys.y),
                          biased(scores.c, head, row, keys.z), biased(scores.d, head, row, keys.w));
        }
        scores = Keys(seen(capped(scores.a), s, begin, end), seen(capped(scores.b), s + 1u, begin, end),
                      seen(capped(scores.c), s + 2u, begin, end), seen(capped(scores.d), s + 3u, begin, end));
        let most = max(top, max(max(scores.a, scores.b), max(scores.c, scores.d)));
        let keep = exp(top - most);
        top = most;
        let w = Keys(weights(scores.a, top), weights(scores.b, top), weights(scores.c, top), weights(scores.d, top));
        total = total * keep + w.a + w.b + w.c + w.d;
        let v = vec4u(v_at(head, keys.x), v_at(head, keys.y), v_at(head, keys.z), v_at(head, keys.w));
        for (var d = 0u; d < VALUE_QUADS; d++) {
            let a = v_quad(v.x, d);
            let b = v_quad(v.y, d);
            let c = v_quad(v.z, d);
            let e = v_quad(v.w, d);
            let m = sums[d];
            sums[d] = mat4x4f(m[0] * keep + w.a * a.x + w.b * b.x + w.c * c.x + w.d * e.x,
                              m[1] * keep + w.a * a.y + w.b * b.y + w.c * c.y + w.d * e.y,
                              m[2] * keep + w.a * a.z + w.b * b.z + w.c * c.z + w.d * e.z,
                              m[3] * keep + w.a * a.w + w.b * b.w + w.c * c.w + w.d * e.w);
        }
    }
    for (var d = 0u; d < VALUE_QUADS; d++) {
        let m = transpose(sums[d]);
        put(y_at(head, row.x), d, m[0] / total.x);
        put(y_at(head, row.y), d, m[1] / total.y);
        put(y_at(head, row.z), d, m[2] / total.z);
        put(y_at(head, row.w), d, m[3] / total.w);
    }
}
