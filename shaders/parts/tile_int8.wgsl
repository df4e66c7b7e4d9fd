// In place of tile and fill: the products of small integers, four at a time. The input is rounded; weights are multiples of their
// scale as they are.
override TILE_ROWS: u32 = 32u;
override TILE_HALVES: u32 = TILE_ROWS * 2u;
var<workgroup> wt: array<vec4u, 128>; // [half of a block][weight row]
var<workgroup> wt_line: array<vec2f, 64>;
var<workgroup> xt: array<vec4u, TILE_HALVES>; // [half][input row]
var<workgroup> xt_line: array<vec2f, TILE_ROWS>; // unit; unit times the sum of the integers

fn tile_fill(lid: u32, row: u32, b: u32, t0: u32, n: u32) {
    let w = weight_bytes(row * p.blocks + b);
    wt[lid] = w.lo;
    wt[64u + lid] = w.hi;
    wt_line[lid] = weight_line(row * p.blocks + b);
    if lid >= TILE_ROWS { return; }
    let t = t0 + lid;
    let q = b * 8u;
    let v = Block32(load_x(t, q, n), load_x(t, q + 1u, n), load_x(t, q + 2u, n), load_x(t, q + 3u, n),
                    load_x(t, q + 4u, n), load_x(t, q + 5u, n), load_x(t, q + 6u, n), load_x(t, q + 7u, n));
    let x = rounded(v);
    xt[lid] = x.q.lo;
    xt[TILE_ROWS + lid] = x.q.hi;
    xt_line[lid] = x.unit * vec2f(1.0, x.sum);
}

/// Four weight rows: both halves of a block of each, and what their weight_line says.
struct Four {
    a0: vec4u, a1: vec4u, b0: vec4u, b1: vec4u, c0: vec4u, c1: vec4u, d0: vec4u, d1: vec4u,
    x: vec4f, y: vec4f,
}

fn four(r: u32) -> Four {
    let a = wt_line[r];
    let b = wt_line[r + 8u];
    let c = wt_line[r + 16u];
    let d = wt_line[r + 24u];
    return Four(wt[r], wt[64u + r], wt[r + 8u], wt[72u + r], wt[r + 16u], wt[80u + r], wt[r + 24u], wt[88u + r],
                vec4f(a.x, b.x, c.x, d.x), vec4f(a.y, b.y, c.y, d.y));
}

fn four_product(s: vec4f, w: Four, row: u32) -> vec4f {
    let x = xt_line[row];
    let x0 = xt[row];
    let x1 = xt[TILE_ROWS + row];
    let front = vec4i(dot16(0, w.a0, x0), dot16(0, w.b0, x0), dot16(0, w.c0, x0), dot16(0, w.d0, x0));
    if WEIGHT_LINE == HALVES {
        let rest = vec4i(dot16(0, w.a1, x1), dot16(0, w.b1, x1), dot16(0, w.c1, x1), dot16(0, w.d1, x1));
        return s + x.x * (w.x * vec4f(front) + w.y * vec4f(rest));
    }
    let dots = vec4i(dot16(front.x, w.a1, x1), dot16(front.y, w.b1, x1),
                     dot16(front.z, w.c1, x1), dot16(front.w, w.d1, x1));
    let sums = s + x.x * w.x * vec4f(dots);
    if WEIGHT_LINE == OFFSET { return sums + x.y * w.y; }
    return sums;
}

/// The sums and what is in workgroup memory. The rows' lower halves first: all their weights would take too many registers.
fn tile_product(sums: Tile, tr: u32, tc: u32) -> Tile {
    var s = sums;
    let lo = four(tc);
    s.s0.lo = four_product(s.s0.lo, lo, tr);
    s.s1.lo = four_product(s.s1.lo, lo, tr + 8u);
    s.s2.lo = four_product(s.s2.lo, lo, tr + 16u);
    s.s3.lo = four_product(s.s3.lo, lo, tr + 24u);
    if TILE_ROWS > 32u {
        s.s4.lo = four_product(s.s4.lo, lo, tr + 32u);
        s.s5.lo = four_product(s.s5.lo, lo, tr + 40u);
        s.s6.lo = four_product(s.s6.lo, lo, tr + 48u);
        s.s7.lo = four_product(s.s7.lo, lo, tr + 56u);
    }
    let hi = four(tc + 32u);
    s.s0.hi = four_product(s.s0.hi, hi, tr);
    s.s1.hi = four_product(s.s1.hi, hi, tr + 8u);
    s.s2.hi = four_product(s.s2.hi, hi, tr + 16u);
    s.s3.hi = four_product(s.s3.hi, hi, tr + 24u);
    if TILE_ROWS > 32u {
        s.s4.hi = four_product(s.s4.hi, hi, tr + 32u);
        s.s5.hi = four_product(s.s5.hi, hi, tr + 40u);
        s.s6.hi = four_product(s.s6.hi, hi, tr + 48u);
        s.s7.hi = four_product(s.s7.hi, hi, tr + 56u);
    }
    return s;
}
