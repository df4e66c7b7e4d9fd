// How the linear kernels end: bias, gate, residual, activation.
fn bias4(r: vec4u) -> vec4f { return vec4f(bias[r.x], bias[r.y], bias[r.z], bias[r.w]); }

/// Four rows of the result, of what w makes of x in rows r (a) and in those gate_rows further (b).
fn gated(r: vec4u, a: vec4f, b: vec4f) -> vec4f {
    var v = a;
    var u = b;
    if has(BIAS) {
        v += bias4(r);
        u += bias4(r + p.gate_rows);
    }
    if has(GEGLU) { return v * gelu4(u); }
    return v / (1.0 + exp(-v)) * u;
}

/// Writes four rows r of the result whose first row is y[first]. Rows past the end are not written.
fn put4(first: u32, r: vec4u, value: vec4f) {
    let at = first + r;
    var v = value;
    if has(BIAS) && !has(GATED) { v += bias4(p.y_row + r); }
    if has(RESIDUAL) { v += vec4f(residual[at.x], residual[at.y], residual[at.z], residual[at.w]); }
    v = activate4(v);
    if r.x < p.rows { y[at.x] = v.x; }
    if r.y < p.rows { y[at.y] = v.y; }
    if r.z < p.rows { y[at.z] = v.z; }
    if r.w < p.rows { y[at.w] = v.w; }
}
