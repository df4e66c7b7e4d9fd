/// Applies penalties and bias to the logits in place, and finds each stretch's maximum, its place, and the sum of
/// exp(logit - maximum). A workgroup takes a stretch of 1,024.
/// history[i]: bit 31 of x says that token i stands in the prompt, the rest of x counts it in the answer; y is its bias.
/// partials: [stretch][maximum, its index, sum]; if a logit is no number, a maximum that is nowhere.
struct Params { vocab: u32 }
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read> history: array<vec2u>;
@group(0) @binding(2) var<storage, read> settings: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4u>;
@group(1) @binding(0) var<uniform> p: Params;

const WG = 64u;
const NOWHERE = 0xffffffffu;
var<workgroup> tops: array<f32, WG>;
var<workgroup> places: array<u32, WG>;
var<workgroup> sums: array<f32, WG>;

fn adjusted(i: u32) -> f32 {
    var l = logits[i];
    if settings[7] == 0.0 { return l; }
    let h = history[i];
    let count = h.x & 0x7fffffffu;
    if h.x != 0u {
        // Keskar et al. 2019: what has been said becomes less likely, whatever the sign.
        if l > 0.0 { l /= settings[4]; } else { l *= settings[4]; }
    }
    if count > 0u { l -= settings[5] + settings[6] * f32(count); }
    l += bitcast<f32>(h.y);
    logits[i] = l;
    return l;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
    var top = -3.0e38;
    var place = NOWHERE;
    var sum = 0.0;
    var broken = false;
    for (var j = 0u; j < 16u; j++) {
        let i = wid.x * 1024u + j * WG + lid;
        if i < p.vocab {
            let l = adjusted(i);
            // By its bits: compilers may take floats to be numbers, and not every exp() of NaN is NaN.
            broken |= (bitcast<u32>(l) & 0x7fffffffu) > 0x7f800000u;
            if l > top {
                sum = sum * exp(top - l) + 1.0;
                top = l;
                place = i;
            } else {
                sum += exp(l - top);
            }
        }
    }
    if broken {
        top = 3.4e38;
        place = NOWHERE;
    }
    tops[lid] = top;
    places[lid] = place;
    sums[lid] = sum;
    workgroupBarrier();
    if lid == 0u {
        for (var i = 1u; i < WG; i++) {
            let t = tops[i];
            // Equal maxima: the lowest index wins, on every device.
            if t > top || (t == top && places[i] < place) { place = places[i]; }
            let new_top = max(top, t);
            sum = sum * exp(top - new_top) + sums[i] * exp(t - new_top);
            top = new_top;
        }
        // As words: an index kept as a float would be subnormal, which GPUs may flush to zero.
        partials[wid.x] = vec4u(bitcast<u32>(top), place, bitcast<u32>(sum), 0u);
    }
}
