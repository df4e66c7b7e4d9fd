/// Picks the next token from what sample_scan left, and advances the state for the next step.
/// settings: temperature, top_p, min_p, top_k, repetition, presence, frequency penalty, whether logits are adjusted.
/// Temperature 0 takes the maximum. Otherwise, on logits over temperature: top-k, then top-p among what is left, then
/// min-p, each as a threshold found digit by digit (a radix select over order-preserving integers), then the inverse of
/// the cumulative distribution in order of tokens. Probabilities are added in units of 2^-31, so order does not matter.
/// state: position, rows, step, seed, seed. Results: recent[step mod 16], which is NOWHERE if a logit is no number.
struct Params { vocab: u32, stretches: u32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> partials: array<vec4u>;
@group(0) @binding(2) var<storage, read> settings: array<f32>;
@group(0) @binding(3) var<storage, read_write> history: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> recent: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

const WG = 64u;
const UNIT = 2147483648.0; // 2^31
const NOWHERE = 0xffffffffu;
var<workgroup> tops: array<f32, WG>;
var<workgroup> places: array<u32, WG>;
var<workgroup> sums: array<f32, WG>;
var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> total: atomic<u32>;
var<workgroup> threshold: u32;
var<workgroup> remaining: u32;
var<workgroup> masses: array<u32, WG>;
var<workgroup> choice: u32;

/// An integer that orders as the float does.
fn key(l: f32) -> u32 {
    let b = bitcast<u32>(l);
    return select(b | 0x80000000u, ~b, (b & 0x80000000u) != 0u);
}

/// A token's share of the whole, in units of 2^-31.
fn mass(l: f32, top: f32, sum: f32, temperature: f32) -> u32 {
    return u32(exp((l - top) / temperature) / sum * UNIT);
}

/// Uniform in [0, 2^32): the PCG-RXS-M-XS permutation (O'Neill 2014) over seed and step.
fn pcg(v: u32) -> u32 {
    let s = v * 747796405u + 2891336453u;
    let w = ((s >> ((s >> 28u) + 4u)) ^ s) * 277803737u;
    return (w >> 22u) ^ w;
}

/// Raises `threshold` to the largest key at or above which the tokens that pass it now add up to `target`: by count, or
/// by mass. One digit of eight bits after the other.
fn raise_threshold(lid: u32, by_mass: bool, wanted: u32, top: f32, sum: f32, temperature: f32) {
    let low = workgroupUniformLoad(&threshold);
    if lid == 0u { remaining = wanted; }
    var prefix = 0u;
    for (var digit = 0u; digit < 4u; digit++) {
        let shift = 24u - digit * 8u;
        for (var i = lid; i < 256u; i += WG) { atomicStore(&bins[i], 0u); }
        workgroupBarrier();
        for (var i = lid; i < p.vocab; i += WG) {
            let l = logits[i];
            let k = key(l);
            if k >= low && (digit == 0u || (k >> (shift + 8u)) == prefix) {
                atomicAdd(&bins[(k >> shift) & 255u], select(1u, mass(l, top, sum, temperature), by_mass));
            }
        }
        workgroupBarrier();
        if lid == 0u {
            var need = remaining;
            var found = 0u;
            for (var above = 256u; above > 0u; above--) {
                let bin = above - 1u;
                let here = atomicLoad(&bins[bin]);
                if here > 0u { found = bin; }
                if here >= need { break; }
                need -= here;
            }
            remaining = need;
            threshold = (prefix << 8u) | found;
        }
        prefix = workgroupUniformLoad(&threshold);
    }
    if lid == 0u { threshold = max(prefix, low); }
    workgroupBarrier();
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lid: u32) {
    var top = -3.0e38;
    var place = NOWHERE;
    for (var i = lid; i < p.stretches; i += WG) {
        let s = partials[i];
        let most = bitcast<f32>(s.x);
        if most > top || (most == top && s.y < place) {
            top = most;
            place = s.y;
        }
    }
    tops[lid] = top;
    places[lid] = place;
    workgroupBarrier();
    if lid == 0u {
        for (var i = 1u; i < WG; i++) {
            if tops[i] > top || (tops[i] == top && places[i] < place) {
                top = tops[i];
                place = places[i];
            }
        }
        choice = place;
        tops[0] = top;
        threshold = 0u;
        atomicStore(&total, 0u);
    }
    let greedy = workgroupUniformLoad(&choice);
    top = workgroupUniformLoad(&tops[0]);
    let temperature = settings[0];
    if temperature > 0.0 && greedy != NOWHERE {
        var sum = 0.0;
        for (var i = lid; i < p.vocab; i += WG) { sum += exp((logits[i] - top) / temperature); }
        sums[lid] = sum;
        workgroupBarrier();
        if lid == 0u {
            for (var i = 1u; i < WG; i++) { sum += sums[i]; }
            sums[0] = sum;
        }
        let all = workgroupUniformLoad(&sums[0]);
        let top_k = u32(settings[3]);
        if top_k > 0u && top_k < p.vocab { raise_threshold(lid, false, top_k, top, all, temperature); }
        if settings[1] < 1.0 {
            let low = workgroupUniformLoad(&threshold);
            var m = 0u;
            for (var i = lid; i < p.vocab; i += WG) {
                let l = logits[i];
                if key(l) >= low { m += mass(l, top, all, temperature); }
            }
            atomicAdd(&total, m);
            workgroupBarrier();
            let there = atomicLoad(&total);
            let wanted = clamp(u32(settings[1] * f32(there)), 1u, there);
            raise_threshold(lid, true, wanted, top, all, temperature);
        }
        if settings[2] > 0.0 {
            if lid == 0u { threshold = max(threshold, key(top + log(settings[2]) * temperature)); }
            workgroupBarrier();
        }
        let low = workgroupUniformLoad(&threshold);
        // Each invocation owns a stretch in order of tokens.
        let each = (p.vocab + WG - 1u) / WG;
        let start = lid * each;
        let stop = min(start + each, p.vocab);
        var m = 0u;
        for (var i = start; i < stop; i++) {
            let l = logits[i];
            if key(l) >= low { m += mass(l, top, all, temperature); }
        }
        masses[lid] = m;
        workgroupBarrier();
        if lid == 0u {
            var whole = 0u;
            for (var i = 0u; i < WG; i++) { whole += masses[i]; }
            let r = pcg(pcg(state[2] ^ pcg(state[3])) ^ pcg(state[4] + 0x9e3779b9u));
            var left = u32(f32(r >> 8u) / 16777216.0 * f32(whole));
            var owner = 0u;
            for (; owner < WG - 1u && left >= masses[owner]; owner++) { left -= masses[owner]; }
            choice = greedy;
            for (var i = owner * each; i < min(owner * each + each, p.vocab); i++) {
                let l = logits[i];
                if key(l) >= low {
                    let here = mass(l, top, all, temperature);
                    if here > 0u { choice = i; }
                    if left < here { break; }
                    left -= here;
                }
            }
        }
        workgroupBarrier();
    }
    if lid == 0u {
        let id = choice;
        recent[state[2] % 16u] = id;
        if id < p.vocab { history[id].x += 1u; }
        state[0] += state[1];
        state[1] = 1u;
        state[2] += 1u;
        state[64] = id;
    }
}
