//! Quantizing unquantized files while they stream. Formulas: those of the GGUF reference, `quantize_row_q8_0_ref` and
//! `quantize_row_q4_0_ref` of ggml.

use crate::dtype::DType;
use crate::format::variants;
use half::f16;
use serde::Deserialize;

/// How matrices that a file holds as floats are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Quantize {
    /// They stay as they are.
    #[default]
    None,
    /// Eight bits.
    Q8,
    /// Four bits; eight where four hurt most: embeddings, outputs, convolutions, text encoders.
    Q4,
}

/// How much a matrix suffers from being quantized. Whoever binds it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Care {
    /// No more than others.
    #[default]
    Ordinary,
    /// Four bits hurt it most: eight are kept.
    EightBits,
    /// Small, and everyone sees what it loses: it stays as it is.
    AsStored,
}

/// Unquantized files up to this many bytes stay as they are unless told otherwise.
const AUTO_NONE: u64 = 1 << 30;
/// Up to this many, they become eight bits; four beyond.
const AUTO_Q8: u64 = 6 << 30;

impl Quantize {
    /// Chooses for files with this many bytes of tensors where nobody says.
    pub fn auto(bytes: u64) -> Quantize {
        match bytes {
            0..=AUTO_NONE => Quantize::None,
            bytes if bytes <= AUTO_Q8 => Quantize::Q8,
            _ => Quantize::Q4,
        }
    }

    /// Returns the way of this name.
    pub fn from_name(name: &str) -> Option<Quantize> {
        variants::named(name)
    }

    /// Returns how a matrix, stored as `dtype` with rows of `cols`, is kept.
    pub fn target(self, care: Care, dtype: DType, cols: usize) -> DType {
        if !dtype.is_float() || !cols.is_multiple_of(32) {
            return dtype;
        }
        match (self, care) {
            (Quantize::None, _) | (_, Care::AsStored) => dtype,
            (Quantize::Q8, _) | (Quantize::Q4, Care::EightBits) => DType::Q8_0,
            (Quantize::Q4, Care::Ordinary) => DType::Q4_0,
        }
    }
}

/// Encodes weights as floats, or, if they are a multiple of 32, as blocks of `Q8_0` or `Q4_0`.
pub fn encode(dtype: DType, weights: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F32 => return weights.iter().flat_map(|w| w.to_le_bytes()).collect(),
        DType::F16 => return weights.iter().flat_map(|w| f16::from_f32(*w).to_le_bytes()).collect(),
        DType::BF16 => return weights.iter().flat_map(|w| half::bf16::from_f32(*w).to_le_bytes()).collect(),
        _ => {}
    }
    let mut out = Vec::with_capacity(weights.len() / 32 * dtype.block_bytes());
    for block in weights.chunks_exact(32) {
        match dtype {
            DType::Q8_0 => q8_0(block, &mut out),
            DType::Q4_0 => q4_0(block, &mut out),
            _ => panic!("weights are never encoded as {}", dtype.name()),
        }
    }
    out
}

fn q8_0(block: &[f32], out: &mut Vec<u8>) {
    let most = block.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    let scale = most / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    out.extend(f16::from_f32(scale).to_le_bytes());
    out.extend(block.iter().map(|w| (w * inverse).round() as i8 as u8));
}

fn q4_0(block: &[f32], out: &mut Vec<u8>) {
    // The value farthest from zero, with its sign, maps to -8.
    let most = block.iter().fold(0.0f32, |m, &w| if w.abs() > m.abs() { w } else { m });
    let scale = most / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let nibble = |w: f32| ((w * inverse + 8.5) as i32).clamp(0, 15) as u8;
    out.extend(f16::from_f32(scale).to_le_bytes());
    out.extend((0..16).map(|i| nibble(block[i]) | nibble(block[i + 16]) << 4));
}
