/// y[i] = the sum of what invocation i reads of x: the grid reads all of x once, neighbours next to each other, and does
/// next to nothing with it. How fast an adapter can read.
struct Params { quads: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let at = wid.x * 256u + lid;
    let all = nwg.x * 256u;
    // Four loads are under way at a time.
    var a = vec4u();
    var b = vec4u();
    var c = vec4u();
    var d = vec4u();
    for (var i = at; i < p.quads; i += all * 4u) {
        a ^= x[i];
        b ^= x[i + all];
        c ^= x[i + all * 2u];
        d ^= x[i + all * 3u];
    }
    let sum = a ^ b ^ c ^ d;
    y[at] = sum.x ^ sum.y ^ sum.z ^ sum.w;
}
