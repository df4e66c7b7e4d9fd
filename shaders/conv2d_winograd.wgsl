/// As conv2d, for filters of 3 x 3 with stride 1, by 16 products for each 2 x 2 pixels and input channel where it takes 36:
/// Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, 2015, arXiv:1509.09308, whose B, G and A are in the comments). A workgroup
/// of 256 makes 32 tiles of 2 x 2 pixels by 32 output channels, 4 input channels at a time. Of what is made in between
/// nothing leaves it. Slots: weight, conv, columns, ends.
const TILES = 32u;
const ROWS = 32u;
const WEIGHTS = 512u;
/// First quads of inputs, [product][tile], and from WEIGHTS on of weights, [product][row, see slot()]; in the end sums,
/// [product][tile][four channels]. A product is an element of the transformed 4 x 4 square, row by row.
var<workgroup> memory: array<vec4f, 1024>;

/// Where tiles lie: rows of tiles begin at even rows of the picture, in bands too, so that bands change no bit.
struct Tiling { top: i32, wide: u32, each: u32, all: u32 }

fn tiling() -> Tiling {
    let first = origin(p.out_mul, p.out_add);
    let top = first >> 1u;
    let wide = (p.out_w + 1u) / 2u;
    let high = ((first + i32(p.out_pixels / p.out_w) + 1) >> 1u) - top;
    let each = wide * u32(high);
    return Tiling(top, wide, each, p.pixels / p.out_pixels * each);
}

/// A tile's first pixel: picture, the picture's row, column.
fn tile_pixel(g: Tiling, t: u32) -> vec3i {
    let i = t % g.each;
    return vec3i(i32(t / g.each), 2 * (g.top + i32(i / g.wide)), 2 * i32(i % g.wide));
}

fn load_x(first: i32, q: u32) -> vec4f {
    if first < 0 { return vec4f(); }
    return x[u32(first) + q];
}

/// Neighbours of four rows of weights are apart, those of four invocations side by side.
fn slot(row: u32) -> u32 { return WEIGHTS + row % 4u * 8u + row / 4u; }

/// The rows of the input under a tile that make row i of B^T d: the first plus `sign` times the second.
struct Pair { first: i32, second: i32, sign: f32 }

fn pair(i: u32) -> Pair {
    return Pair(select(min(i32(i), 1), 2, i == 2u), select(select(2, 1, i == 2u), 3, i == 3u), select(-1.0, 1.0, i == 1u));
}

/// Row i of G, which makes row i of G g.
fn filter_row(i: u32) -> vec3f {
    if i == 0u { return vec3f(1.0, 0.0, 0.0); }
    if i == 3u { return vec3f(0.0, 0.0, 1.0); }
    return vec3f(0.5, select(0.5, -0.5, i == 2u), 0.5);
}

fn put_row(at: u32, v0: vec4f, v1: vec4f, v2: vec4f, v3: vec4f) {
    memory[at] = v0;
    memory[at + 32u] = v1;
    memory[at + 64u] = v2;
    memory[at + 96u] = v3;
}

/// A column of the filters at quad q: row i of G g.
fn filter_column(k: vec3f, b: u32, q: u32) -> vec4f {
    let row = 3u * p.c_blocks;
    return k.x * weight_four(b, q) + k.y * weight_four(b + row, q) + k.z * weight_four(b + 2u * row, q);
}

fn row_product(s: Sums8, v: vec4f, lo: Columns, hi: Columns) -> Sums8 {
    return Sums8(add_product(s.lo, lo, v), add_product(s.hi, hi, v));
}

