// How the linear kernels end: bias, gate, scale, residual, soft cap, activation.

/// Four rows of the result, of what w makes of x in rows r (a) and in those gate_rows further (b).
fn gated(r: vec4u, a: vec4f, b: vec4f) -> vec4f {
    var v = a;
    var u = b;
    if has(BIAS) {
        v += bias4(r);
        u += bias4(r + p.gate_rows);
    }
    return gate4((ends() >> 4u) & 7u, v, u);
}

/// Writes rows r of the result whose first is y[first], with what is added.
fn put4(first: u32, r: vec4u, value: vec4f) {
    var v = value;
    if has(BIAS) && !has(GATED) { v += bias4(p.y_row + r); }
    v *= p.scale;
    if has(RESIDUAL) { v += residual4(first + r); }
    if has(CAPPED) { v = soft_cap4(v, p.cap); }
    write4(first, r, v);
}
