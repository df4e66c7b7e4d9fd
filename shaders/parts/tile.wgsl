// What the tiled products share: a workgroup of 64 multiplies TILE_ROWS (32 or 64) rows of input by 64 rows of weights,
// 32 k at a time in workgroup memory. Invocation (tr, tc) makes input rows tr + 8 i by weight rows tc + 8 j: of each input row
// tc, tc + 8, tc + 16, tc + 24 (lo) and those 32 further (hi).
override TILE_ROWS: u32 = 32u;
override TILE_QUADS: u32 = TILE_ROWS * 8u;
var<workgroup> wt: array<vec4f, 512>; // [quad][weight row]
var<workgroup> xt: array<vec4f, TILE_QUADS>; // [quad][input row ^ quad]: neighbours use different banks on both sides

fn tile_weights(row: u32, w: Block32) {
    wt[row] = w.v0;
    wt[64u + row] = w.v1;
    wt[128u + row] = w.v2;
    wt[192u + row] = w.v3;
    wt[256u + row] = w.v4;
    wt[320u + row] = w.v5;
    wt[384u + row] = w.v6;
    wt[448u + row] = w.v7;
}

fn tile_input(q: u32, row: u32, v: vec4f) { xt[q * TILE_ROWS + (row ^ q)] = v; }

fn row_product(s: Sums8, q: u32, row: u32, lo: Columns, hi: Columns) -> Sums8 {
    let v = xt[q * TILE_ROWS + (row ^ q)];
    return Sums8(add_product(s.lo, lo, v), add_product(s.hi, hi, v));
}

/// The sums and what is in workgroup memory.
fn tile_product(sums: Tile, tr: u32, tc: u32) -> Tile {
    var s = sums;
    for (var q = 0u; q < 8u; q++) {
        let at = q * 64u + tc;
        let lo = columns(wt[at], wt[at + 8u], wt[at + 16u], wt[at + 24u]);
        let hi = columns(wt[at + 32u], wt[at + 40u], wt[at + 48u], wt[at + 56u]);
        s.s0 = row_product(s.s0, q, tr, lo, hi);
        s.s1 = row_product(s.s1, q, tr + 8u, lo, hi);
        s.s2 = row_product(s.s2, q, tr + 16u, lo, hi);
        s.s3 = row_product(s.s3, q, tr + 24u, lo, hi);
        if TILE_ROWS > 32u {
            s.s4 = row_product(s.s4, q, tr + 32u, lo, hi);
            s.s5 = row_product(s.s5, q, tr + 40u, lo, hi);
            s.s6 = row_product(s.s6, q, tr + 48u, lo, hi);
            s.s7 = row_product(s.s7, q, tr + 56u, lo, hi);
        }
    }
    return s;
}
