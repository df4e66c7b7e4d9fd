/// What linear_tile multiplies, as it is: block b of weight row `row`, and of the input rows from t0 on.
fn tile_fill(lid: u32, row: u32, b: u32, t0: u32, n: u32) {
    tile_weights(lid, weight_block(row * p.blocks + b));
    // Neighbours read neighbouring quads of one input row.
    let q = lid % 8u;
    for (var i = lid / 8u; i < TILE_ROWS; i += 8u) {
        tile_input(q, i, load_x(t0 + i, b * 8u + q, n));
    }
}
