// Factors of attention_decode's norms: each workgroup makes those of its heads. From the kernel: HEAD_DIM, VALUE_DIM, GROUP, WG,
// `parts`, `p`.

override VALUE_NORM: bool = false;
// Of the group's queries, of the new key, of the new value.
var<workgroup> row_scale: array<f32, GROUP + 2u>;

/// Makes them; called by the whole workgroup. Keys begin at x[keys], the new key of this head at x[key], its value at x[value].
fn scale_rows(kv_head: u32, keys: u32, key: u32, value: u32, lid: u32) {
    if HEAD_NORM == 1u || VALUE_NORM {
        const PARTS = 16u;
        for (var i = lid; i < (GROUP + 2u) * PARTS; i += WG) {
            let r = i / PARTS;
            let start = select(select((kv_head * GROUP + r) * HEAD_DIM, key, r == GROUP), value, r > GROUP);
            let size = select(HEAD_DIM, VALUE_DIM, r > GROUP);
            var sum = 0.0;
            for (var d = i % PARTS; d < size; d += PARTS) {
                let v = element(start + d);
                sum += v * v;
            }
            parts[i] = sum;
        }
        workgroupBarrier();
        if lid < GROUP + 2u {
            var sum = 0.0;
            for (var i = 0u; i < PARTS; i++) { sum += parts[lid * PARTS + i]; }
            let size = select(HEAD_DIM, VALUE_DIM, lid > GROUP);
            row_scale[lid] = inverseSqrt(sum / f32(size) + select(p.eps, p.value_eps, lid > GROUP));
        }
        workgroupBarrier();
    }
    if HEAD_NORM == 2u {
        // All of q, and all of k: every workgroup adds them up for itself.
        var sum = vec2f();
        for (var d = lid; d < p.heads * HEAD_DIM; d += WG) {
            let v = element(d);
            sum.x += v * v;
        }
        for (var d = lid; d < p.kv_heads * HEAD_DIM; d += WG) {
            let v = element(keys + d);
            sum.y += v * v;
        }
        parts[lid] = sum.x;
        parts[WG + lid] = sum.y;
        workgroupBarrier();
        if lid <= GROUP {
            let is_k = lid == GROUP;
            var total = 0.0;
            for (var i = 0u; i < WG; i++) { total += parts[select(0u, WG, is_k) + i]; }
            row_scale[lid] = inverseSqrt(total / f32(select(p.heads, p.kv_heads, is_k) * HEAD_DIM) + p.eps);
        }
        workgroupBarrier();
    }
}
