/// y[head] = what attention_decode's splits of the head merge into. One invocation makes a quad. Parts: input_merge.
override K_TAIL: bool = false;
struct Params { k_quads: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3u) {
    if gid.x < p.k_quads { y[gid.x] = input_quad(gid.x); }
}
