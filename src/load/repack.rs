//! How the weights of a file are laid out on the GPU. The values stay exactly what they were; only bytes move.
//!
//! A quantized tensor becomes two planes. `quants` holds the bits that each weight has for itself, in whole words of
//! which a shader reads a block of 32 weights at once; `scales` holds the numbers that weights share, and high bits
//! that would break the alignment of `quants`. Floats have one plane. Both planes are linear in blocks, so that any run
//! of blocks that begins where a word of each plane begins can be converted and written by itself.
//!
//! | encoding | bytes per block: quants + scales | in the file | weights |
//! |---|---|---|---|
//! | Q4_0, IQ4_NL | 16 + 2 | 18 | 32 |
//! | Q4_1 | 16 + 4 | 20 | 32 |
//! | Q5_0 | 16 + 6 | 22 | 32 |
//! | Q5_1 | 16 + 8 | 24 | 32 |
//! | Q8_0 | 32 + 2 | 34 | 32 |
//! | Q2_K | 64 + 20 | 84 | 256 |
//! | Q3_K | 64 + 50 | 110 (6-bit scales become bytes) | 256 |
//! | Q4_K | 128 + 20 | 144 (6-bit scales become bytes) | 256 |
//! | Q5_K | 128 + 52 | 176 (6-bit scales become bytes) | 256 |
//! | Q6_K | 128 + 82 | 210 | 256 |
//! | IQ4_XS | 128 + 8 | 136 | 256 |
//!
//! The reader of each layout is `shaders/parts/weight_<encoding>.wgsl`. What the bytes of a
//! file mean is defined by ggml (`ggml-quants.c`, `dequantize_row_*`).

use crate::dtype::DType;

/// Bytes that a block of a file takes in each plane on the GPU. A block of floats is 32 of them here: rows of floats
/// are padded to whole blocks, see [`pad_rows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    /// Bytes per block in the plane of quantized values (or floats).
    pub quants: usize,
    /// Bytes per block in the plane of scales; 0 for floats.
    pub scales: usize,
}

/// Weights that a shader reads at once, and to which rows of floats are padded.
const BLOCK: usize = 32;

/// Returns the bytes that a block of this encoding takes in each plane.
pub const fn planes(dtype: DType) -> Planes {
    let (quants, scales) = match dtype {
        DType::F32 => (4 * BLOCK, 0),
        DType::F16 | DType::BF16 => (2 * BLOCK, 0),
        DType::Q4_0 | DType::IQ4NL => (16, 2),
        DType::Q4_1 => (16, 4),
        DType::Q5_0 => (16, 6),
        DType::Q5_1 => (16, 8),
        DType::Q8_0 => (32, 2),
        DType::Q2K => (64, 20),
        DType::Q3K => (64, 50),
        DType::Q4K => (128, 20),
        DType::Q5K => (128, 52),
        DType::Q6K => (128, 82),
        DType::IQ4XS => (128, 8),
    };
    Planes { quants, scales }
}

