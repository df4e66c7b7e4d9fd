// What becomes of the two halves of a weight's rows, by kind: 0 silu(a) b, 1 a gelu(b), 2 gelu_tanh(a) b, 3 gelu(a) b,
// 4 max(a, 0)^2 b, 5 max(a, 0) b.
fn gate4(kind: u32, a: vec4f, b: vec4f) -> vec4f {
    switch kind {
        case 1u: { return a * gelu4(b); }
        case 2u: { return gelu_tanh4(a) * b; }
        case 3u: { return gelu4(a) * b; }
        case 4u: { return max(a, vec4f()) * max(a, vec4f()) * b; }
        case 5u: { return max(a, vec4f()) * b; }
        default: { return a / (1.0 + exp(-a)) * b; }
    }
}