/// Column j of three rows of sums, from row `at` on: a row of A^T m.
fn sum_column(at: u32, sign: f32) -> vec4f { return memory[at] + sign * (memory[at + 256u] + memory[at + 512u]); }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let g = tiling();
    let t0 = (wid.y + wid.z * nwg.y) * TILES;
    if t0 >= g.all { return; }
    let r0 = wid.x * ROWS;

    // Half of the invocations bring inputs, half weights: row i of the square for one tile or one row of weights.
    let one = lid % 32u;
    let i = lid / 32u % 4u;
    let of_input = lid < 128u;
    let tile = tile_pixel(g, min(t0 + one, g.all - 1u));
    let rows = pair(i);
    let c = corner(tile);
    let f0 = source(tile.x, c, vec2i(rows.first, 0));
    let f1 = source(tile.x, c, vec2i(rows.first, 1));
    let f2 = source(tile.x, c, vec2i(rows.first, 2));
    let f3 = source(tile.x, c, vec2i(rows.first, 3));
    let s0 = source(tile.x, c, vec2i(rows.second, 0));
    let s1 = source(tile.x, c, vec2i(rows.second, 1));
    let s2 = source(tile.x, c, vec2i(rows.second, 2));
    let s3 = source(tile.x, c, vec2i(rows.second, 3));
    let k = filter_row(i);
    let first = min(r0 + one, p.rows - 1u) * 9u * p.c_blocks;

    // In the products 16 invocations share an element: tiles a + 4 n by rows 4 b + n (lo) and those 16 further (hi).
    let product = lid / 16u * 32u;
    let a = lid % 4u;
    let b = lid / 4u % 4u;
    var sums: Tile;
    for (var q = 0u; q < p.c_quads; q++) {
        if of_input {
            let d0 = load_x(f0, q) + rows.sign * load_x(s0, q);
            let d1 = load_x(f1, q) + rows.sign * load_x(s1, q);
            let d2 = load_x(f2, q) + rows.sign * load_x(s2, q);
            let d3 = load_x(f3, q) + rows.sign * load_x(s3, q);
            put_row(i * 128u + one, d0 - d2, d1 + d2, d2 - d1, d1 - d3);
        } else {
            let block = first + q / 8u;
            let g0 = filter_column(k, block, q % 8u);
            let g1 = filter_column(k, block + p.c_blocks, q % 8u);
            let g2 = filter_column(k, block + 2u * p.c_blocks, q % 8u);
            let outer = 0.5 * (g0 + g2);
            put_row(i * 128u + slot(one), g0, outer + 0.5 * g1, outer - 0.5 * g1, g2);
        }
        workgroupBarrier();
        let w = WEIGHTS + product + b;
        let lo = columns(memory[w], memory[w + 8u], memory[w + 16u], memory[w + 24u]);
        let hi = columns(memory[w + 4u], memory[w + 12u], memory[w + 20u], memory[w + 28u]);
        let v = product + a;
        sums.s0 = row_product(sums.s0, memory[v], lo, hi);
        sums.s1 = row_product(sums.s1, memory[v + 4u], lo, hi);
        sums.s2 = row_product(sums.s2, memory[v + 8u], lo, hi);
        sums.s3 = row_product(sums.s3, memory[v + 12u], lo, hi);
        sums.s4 = row_product(sums.s4, memory[v + 16u], lo, hi);
        sums.s5 = row_product(sums.s5, memory[v + 20u], lo, hi);
        sums.s6 = row_product(sums.s6, memory[v + 24u], lo, hi);
        sums.s7 = row_product(sums.s7, memory[v + 28u], lo, hi);
        workgroupBarrier();
    }

    // Eight tiles at a time: an invocation adds up a pixel's four channels, A^T m A.
    let part = lid % 8u;
    let local = lid / 8u % 8u;
    let down = lid / 128u;
    let right = lid / 64u % 2u;
    let at = (down * 4u + right) * 64u + local * 8u + part;
    let down_sign = select(1.0, -1.0, down == 1u);
    let right_sign = select(1.0, -1.0, right == 1u);
    let top = origin(p.out_mul, p.out_add);
    for (var n = 0u; n < TILES; n += 8u) {
        let to = product * 2u + a * 8u + b;
        memory[to] = sums.s0.lo;
        memory[to + 4u] = sums.s0.hi;
        memory[to + 32u] = sums.s1.lo;
        memory[to + 36u] = sums.s1.hi;
        sums = tile_shift(tile_shift(sums));
        workgroupBarrier();
        let others = sum_column(at + 64u, down_sign) + sum_column(at + 128u, down_sign);
        let sum = sum_column(at, down_sign) + right_sign * others;
        let t = t0 + n + local;
        let pixel = tile_pixel(g, t) + vec3i(0, i32(down), i32(right));
        let row = pixel.y - top;
        if (t < g.all) & (row >= 0) & (u32(row) * p.out_w < p.out_pixels) & (u32(pixel.z) < p.out_w) {
            let index = u32(pixel.x) * p.out_pixels + u32(row) * p.out_w + u32(pixel.z);
            put4(place(index), r0 + part * 4u + vec4u(0u, 1u, 2u, 3u), sum);
        }
        workgroupBarrier();
    }
}
