/// What the convolutions share: bindings, parameters, and where an output pixel reads and is written.
/// Tensors hold rows of pixels, channels innermost: [n, rows, width, C]. A tensor may hold a band of a picture's rows: the
/// picture's row that its first row is, is mul * state[0] + add. Rows outside the picture are zeros to a convolution.
override BANDED: bool = false;
struct Params {
    pixels: u32, out_w: u32, out_pixels: u32, side: u32, stride: u32, pad: u32, up: u32,
    x_rows: u32, x_w: u32, x_quads: u32, c_quads: u32, c_blocks: u32, limit_h: u32, limit_w: u32,
    rows: u32, y_row: u32, y_stride: u32, y_rows: u32, r_rows: u32, channels_stride: u32, channels_first: u32,
    ends: u32, out_mul: i32, out_add: i32, x_mul: i32, x_add: i32, y_mul: i32, y_add: i32, r_mul: i32, r_add: i32,
}
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> channels: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn origin(mul: i32, add: i32) -> i32 {
    if BANDED { return mul * i32(state[0]) + add; }
    return add;
}

/// Output pixel t: picture, the picture's row, column.
fn out_pixel(t: u32) -> vec3i {
    let i = t % p.out_pixels;
    return vec3i(i32(t / p.out_pixels), i32(i / p.out_w) + origin(p.out_mul, p.out_add), i32(i % p.out_w));
}

/// The first quad of the input pixel that a tap of an output pixel reads; negative if there is none. `corner`: the input's
/// row and column at the kernel's top left; a column or row may be upsampled.
fn source(n: i32, corner: vec2i, tap: vec2i) -> i32 {
    let at = corner + tap;
    let local = at.x / i32(p.up) - origin(p.x_mul, p.x_add);
    let inside = (u32(at.x) < p.limit_h) & (u32(at.y) < p.limit_w) & (u32(local) < p.x_rows);
    let pixel = (n * i32(p.x_rows) + local) * i32(p.x_w) + at.y / i32(p.up);
    return select(-1, pixel * i32(p.x_quads), inside);
}

fn corner(pixel: vec3i) -> vec2i { return pixel.yz * i32(p.stride) - i32(p.pad); }

/// Where an output pixel is written and what is added to it.
struct Place { y: u32, residual: u32, channels: u32, inside: bool }

fn place(t: u32) -> Place {
    let pixel = out_pixel(t);
    let row = pixel.y - origin(p.y_mul, p.y_add);
    let r_row = pixel.y - origin(p.r_mul, p.r_add);
    let at = ((pixel.x * i32(p.y_rows) + row) * i32(p.out_w) + pixel.z) * i32(p.y_stride);
    let r_at = ((pixel.x * i32(p.r_rows) + r_row) * i32(p.out_w) + pixel.z) * i32(p.y_stride);
    let channels_at = u32(pixel.x) * p.channels_stride + p.channels_first;
    return Place(u32(at) + p.y_row, u32(r_at) + p.y_row, channels_at + p.y_row,
                 (t < p.pixels) & (u32(row) < p.y_rows));
}

/// Writes channels r of a pixel, with what is added and what it ends with.
fn put4(to: Place, r: vec4u, value: vec4f) {
    if !to.inside { return; }
    var v = value;
    if has(BIAS) { v += bias4(p.y_row + r); }
    if has(CHANNELS) {
        let i = to.channels + r;
        v += vec4f(channels[i.x], channels[i.y], channels[i.z], channels[i.w]);
    }
    if has(RESIDUAL) { v += residual4(to.residual + r); }
    write4(to.y, r, v);
}
