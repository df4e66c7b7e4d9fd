// Input slot of linear_vec: merges the splits of attention_decode while reading. Empty splits weigh nothing.
// Prologue: HEAD_QUADS, SPLITS.
fn input_scale(lid: u32) -> f32 { return 1.0; }
fn input_quad(q: u32) -> vec4f {
    if K_TAIL && q >= p.k_quads { return vec4f(); }
    let head = q / HEAD_QUADS;
    let d = q % HEAD_QUADS;
    // Maximum and weight of two splits share a quad; SPLITS is even.
    let stats = p.k_quads * SPLITS + head * (SPLITS / 2u);
    var top = -3.0e38;
    for (var i = 0u; i < SPLITS / 2u; i++) {
        let s = x[stats + i];
        top = max(top, max(s.x, s.z));
    }
    var weight = 0.0;
    var sum = vec4f();
    for (var i = 0u; i < SPLITS / 2u; i++) {
        let s = x[stats + i];
        let at = (head * SPLITS + 2u * i) * HEAD_QUADS + d;
        if s.y > 0.0 {
            let e = exp(s.x - top);
            weight += s.y * e;
            sum += x[at] * e;
        }
        if s.w > 0.0 {
            let e = exp(s.z - top);
            weight += s.w * e;
            sum += x[at + HEAD_QUADS] * e;
        }
    }
    return sum / weight;
}
