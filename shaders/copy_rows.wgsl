/// y = x where both hold a row of the picture. Rows of tensors move with the band: see conv.
struct Params {
    row: u32, count: u32, x_rows: u32, y_rows: u32, mul: i32, add: i32, x_mul: i32, x_add: i32, y_mul: i32, y_add: i32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
    let i = (wid.x + wid.y * nwg.x) * 64u + lid;
    if i >= p.count * p.row { return; }
    let band = i32(state[0]);
    let row = p.mul * band + p.add + i32(i / p.row);
    let x_row = u32(row - (p.x_mul * band + p.x_add));
    let y_row = u32(row - (p.y_mul * band + p.y_add));
    if x_row >= p.x_rows || y_row >= p.y_rows { return; }
    y[y_row * p.row + i % p.row] = x[x_row * p.row + i % p.row];
}
