/// y = c * conv(b * u): rows of b, c and u side by side; a causal convolution over each channel by itself. The products b * u of
/// earlier positions come from a ring, [slot][channel], to which those of the rows go. One invocation makes one element.
override BOUNDED: bool = false;
override BIASED: bool = false;
struct Params { t: u32, dim: u32, width: u32, x_stride: u32, y_stride: u32, capacity: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> ring: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn product(t: u32, channel: u32) -> f32 {
    let at = t * p.x_stride + channel;
    return x[at] * x[at + 2u * p.dim];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    var n = p.t;
    if BOUNDED { n = min(n, state[1]); }
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    let t = i / p.dim;
    if t >= n { return; }
    let channel = i % p.dim;
    let pos = state[0] + t;
    let own = product(t, channel);
    // The ring has room for the rows beside what the first of them looks back to: nobody reads a slot that is written now.
    ring[pos % p.capacity * p.dim + channel] = own;
    var sum = own * w[channel * p.width + p.width - 1u];
    if BIASED { sum += bias[channel]; }
    for (var back = 1u; back < p.width; back++) {
        if back > pos { break; }
        var earlier = 0.0;
        if back <= t {
            earlier = product(t - back, channel);
        } else {
            earlier = ring[(pos - back) % p.capacity * p.dim + channel];
        }
        sum += earlier * w[channel * p.width + p.width - 1u - back];
    }
    y[t * p.y_stride + channel] = x[t * p.x_stride + p.dim + channel] * sum;
}
