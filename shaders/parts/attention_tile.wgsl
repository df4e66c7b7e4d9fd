// What the tiled attentions share: softmax(q k^T * scale) v of a head with an online softmax (Milakov and Gimelshein 2018, Dao
// et al. 2022). A workgroup of 64 makes ROWS queries, 32 keys at a time. Invocation (tr, tc) has the queries tr + 8 i and
// makes their scores with the keys tc + 8 j, 8 quads of the head at a time, then VALUE_STEPS quads of their results, tc + 8 j.
// Prologue: QUERY_FOURS, 1 or 2: fours of queries to an invocation; VALUE_STEPS: at most 5, and 2 with two fours.
const ROWS = 32u * QUERY_FOURS;
const FOURS = 8u * QUERY_FOURS;
const SUMS = QUERY_FOURS * VALUE_STEPS;
const KEY_QUADS = 768u - 256u * QUERY_FOURS;
/// Keys whose values are in workgroup memory together.
const VALUE_KEYS = select(select(8u, 16u, VALUE_STEPS * 128u <= KEY_QUADS), 32u, VALUE_STEPS * 256u <= KEY_QUADS);
const LOWEST = -3.0e38;
var<workgroup> qt: array<vec4f, 256u * QUERY_FOURS>; // [quad][query ^ quad], then weights: [key][four queries ^ key]
var<workgroup> kt: array<vec4f, KEY_QUADS>; // [quad][key ^ quad], then values: [key][quad]
var<workgroup> shares: array<vec4f, 64u * QUERY_FOURS>; // [tc][four queries]

fn query_columns(at: u32) -> Columns { return columns(qt[at], qt[at + 8u], qt[at + 16u], qt[at + 24u]); }

/// The keys that four queries see. Where not PACKED, the begins follow from the ends: fewer registers.
struct Sight { begins: vec4u, ends: vec4u }

fn sights(row: u32) -> Sight {
    var begins = vec4u();
    if PACKED { begins = vec4u(key_begin(row), key_begin(row + 8u), key_begin(row + 16u), key_begin(row + 24u)); }
    return Sight(begins, vec4u(key_end(row), key_end(row + 8u), key_end(row + 16u), key_end(row + 24u)));
}

/// The scores with key s, or what a query has that does not see it.
fn seen(score: vec4f, head: u32, row: u32, sight: Sight, s: u32) -> vec4f {
    var sees = vec4u(s) < sight.ends;
    if PACKED {
        sees = sees & (vec4u(s) >= sight.begins);
    } else if window() > 0u {
        sees = sees & (vec4u(s + window()) >= sight.ends);
    }
    var v = score * p.scale;
    if RELATIVE { v += vec4f(bias(head, row, s), bias(head, row + 8u, s), bias(head, row + 16u, s), bias(head, row + 24u, s)); }
    return select(vec4f(LOWEST), capped(v), sees);
}

/// Where the highest scores of an invocation's queries begin.
fn tops(head: u32, row: u32, last: u32) -> Fours {
    if !SINKS { return both(LOWEST); }
    let lo = min(vec4u(row) + vec4u(0u, 8u, 16u, 24u), vec4u(last));
    let hi = min(vec4u(row) + vec4u(32u, 40u, 48u, 56u), vec4u(last));
    return Fours(vec4f(sink(head, lo.x), sink(head, lo.y), sink(head, lo.z), sink(head, lo.w)),
                 vec4f(sink(head, hi.x), sink(head, hi.y), sink(head, hi.z), sink(head, hi.w)));
}

fn share(tr: u32, tc: u32, v: Fours) {
    shares[tc * FOURS + tr] = v.lo;
    if QUERY_FOURS > 1u { shares[tc * FOURS + tr + 8u] = v.hi; }
}

fn shared_by(tr: u32, tc: u32) -> Fours {
    let at = tc * FOURS + tr;
    return Fours(shares[at], shares[at + FOURS - 8u]);
}

fn weights_at(s: u32, four: u32) -> u32 { return s * FOURS + (four ^ (s % 8u)); }

fn put_weights(s: u32, tr: u32, w: Fours) {
    qt[weights_at(s, tr)] = w.lo;
    if QUERY_FOURS > 1u { qt[weights_at(s, tr + 8u)] = w.hi; }
}

fn put_row(head: u32, row: u32, quad: u32, v: vec4f) {
    if row < queries() && quad < VALUE_QUADS { put(y_at(head, row), quad, v); }
}

fn put_sums(head: u32, row: u32, quad: u32, s: Sums, total: vec4f) {
    put_row(head, row, quad, s.r0 / total.x);
    put_row(head, row + 8u, quad, s.r1 / total.y);
    put_row(head, row + 16u, quad, s.r2 / total.z);
    put_row(head, row + 24u, quad, s.r3 / total.w);
}
