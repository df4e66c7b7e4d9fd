//! Made-up numbers, and encodings of weights as the formats define them.

use half::{bf16, f16};
use inkstone::dtype::DType;

/// Made-up numbers, the same on every machine: SplitMix64 (Steele et al. 2014).
pub struct Numbers(pub u64);

impl Numbers {
    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }

    /// In [-1, 1).
    pub fn one(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    /// `n` of these.
    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.one()).collect()
    }
}

/// The encodings whose rows are made of blocks of golden files, not from their definition.
pub fn golden_encodings() -> impl Iterator<Item = DType> {
    let made_up = [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0];
    DType::ALL.into_iter().filter(move |d| !made_up.contains(d))
}

/// Rows of weights in some encoding: the bytes of a file and the numbers they stand for, exactly.
pub fn made_up(dtype: DType, len: usize, numbers: &mut Numbers) -> (Vec<u8>, Vec<f64>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    match dtype {
        DType::F32 => {
            for v in numbers.floats(len) {
                bytes.extend(v.to_le_bytes());
                values.push(f64::from(v));
            }
        }
        DType::F16 => {
            for v in numbers.floats(len).into_iter().map(f16::from_f32) {
                bytes.extend(v.to_le_bytes());
                values.push(v.to_f64());
            }
        }
        DType::BF16 => {
            for v in numbers.floats(len).into_iter().map(bf16::from_f32) {
                bytes.extend(v.to_le_bytes());
                values.push(v.to_f64());
            }
        }
        // d * q
        DType::Q8_0 => {
            for _ in 0..len / 32 {
                let d = f16::from_f32(0.004 + 0.004 * numbers.one().abs());
                bytes.extend(d.to_le_bytes());
                for _ in 0..32 {
                    let q = numbers.word() as i8;
                    bytes.push(q as u8);
                    values.push(d.to_f64() * f64::from(q));
                }
            }
        }
        // d * (q - 8), byte i holding weight i below weight i + 16
        DType::Q4_0 => {
            for _ in 0..len / 32 {
                let d = f16::from_f32(0.1 * numbers.one());
                bytes.extend(d.to_le_bytes());
                let pairs: Vec<u8> = (0..16).map(|_| numbers.word() as u8).collect();
                values.extend(pairs.iter().map(|b| d.to_f64() * (f64::from(b & 15) - 8.0)));
                values.extend(pairs.iter().map(|b| d.to_f64() * (f64::from(b >> 4) - 8.0)));
                bytes.extend(pairs);
            }
        }
        // Blocks of the golden files, in any order: what they stand for is the word of the `gguf` package.
        _ => {
            let (blocks, floats) = golden(dtype);
            let (size, n) = (dtype.block_bytes(), dtype.block_len());
            for _ in 0..len / n {
                let i = numbers.below(floats.len() / n);
                bytes.extend(&blocks[i * size..(i + 1) * size]);
                values.extend(floats[i * n..(i + 1) * n].iter().map(|v| f64::from(*v)));
            }
        }
    }
    (bytes, values)
}

/// The blocks of `tests/quants/*.bin` and their numbers, without those of the first of nine rows: its extremes would
/// drown the others in any sum.
fn golden(dtype: DType) -> (Vec<u8>, Vec<f32>) {
    let path = crate::root().join(format!("tests/quants/{}.bin", dtype.name().to_lowercase()));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let n = bytes.len() / (dtype.block_bytes() + 4 * dtype.block_len());
    let (blocks, floats) = bytes.split_at(n * dtype.block_bytes());
    let floats: Vec<f32> = floats.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (blocks[n / 9 * dtype.block_bytes()..].to_vec(), floats[n / 9 * dtype.block_len()..].to_vec())
}
