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

/// A row's upper half in front, its lower with the products: after two rounds both are where they were.
fn half_product(s: Sums8, w: Four, row: u32) -> Sums8 { return Sums8(s.hi, four_product(s.lo, w, row)); }

/// The sums and what is in workgroup memory. Half of the rows of weights at a time: all would take too many registers.
fn tile_product(sums: Tile, tr: u32, tc: u32) -> Tile {
    var s = sums;
    for (var half = 0u; half < 64u; half += 32u) {
        let w = four(tc + half);
        s.s0 = half_product(s.s0, w, tr);
        s.s1 = half_product(s.s1, w, tr + 8u);
        s.s2 = half_product(s.s2, w, tr + 16u);
        s.s3 = half_product(s.s3, w, tr + 24u);
        if TILE_ROWS > 32u {
            s.s4 = half_product(s.s4, w, tr + 32u);
            s.s5 = half_product(s.s5, w, tr + 40u);
            s.s6 = half_product(s.s6, w, tr + 48u);
            s.s7 = half_product(s.s7, w, tr + 56u);
        }
    }
    return s;
}
