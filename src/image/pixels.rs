//! Pictures and latents on the host: orders of their elements, masks, previews.

/// Reorders [C, h, w] to [h * w, C].
pub(super) fn to_rows(planes: &[f32], channels: usize) -> Vec<f32> {
    let pixels = planes.len() / channels.max(1);
    (0..pixels).flat_map(|p| (0..channels).map(move |c| planes[c * pixels + p])).collect()
}

/// Reorders [h * w, C] to [C, h, w].
pub(super) fn to_planes(rows: &[f32], channels: usize) -> Vec<f32> {
    (0..channels).flat_map(|c| rows.iter().skip(c).step_by(channels).copied()).collect()
}

/// Converts RGBA to [H * W, 3] in -1 to 1.
pub(super) fn from_rgba(rgba: &[u8]) -> Vec<f32> {
    let value = |v: &u8| f32::from(*v) / 255.0 * 2.0 - 1.0;
    rgba.chunks_exact(4).flat_map(|p| p[..3].iter().map(value)).collect()
}

/// Converts [H * W, 3] in 0 to 1 to RGBA.
pub(super) fn to_rgba(pixels: &[f32]) -> Vec<u8> {
    let byte = |v: f32| (v * 255.0).round_ties_even() as u8;
    pixels.chunks_exact(3).flat_map(|p| [byte(p[0]), byte(p[1]), byte(p[2]), 255]).collect()
}

/// Scales a mask to latents [h * w, C]: 1 is repainted, 0 is kept. The nearest pixel of the mask decides; white is
/// repainted (diffusers: `prepare_mask_latents`).
pub(super) fn mask(rgba: &[u8], [height, width]: [usize; 2], [h, w]: [usize; 2], channels: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(h * w * channels);
    for y in 0..h {
        for x in 0..w {
            let at = ((y * height / h) * width + x * width / w) * 4;
            let [r, g, b] = [rgba[at], rgba[at + 1], rgba[at + 2]].map(f32::from);
            // ITU-R 601 luma, as PIL's conversion to grey.
            let white = 0.299 * r + 0.587 * g + 0.114 * b >= 127.5;
            out.extend(std::iter::repeat_n(f32::from(u8::from(white)), channels));
        }
    }
    out
}

/// Projects latents to colours, without a network: RGBA of the latents' size. `projection`: a row for each channel,
/// then the bias.
pub(super) fn project(latents: &[f32], projection: &[[f32; 3]; 5]) -> Vec<u8> {
    let byte = |v: f32| ((v / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixel = |p: &[f32]| {
        let value = |c: usize| projection[4][c] + p.iter().zip(projection).map(|(v, row)| v * row[c]).sum::<f32>();
        [byte(value(0)), byte(value(1)), byte(value(2)), 255]
    };
    latents.chunks_exact(4).flat_map(pixel).collect()
}
