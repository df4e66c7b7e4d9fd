// What linear layers and convolutions end with. A parameter, since a pipeline for each combination would cost its compilation
// and a uniform branch after the sums costs a GPU next to nothing; but known when compiling on adapters that compute on the
// CPU, which are 3 to 8 % quicker then.
const UNKNOWN = 0xffffffffu;
override ENDS: u32 = UNKNOWN;
const BIAS = 1u;
const RESIDUAL = 2u;
const CHANNELS = 4u;
const GATED = 8u;
const CAPPED = 128u;
// Bits 4 to 6: the kind of gate, as part `gates` numbers them.
// From bit 8 on the activation: 0 none, 1 silu, 2 gelu, 3 quick_gelu, 4 relu, 5 gelu_tanh, 6 relu squared.

fn ends() -> u32 { return select(ENDS, p.ends, ENDS == UNKNOWN); }

fn has(what: u32) -> bool { return (ends() & what) != 0u; }

fn activate4(x: vec4f) -> vec4f {
    switch ends() >> 8u {
        case 1u: { return x / (1.0 + exp(-x)); }
        case 2u: { return gelu4(x); }
        case 3u: { return x / (1.0 + exp(-1.702 * x)); }
        case 4u: { return max(x, vec4f()); }
        case 5u: { return gelu_tanh4(x); }
        case 6u: { return max(x, vec4f()) * max(x, vec4f()); }
        default: { return x; }
    }
}

/// The biases of four rows of weights. Of rows past the end it gives anything, since what becomes of them is not written.
fn bias4(r: vec4u) -> vec4f { return vec4f(bias[r.x], bias[r.y], bias[r.z], bias[r.w]); }

/// Likewise four elements of the residual.
fn residual4(at: vec4u) -> vec4f { return vec4f(residual[at.x], residual[at.y], residual[at.z], residual[at.w]); }

/// Writes what the activation makes of rows r of a result whose first is y[first]; rows past the end are not written.
fn write4(first: u32, r: vec4u, sum: vec4f) {
    let v = activate4(sum);
    let at = first + r;
    if r.x < p.rows { y[at.x] = v.x; }
    if r.y < p.rows { y[at.y] = v.y; }
    if r.z < p.rows { y[at.z] = v.z; }
    if r.w < p.rows { y[at.w] = v.w; }
}
