// Cache slot: four neighbouring elements of a key or value as f16, in two words.
alias kv_quad = vec2u;
fn kv_unpack(w: kv_quad) -> vec4f { return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }
fn kv_pack(v: vec4f) -> kv_quad { return vec2u(pack2x16float(v.xy), pack2x16float(v.zw)); }
