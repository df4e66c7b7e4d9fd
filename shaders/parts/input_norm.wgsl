// Input slot of linear_vec: RMSNorm of the activation. The norm's weights multiply each element; the common factor
// 1 / sqrt(mean(x^2) + eps) waits until the row's dot product is complete.
fn input_scale(lid: u32) -> f32 {
    var sum = 0.0;
    for (var q = reduce_lane(lid); q < p.k_quads; q += reduce_lanes()) {
        sum += dot(x[q], x[q]);
    }
    return inverseSqrt(reduce_sum(sum, lid) / f32(p.k) + p.eps);
}
fn input_quad(q: u32) -> vec4f {
    return select(x[q] * norm[q], vec4f(), K_TAIL & (q >= p.k_quads));
}