/// Appends to each plane what a run of whole blocks becomes, then zeros to a whole word. Where the planes already hold
/// blocks, these must end at a whole word too: an even number of blocks always does.
///
/// # Panics
/// If `blocks` is not whole blocks (for floats: of 32), or a plane does not end at a whole word.
pub fn repack(dtype: DType, blocks: &[u8], quants: &mut Vec<u8>, scales: &mut Vec<u8>) {
    let bytes = if dtype.is_float() { planes(dtype).quants } else { dtype.block_bytes() };
    let name = dtype.name();
    assert!(blocks.len().is_multiple_of(bytes), "{} bytes are not whole blocks of {name}", blocks.len());
    let whole = quants.len().is_multiple_of(4) && scales.len().is_multiple_of(4);
    assert!(whole, "the planes of {name} do not end at whole words");
    let n = blocks.len() / bytes;
    quants.reserve(n * planes(dtype).quants);
    scales.reserve((n * planes(dtype).scales).next_multiple_of(4));
    let each = blocks.chunks_exact(bytes);
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 => quants.extend_from_slice(blocks),
        DType::Q4_0 | DType::IQ4NL | DType::Q8_0 => each.for_each(|b| split(b, 2, quants, scales)),
        DType::Q4_1 => each.for_each(|b| split(b, 4, quants, scales)),
        DType::IQ4XS => each.for_each(|b| split(b, 8, quants, scales)),
        DType::Q5_0 => in_pairs(blocks, bytes, 0, scales, |b, scales| {
            put(scales, bit_planes(word(b, 2)));
            quants.extend_from_slice(&b[6..]);
        }),
        DType::Q5_1 => each.for_each(|b| {
            scales.extend_from_slice(&b[..4]);
            put(scales, bit_planes(word(b, 4)));
            quants.extend_from_slice(&b[8..]);
        }),
        DType::Q2K => each.for_each(|b| {
            scales.extend_from_slice(&b[80..84]);
            scales.extend_from_slice(&b[..16]);
            crumbs(&b[16..80], 0, |w| put(quants, w));
        }),
        DType::Q3K => in_pairs(blocks, bytes, 108, scales, |b, scales| q3_k(b, quants, scales)),
        DType::Q4K => each.for_each(|b| {
            scales.extend_from_slice(&b[..4]);
            k_scales(&b[4..16], scales);
            nibbles(&b[16..], 32, quants);
        }),
        DType::Q5K => each.for_each(|b| {
            scales.extend_from_slice(&b[..4]);
            k_scales(&b[4..16], scales);
            (0..8).for_each(|j| put(scales, bits(&b[16..48], j)));
            nibbles(&b[48..], 32, quants);
        }),
        DType::Q6K => in_pairs(blocks, bytes, 208, scales, |b, scales| {
            // Two's complement of 6 bits is q - 32 with the highest bit inverted.
            crumbs(&b[128..192], 0xaaaa_aaaa, |w| put(scales, w));
            scales.extend_from_slice(&b[192..208]);
            nibbles(&b[..128], 64, quants);
        }),
    }
    scales.resize(scales.len().next_multiple_of(4), 0);
}

/// Appends rows of `cols` floats, each padded with zeros to a multiple of 32.
///
/// # Panics
/// If `rows` is not whole rows, or `dtype` is not a float.
pub fn pad_rows(dtype: DType, rows: &[u8], cols: usize, quants: &mut Vec<u8>) {
    assert!(dtype.is_float(), "rows of {} have whole blocks", dtype.name());
    let row = cols * dtype.block_bytes();
    assert!(row > 0 && rows.len().is_multiple_of(row), "{} bytes are not whole rows of {row}", rows.len());
    let padded = row.next_multiple_of(planes(dtype).quants);
    quants.reserve(rows.len() / row * padded);
    for row in rows.chunks_exact(row) {
        quants.extend_from_slice(row);
        quants.resize(quants.len() + padded - row.len(), 0);
    }
}

/// Returns the values of floats; `None` for quantized encodings.
///
/// # Panics
/// If `bytes` is not whole floats.
pub fn to_f32(dtype: DType, bytes: &[u8]) -> Option<Vec<f32>> {
    let size = dtype.block_bytes();
    assert!(!dtype.is_float() || bytes.len().is_multiple_of(size), "{} bytes are not whole floats", bytes.len());
    let each = bytes.chunks_exact(size);
    match dtype {
        DType::F32 => Some(each.map(|b| f32::from_bits(word(b, 0))).collect()),
        DType::F16 => Some(each.map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()),
        DType::BF16 => Some(each.map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()),
        _ => None,
    }
}

/// Returns the word at a byte of a block.
fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn put(plane: &mut Vec<u8>, word: u32) {
    plane.extend_from_slice(&word.to_le_bytes());
}

/// Appends a block whose first bytes are its scales, and the rest already in order.
fn split(block: &[u8], at: usize, quants: &mut Vec<u8>, scales: &mut Vec<u8>) {
    scales.extend_from_slice(&block[..at]);
    quants.extend_from_slice(&block[at..]);
}

