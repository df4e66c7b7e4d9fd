//! Numbers from formulas, so that a golden file need not store them: `tools/golden/diffusion.py` has the same ones.

/// The sequence that belongs to a name: splitmix64 started at the FNV-1a hash of the name.
pub fn hashes(name: &str) -> impl Fn(usize) -> u64 + use<> {
    let start = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    move |i| {
        let mut z: u64 = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(start);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// `count` numbers of deviation 1.15: sums of four 16-bit fractions.
pub fn normals(name: &str, count: usize) -> Vec<f32> {
    let sum = |h: u64| (0..4).map(|i| (h >> (16 * i)) & 0xffff).sum::<u64>() as i64;
    let hash = hashes(name);
    (0..count).map(|i| (sum(hash(i)) - 131_070) as f32 / 32768.0).collect()
}

/// A picture of `width` x `height` pixels, three bytes each: tiles of 5 x 5 pixels of one colour, with a grain.
pub fn picture(seed: u64, width: usize, height: usize) -> Vec<u8> {
    let (tiles, grain, across) =
        (hashes(&format!("picture {seed}")), hashes(&format!("grain {seed}")), width.div_ceil(5));
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (tile, grain) = (tiles(y / 5 * across + x / 5), grain(y * width + x));
            out.extend((0..3).map(|c| (((tile >> (16 * c)) & 0xffff) % 224 + ((grain >> (16 * c)) & 31)) as u8));
        }
    }
    out
}

/// A mask, a byte a pixel: a rectangle to repaint, the paler the larger the seed, on what is nearly black.
pub fn mask(seed: u64, width: usize, height: usize) -> Vec<u8> {
    let (inside, outside) = (255 - 50 * (seed - 1) as u8, 90 * (seed - 1) as u8);
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = (height / 5..height * 7 / 10).contains(&y);
        out.extend((0..width).map(|x| match row && (width * 3 / 10..width * 8 / 10).contains(&x) {
            true => inside,
            false => outside,
        }));
    }
    out
}

/// Pixels of three bytes, or of one grey byte, as the RGBA that a canvas has.
pub fn rgba(pixels: &[u8], channels: usize) -> Vec<u8> {
    let colour = |p: &[u8]| if channels == 3 { [p[0], p[1], p[2], 255] } else { [p[0], p[0], p[0], 255] };
    pixels.chunks_exact(channels).flat_map(colour).collect()
}

/// The token ids of a text encoder's run: the vocabulary's first special token, `words` tokens, its second special
/// token, padding.
pub fn ids(seed: u64, words: usize, positions: usize, pad: u32, vocab: usize) -> Vec<u32> {
    let (hash, first) = (hashes(&format!("words {seed}")), vocab as u64 - 2);
    let words = (0..words).map(|i| ((hash(i) >> 32) % first) as u32);
    let mut row: Vec<u32> = [first as u32].into_iter().chain(words).chain([first as u32 + 1]).collect();
    row.resize(positions, pad);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formulas_are_those_that_made_the_golden_files() {
        // Printed by diffusion.py's own functions.
        assert_eq!(normals("sample 1", 3), [-0.417_877_2, -1.177_673_3, 0.531_219_5]);
        assert_eq!(picture(1, 7, 6)[..6], [140, 104, 13, 150, 110, 27]);
        assert_eq!(picture(1, 7, 6)[(5 * 7 + 6) * 3..], [169, 215, 163]);
        assert_eq!(picture(2, 40, 48).iter().map(|&b| u64::from(b)).sum::<u64>(), 755_022);
        let sum = |seed, w, h| mask(seed, w, h).iter().map(|&b| u64::from(b)).sum::<u64>();
        assert_eq!([sum(1, 40, 48), sum(2, 40, 48), sum(2, 13, 17)], [122_400, 228_000, 26_330]);
        assert_eq!(ids(1, 4, 8, 7, 562), [560, 541, 136, 345, 501, 561, 7, 7]);
    }
}
