// Reduction slot, core WebGPU: LANES invocations (a power of two) form a group and add up through workgroup memory.
override LANES: u32 = 16u;
var<workgroup> reduce_scratch: array<vec4f, WG>;
fn reduce_group(wid: u32, lid: u32) -> u32 { return wid * (WG / LANES) + lid / LANES; }
fn reduce_lane(lid: u32) -> u32 { return lid % LANES; }
fn reduce_lanes() -> u32 { return LANES; }
fn reduce_sum4(v: vec4f, lid: u32) -> vec4f {
    workgroupBarrier();
    reduce_scratch[lid] = v;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lid % LANES < half {
            reduce_scratch[lid] += reduce_scratch[lid + half];
        }
        workgroupBarrier();
    }
    return reduce_scratch[lid - lid % LANES];
}
fn reduce_sum(v: f32, lid: u32) -> f32 { return reduce_sum4(vec4f(v, 0.0, 0.0, 0.0), lid).x; }
