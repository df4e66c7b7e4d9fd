/// y[i] = what `rounds` rounds of 32 fused multiply-adds, eight chains of four, make of x[i]: how fast an adapter can
/// compute when it need not read.
struct Params { rounds: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = wid.x * 256u + lid;
    let m = x[i];
    var a = m;
    var b = m + 1.0;
    var c = m + 2.0;
    var d = m + 3.0;
    var e = m + 4.0;
    var f = m + 5.0;
    var g = m + 6.0;
    var h = m + 7.0;
    for (var r = 0u; r < p.rounds; r++) {
        a = fma(a, m, m);
        b = fma(b, m, m);
        c = fma(c, m, m);
        d = fma(d, m, m);
        e = fma(e, m, m);
        f = fma(f, m, m);
        g = fma(g, m, m);
        h = fma(h, m, m);
    }
    y[i] = a + b + c + d + (e + f + g + h);
}
