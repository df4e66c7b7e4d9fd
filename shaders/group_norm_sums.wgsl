/// Count, mean and sum of squared deviations of stretches of a group of channels: what group_norm adds up. Deviations
/// are from the stretch's own mean, so that nothing cancels (Chan, Golub and LeVeque 1983). A group of lanes makes a
/// stretch of pixels of one group of channels of one picture. Bands: see conv. Slots: reduce.
override WG: u32 = 64u;
override BANDED: bool = false;
struct Params {
    n: u32, groups: u32, channels: u32, stride: u32, pixels: u32, width: u32, stretch: u32, stretches: u32, slots: u32,
    height: u32, mul: i32, add: i32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = reduce_group(wid.x + wid.y * nwg.x, lid);
    let g = i % p.groups;
    let s = (i / p.groups) % p.stretches;
    let n = min(i / (p.groups * p.stretches), p.n - 1u);
    var pixels = p.pixels;
    var slot = s;
    if BANDED {
        // Rows past the picture's last do not count.
        let rows = max(i32(p.height) - (p.mul * i32(state[0]) + p.add), 0);
        pixels = min(pixels, u32(rows) * p.width);
        slot += state[1] * p.stretches;
    }
    let begin = min(s * p.stretch, pixels);
    let end = min(begin + p.stretch, pixels);
    let first = n * p.pixels * p.stride + g * p.channels;
    // Sums of what is left of a first value: far from zero a plain sum's last digits would be the deviations'.
    let base = x[first + min(begin, p.pixels - 1u) * p.stride];
    var sum = 0.0;
    for (var t = begin + reduce_lane(lid); t < end; t += reduce_lanes()) {
        let at = first + t * p.stride;
        for (var c = 0u; c < p.channels; c++) { sum += x[at + c] - base; }
    }
    let count = f32((end - begin) * p.channels);
    let mean = base + reduce_sum(sum, lid) / max(count, 1.0);
    var square = 0.0;
    for (var t = begin + reduce_lane(lid); t < end; t += reduce_lanes()) {
        let at = first + t * p.stride;
        for (var c = 0u; c < p.channels; c++) {
            let d = x[at + c] - mean;
            square += d * d;
        }
    }
    let squares = reduce_sum(square, lid);
    if reduce_lane(lid) != 0u || i >= p.n * p.stretches * p.groups { return; }
    y[(n * p.slots + slot) * p.groups + g] = vec4f(count, mean, squares, 0.0);
}
