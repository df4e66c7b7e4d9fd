// In place of dots: the products of small integers, four at a time. The input is rounded.

fn integer_dot(b: u32, x: Rounded) -> f32 {
    let w = weight_bytes(b);
    let line = weight_line(b);
    let front = dot16(0, w.lo, x.q.lo);
    if WEIGHT_LINE == HALVES { return line.x * f32(front) + line.y * f32(dot16(0, w.hi, x.q.hi)); }
    let all = line.x * f32(dot16(front, w.hi, x.q.hi));
    if WEIGHT_LINE == OFFSET { return all + line.y * x.sum; }
    return all;
}

fn dots(first: vec4u, b: u32) -> vec4f {
    let x = rounded(input_block(b));
    return x.unit * vec4f(integer_dot(first.x + b, x), integer_dot(first.y + b, x),
                          integer_dot(first.z + b, x), integer_dot(first.w + b, x));
}
