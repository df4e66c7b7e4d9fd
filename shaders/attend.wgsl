/// softmax(q k^T * scale) v for every head of every picture. A workgroup makes a tile of a head's queries.
/// Slots: attend, attention. Prologue: HEAD_DIM, HEAD_QUADS, VALUE_QUADS, QUERY_FOURS, VALUE_STEPS.
override WG: u32 = 64u;

fn heads() -> u32 { return p.n * p.heads; }
fn queries() -> u32 { return p.t; }
fn key_end(row: u32) -> u32 { return select(p.s, min(row + 1u, p.s), CAUSAL); }
fn key_begin(row: u32) -> u32 { return 0u; }
fn window() -> u32 { return 0u; }
fn bias(head: u32, row: u32, s: u32) -> f32 { return 0.0; }
const PACKED = false;
const RELATIVE = false;
fn capped(score: vec4f) -> vec4f { return score; }
const SINKS = false;
fn sink(head: u32, row: u32) -> f32 { return LOWEST; }

/// Where a row's head begins; heads are numbered through all pictures.
fn row_at(head: u32, rows: u32, row: u32, stride: u32) -> u32 {
    return (head / p.heads * rows + row) * stride + head % p.heads * HEAD_DIM;
}

fn q_at(head: u32, row: u32) -> u32 { return row_at(head, p.t, row, p.q_stride) + p.q_first; }
fn k_at(head: u32, row: u32) -> u32 { return row_at(head, p.s, row, p.k_stride) + p.k_first; }
fn v_at(head: u32, row: u32) -> u32 { return row_at(head, p.s, row, p.v_stride) + p.v_first; }
fn y_at(head: u32, row: u32) -> u32 { return row_at(head, p.t, row, p.y_stride); }

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    attention_loop(wid, nwg, lid);
}
