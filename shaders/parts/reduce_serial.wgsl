// Reduction slot, without barriers: every invocation is a group of its own.
fn reduce_group(wid: u32, lid: u32) -> u32 { return wid * WG + lid; }
fn reduce_lane(lid: u32) -> u32 { return 0u; }
fn reduce_lanes() -> u32 { return 1u; }
fn reduce_sum(v: f32, lid: u32) -> f32 { return v; }
fn reduce_sum4(v: vec4f, lid: u32) -> vec4f { return v; }
