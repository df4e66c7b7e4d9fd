// What linear layers and convolutions end with. A parameter, since a pipeline for each combination would cost its compilation
// and a uniform branch after the sums costs a GPU next to nothing; but known when compiling on adapters that compute on the
// CPU, which are 3 to 8 % quicker then.
const UNKNOWN = 0xffffffffu;
override ENDS: u32 = UNKNOWN;
const BIAS = 1u;
const RESIDUAL = 2u;
const CHANNELS = 4u;
const GATED = 8u;
const GEGLU = 16u;
// From bit 8 on the activation: 0 none, 1 silu, 2 gelu, 3 quick_gelu, 4 relu.

fn ends() -> u32 { return select(ENDS, p.ends, ENDS == UNKNOWN); }

fn has(what: u32) -> bool { return (ends() & what) != 0u; }

fn activate4(x: vec4f) -> vec4f {
    switch ends() >> 8u {
        case 1u: { return x / (1.0 + exp(-x)); }
        case 2u: { return gelu4(x); }
        case 3u: { return x / (1.0 + exp(-1.702 * x)); }
        case 4u: { return max(x, vec4f()); }
        default: { return x; }
    }
}
