// Reduction slot with subgroups: a butterfly inside each subgroup, then one step through workgroup memory if a group
// of LANES invocations is larger than the smallest subgroup this device makes.
override LANES: u32 = 16u;
override SUBGROUP: u32 = 4u;
var<workgroup> reduce_scratch: array<vec4f, WG>;
fn reduce_group(wid: u32, lid: u32) -> u32 { return wid * (WG / LANES) + lid / LANES; }
fn reduce_lane(lid: u32) -> u32 { return lid % LANES; }
fn reduce_lanes() -> u32 { return LANES; }
fn reduce_sum4(v: vec4f, lid: u32) -> vec4f {
    var sum = v;
    for (var m = 1u; m < SUBGROUP; m *= 2u) {
        sum += subgroupShuffleXor(sum, m);
    }
    if LANES > SUBGROUP {
        workgroupBarrier();
        reduce_scratch[lid] = sum;
        workgroupBarrier();
        let first = lid - lid % LANES;
        sum = reduce_scratch[first];
        for (var i = SUBGROUP; i < LANES; i += SUBGROUP) {
            sum += reduce_scratch[first + i];
        }
    }
    return sum;
}
fn reduce_sum(v: f32, lid: u32) -> f32 { return reduce_sum4(vec4f(v, 0.0, 0.0, 0.0), lid).x; }
