// The loop of the tiled attentions over the keys. From the kernel: HEAD_QUADS, VALUE_QUADS; queries(); key_begin(row) and
// key_end(row), the first key that a query sees and the first behind that it does not see; window(), how many these are at
// most, 0 for all, from which key_begin follows unless PACKED; q_at(head, row), k_at, v_at and y_at, the elements where heads
// begin; q_quad(at, quad), k_quad, v_quad, put; RELATIVE, and bias(head, row, s) of a score; capped(score); SINKS, and
// sink(head, row), a score without a value.

/// What a workgroup makes: a tile of queries, a head, a stretch of the head's values.
fn attention_loop(wid: vec3u, nwg: vec3u, lid: u32) {
    let t0 = wid.x * ROWS;
    if t0 >= queries() { return; }
    let last = queries() - 1u;
    let head = wid.y;
    let tr = lid / 8u;
    let tc = lid % 8u;
    let value = wid.z * VALUE_STEPS * 8u + tc;
    let sight_lo = sights(t0 + tr);
    let sight_hi = sights(t0 + tr + 32u);
    let stop = key_end(min(t0 + ROWS - 1u, last));
    var s0 = key_begin(t0);
    var top = tops(head, t0 + tr, last);
    // Of the weights of this invocation's own keys.
    var total = both(select(0.0, 1.0, SINKS && tc == 0u));
    // Named, not indexed: compilers keep an array in memory. Number j is of a quad 8 (j / QUERY_FOURS) further, and of hi if
    // there is one and j is odd.
    var sums0: Sums; var sums1: Sums; var sums2: Sums; var sums3: Sums; var sums4: Sums;
    for (; s0 < stop; s0 += 32u) {
        var a0 = both(0.0); var a1 = both(0.0); var a2 = both(0.0); var a3 = both(0.0);
        for (var quad0 = 0u; quad0 < HEAD_QUADS; quad0 += 8u) {
            // Neighbours read neighbouring quads of one row.
            let quad = min(quad0 + tc, HEAD_QUADS - 1u);
            workgroupBarrier();
            for (var i = 0u; i < ROWS; i += 8u) {
                qt[tc * ROWS + ((i + tr) ^ tc)] = q_quad(q_at(head, min(t0 + i + tr, last)), quad);
            }
            for (var i = 0u; i < 32u; i += 8u) {
                kt[tc * 32u + ((i + tr) ^ tc)] = k_quad(k_at(head, min(s0 + i + tr, stop - 1u)), quad);
            }
            workgroupBarrier();
            for (var i = 0u; i < min(8u, HEAD_QUADS - quad0); i++) {
                let lo = query_columns(i * ROWS + (tr ^ i));
                let hi = query_columns(i * ROWS + (ROWS - 32u) + (tr ^ i));
                let k = i * 32u + (tc ^ i);
                a0 = add_scores(a0, lo, hi, kt[k]);
                a1 = add_scores(a1, lo, hi, kt[k + 8u]);
                a2 = add_scores(a2, lo, hi, kt[k + 16u]);
                a3 = add_scores(a3, lo, hi, kt[k + 24u]);
            }
        }
        let s = s0 + tc;
        a0 = Fours(seen(a0.lo, head, t0 + tr, sight_lo, s), seen(a0.hi, head, t0 + tr + 32u, sight_hi, s));
        a1 = Fours(seen(a1.lo, head, t0 + tr, sight_lo, s + 8u), seen(a1.hi, head, t0 + tr + 32u, sight_hi, s + 8u));
        a2 = Fours(seen(a2.lo, head, t0 + tr, sight_lo, s + 16u), seen(a2.hi, head, t0 + tr + 32u, sight_hi, s + 16u));
        a3 = Fours(seen(a3.lo, head, t0 + tr, sight_lo, s + 24u), seen(a3.hi, head, t0 + tr + 32u, sight_hi, s + 24u));
        share(tr, tc, max_of(max_of(a0, a1), max_of(a2, a3)));
        workgroupBarrier();
        var most = top;
        for (var i = 0u; i < 8u; i++) { most = max_of(most, shared_by(tr, i)); }
        let keep = exp_of(top, most);
        top = most;
        a0 = exp_of(a0, top);
        a1 = exp_of(a1, top);
        a2 = exp_of(a2, top);
        a3 = exp_of(a3, top);
        total = sum_of(product_of(total, keep), sum_of(sum_of(a0, a1), sum_of(a2, a3)));
        put_weights(tc, tr, a0);
        put_weights(tc + 8u, tr, a1);
        put_weights(tc + 16u, tr, a2);
        put_weights(tc + 24u, tr, a3);
        let odd = select(keep.lo, keep.hi, QUERY_FOURS > 1u);
        sums0 = scaled(sums0, keep.lo);
        sums1 = scaled(sums1, odd);
        sums2 = scaled(sums2, keep.lo);
        sums3 = scaled(sums3, odd);
        sums4 = scaled(sums4, keep.lo);
        for (var v0 = 0u; v0 < min(32u, stop - s0); v0 += VALUE_KEYS) {
            if v0 > 0u { workgroupBarrier(); }
            for (var i = 0u; i < VALUE_KEYS; i += 8u) {
                let row = v_at(head, min(s0 + v0 + i + tr, stop - 1u));
                for (var step = 0u; step < VALUE_STEPS; step++) {
                    kt[((i + tr) * VALUE_STEPS + step) * 8u + tc] = v_quad(row, min(value + step * 8u, VALUE_QUADS - 1u));
                }
            }
            workgroupBarrier();
            for (var i = 0u; i < VALUE_KEYS; i++) {
                let lo = qt[weights_at(v0 + i, tr)];
                let hi = qt[weights_at(v0 + i, tr + FOURS - 8u)];
                let v = i * VALUE_STEPS * 8u + tc;
                sums0 = add_values(sums0, lo, kt[v]);
                if SUMS > 1u { sums1 = add_values(sums1, hi, kt[v + 8u * (1u / QUERY_FOURS)]); }
                if SUMS > 2u { sums2 = add_values(sums2, lo, kt[v + 8u * (2u / QUERY_FOURS)]); }
                if SUMS > 3u { sums3 = add_values(sums3, hi, kt[v + 8u * (3u / QUERY_FOURS)]); }
                if SUMS > 4u { sums4 = add_values(sums4, lo, kt[v + 8u * (4u / QUERY_FOURS)]); }
            }
        }
        // The next tile's first barrier comes before anything is overwritten.
    }
    workgroupBarrier();
    share(tr, tc, total);
    workgroupBarrier();
    var all = both(0.0);
    for (var i = 0u; i < 8u; i++) { all = sum_of(all, shared_by(tr, i)); }
    let row = t0 + tr;
    let odd = select(all.lo, all.hi, QUERY_FOURS > 1u);
    let further = ROWS - 32u;
    put_sums(head, row, value, sums0, all.lo);
    if SUMS > 1u { put_sums(head, row + further, value + 8u * (1u / QUERY_FOURS), sums1, odd); }
    if SUMS > 2u { put_sums(head, row, value + 8u * (2u / QUERY_FOURS), sums2, all.lo); }
    if SUMS > 3u { put_sums(head, row + further, value + 8u * (3u / QUERY_FOURS), sums3, odd); }
    if SUMS > 4u { put_sums(head, row, value + 8u * (4u / QUERY_FOURS), sums4, all.lo); }
}