/// Appends blocks whose one f16, at byte `at`, would leave what follows it in the plane of scales out of line: those of
/// two blocks share a word, which comes first. A single block at the end has such a word, too.
fn in_pairs(blocks: &[u8], bytes: usize, at: usize, scales: &mut Vec<u8>, mut body: impl FnMut(&[u8], &mut Vec<u8>)) {
    for pair in blocks.chunks(2 * bytes) {
        scales.extend_from_slice(&pair[at..at + 2]);
        scales.extend_from_slice(pair.get(bytes + at..bytes + at + 2).unwrap_or(&[0, 0]));
        pair.chunks_exact(bytes).for_each(|block| body(block, scales));
    }
}

/// Converts 32 bits in the order of weights to one bit per byte for each quad: bit 4 i + k becomes bit 8 k + i.
fn bit_planes(h: u32) -> u32 {
    // The product puts the four bits of a quad into the lowest bits of the four bytes.
    (0..8).fold(0, |w, i| w | ((((h >> (4 * i)) & 15) * 0x0020_4081) & 0x0101_0101) << i)
}

/// Returns bit `j` of 32 bytes, in the same order as [`bit_planes`].
fn bits(bytes: &[u8], j: u32) -> u32 {
    (0..8).fold(0, |w, i| w | ((word(bytes, 4 * i) >> j) & 0x0101_0101) << i)
}

/// Reads 64 bytes with 2 bits of 256 weights, as ggml orders them: the four pairs of bits of 32 bytes belong to four
/// blocks. `each` gets two words per block: in each byte of a word, four quads of weights. `flip` is applied to every
/// word.
fn crumbs(bytes: &[u8], flip: u32, mut each: impl FnMut(u32)) {
    for block in 0..8 {
        let (half, shift) = (block / 4 * 32, block % 4 * 2);
        for first in [0, 16] {
            let quad = |i: usize| (word(bytes, half + first + 4 * i) >> shift) & 0x0303_0303;
            each((0..4).fold(0, |w, i| w | quad(i) << (2 * i)) ^ flip);
        }
    }
}

/// Converts 128 bytes with 4 bits of 256 weights: groups of `group` bytes hold first the weights of all low nibbles,
/// then those of all high ones. The result is 16 bytes per block, byte i with weight i below weight i + 16.
fn nibbles(bytes: &[u8], group: usize, quants: &mut Vec<u8>) {
    for group in bytes.chunks_exact(group) {
        for shift in [0, 4] {
            for block in group.chunks_exact(32) {
                let quad = |i: usize| (word(block, 4 * i) >> shift) & 0x0f0f_0f0f;
                (0..4).for_each(|i| put(quants, quad(i) | quad(i + 4) << 4));
            }
        }
    }
}

/// Converts the 12 bytes with eight 6-bit scales and eight 6-bit minimums of Q4_K and Q5_K, to bytes: scale, minimum,
/// scale, ...
fn k_scales(packed: &[u8], scales: &mut Vec<u8>) {
    for j in 0..4 {
        scales.extend([packed[j] & 63, packed[j + 4] & 63]);
    }
    for j in 0..4 {
        let low = packed[j + 8];
        scales.extend([low & 15 | packed[j] >> 6 << 4, low >> 4 | packed[j + 4] >> 6 << 4]);
    }
}

/// Converts a block of Q3_K but for its d: 32 bytes of high bits, 64 of low ones, 12 with sixteen 6-bit scales.
fn q3_k(block: &[u8], quants: &mut Vec<u8>, scales: &mut Vec<u8>) {
    let packed = &block[96..108];
    for j in 0..16 {
        let low = packed[j % 8] >> (j / 8 * 4) & 15;
        let high = packed[8 + j % 4] >> (j / 4 * 2) & 3;
        scales.push((low | high << 4).wrapping_sub(32));
    }
    // A high bit of 0 means 4 less: inverted, it is the sign of two's complement.
    (0..8).for_each(|j| put(scales, !bits(block, j)));
    crumbs(&block[32..96], 0, |w| put(quants, w));
}
