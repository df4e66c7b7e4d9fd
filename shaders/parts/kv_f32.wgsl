// Cache slot: four neighbouring elements of a key or value as f32, for models whose weights are floats.
alias kv_quad = vec4f;
fn kv_unpack(w: kv_quad) -> vec4f { return w; }
fn kv_pack(v: vec4f) -> kv_quad { return v; }
