/// The products of block b of the input with the same of four rows of weights, whose first blocks are given.
fn dots(first: vec4u, b: u32) -> vec4f {
    let v = input_block(b);
    let s = v.v0 + v.v1 + v.v2 + v.v3 + v.v4 + v.v5 + v.v6 + v.v7;
    let sum = s.x + s.y + s.z + s.w;
    return vec4f(weight_dot(first.x + b, v, sum), weight_dot(first.y + b, v, sum),
                 weight_dot(first.z + b, v, sum), weight_dot(first.w + b, v, sum));
}
