//! Weights from a formula, so that a golden case need not store them: `tools/golden/models.py` has the same one.

/// Number `i` of the sequence that belongs to `name`: splitmix64 started at the FNV-1a hash of the name.
pub fn hash(name: &str, i: usize) -> u64 {
    let start = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut z: u64 = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(start);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `count` tokens of `seed`.
pub fn tokens(seed: u64, count: usize, vocab: usize) -> Vec<u32> {
    let name = format!("tokens {seed}");
    (0..count).map(|i| ((hash(&name, i) >> 32) % vocab as u64) as u32).collect()
}

/// A case's own rule for the values of tensors whose name ends so: their middle and half-width.
pub type Rule = (String, f32, f32);

/// (middle, half-width) of a tensor's values: those of the first of `rules` that fits, else what `models.py` explains.
pub fn spread(name: &str, shape: &[usize], rules: &[Rule]) -> (f32, f32) {
    if let Some((_, middle, half)) = rules.iter().find(|(ending, ..)| name.ends_with(ending.as_str())) {
        return (*middle, *half);
    }
    if name.ends_with("q_norm.weight") || name.ends_with("k_norm.weight") {
        return (1.25, 0.25);
    }
    if name.ends_with("norm.weight") {
        return (1.0, 0.25);
    }
    if name.ends_with(".bias") {
        return (0.0, 0.25);
    }
    if name.ends_with("embed_tokens.weight") {
        return (0.0, 0.5);
    }
    if shape.len() == 1 {
        return (1.0, 0.25);
    }
    let gain = match name.rsplit('.').nth(1) {
        Some("k_proj") => 0.5,
        Some("o_proj" | "down_proj" | "lm_head") => 2.0,
        _ => 1.0,
    };
    let unit = (3.0 / shape[1..].iter().product::<usize>() as f64).sqrt().log2().round_ties_even().exp2();
    (0.0, (unit * gain) as f32)
}

/// How a tensor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Four bytes.
    F32,
    /// Two bytes: half precision.
    F16,
    /// Two bytes: the upper half of F32.
    BF16,
    /// Blocks of 32, a byte each, with a scale.
    Q8_0,
}

impl Stored {
    /// The name in a golden case and in a safetensors header.
    pub fn named(name: &str) -> Stored {
        match name {
            "F32" => Stored::F32,
            "F16" => Stored::F16,
            "BF16" => Stored::BF16,
            "Q8_0" => Stored::Q8_0,
            other => panic!("a golden case is stored as {other}"),
        }
    }

    /// Its number in a GGUF file.
    pub fn gguf(self) -> u32 {
        match self {
            Stored::F32 => 0,
            Stored::F16 => 1,
            Stored::Q8_0 => 8,
            Stored::BF16 => 30,
        }
    }
}

/// A tensor of a made-up model: the name and shape it has in transformers, and where its values come from.
#[derive(Clone, Debug)]
pub struct Made {
    /// The transformers name.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// For each row of the file, the row of the formula's tensor.
    order: Vec<usize>,
    /// The middle and half-width of its values.
    spread: (f32, f32),
}

impl Made {
    /// The tensor as transformers has it.
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Made {
        Made::with(name, shape, &[])
    }

    /// The same, its values by the case's own rules where one fits.
    pub fn with(name: impl Into<String>, shape: &[usize], rules: &[Rule]) -> Made {
        let name = name.into();
        let spread = spread(&name, shape, rules);
        Made { name, shape: shape.to_vec(), order: (0..shape[0]).collect(), spread }
    }

    /// Rows of each of `heads` heads reordered from halves to neighbouring pairs, as GGUF files of the llama family
    /// have their query and key projections: rows `p * half + j` and `half + j` of a head become `2 j` and `2 j + 1`.
    pub fn interleaved(mut self, heads: usize) -> Made {
        let (size, half) = (self.shape[0] / heads, self.shape[0] / heads / 2);
        self.order = (0..self.shape[0])
            .map(|row| {
                let (head, within) = (row / size, row % size);
                head * size + (within % 2) * half + within / 2
            })
            .collect();
        self
    }

    /// Elements in a row of the file (1 for a vector).
    fn width(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The bytes of the file that holds this tensor as `stored`. A one-dimensional tensor of a quantized file is F32.
    pub fn bytes(&self, stored: Stored) -> Vec<u8> {
        let (middle, half) = self.spread;
        let (width, mut out) = (self.width(), Vec::new());
        let scales = format!("{} scale", self.name);
        for &row in &self.order {
            for i in row * width..(row + 1) * width {
                let unit = (f64::from((hash(&self.name, i) >> 48) as u32) - 32768.0) / 32768.0;
                let value = (f64::from(middle) + f64::from(half) * unit) as f32;
                match stored {
                    Stored::F16 => out.extend(half::f16::from_f32(value).to_le_bytes()),
                    Stored::BF16 => out.extend(half::bf16::from_f32(value).to_le_bytes()),
                    Stored::Q8_0 if self.shape.len() == 2 => {
                        if i % 32 == 0 {
                            let step = (hash(&scales, i / 32) >> 54) as f64 / 1024.0;
                            let scale = f64::from(half) / 128.0 * (0.5 + 0.5 * step);
                            out.extend(half::f16::from_f64(scale).to_le_bytes());
                        }
                        out.push(((hash(&self.name, i) >> 56) as u8).wrapping_sub(128));
                    }
                    Stored::F32 | Stored::Q8_0 => out.extend(value.to_le_bytes()),
                }
            }
        }
        out
    }
}

/// A tensor of a GGUF file that keeps f32 whatever the file's type: its values as the file's type would have them.
pub fn rounded(bytes: &[u8], stored: Stored) -> Vec<u8> {
    match stored {
        Stored::F32 | Stored::Q8_0 => bytes.to_vec(),
        Stored::F16 => {
            bytes.chunks_exact(2).flat_map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32().to_le_bytes()).collect()
        }
        Stored::BF16 => {
            bytes.chunks_exact(2).flat_map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32().to_le_bytes()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_the_one_that_made_the_golden_files() {
        // Printed by models.py's own functions.
        assert_eq!(tokens(0, 5, 97), [90, 17, 27, 9, 58]);
        let floats = |made: Made, stored| rounded(&made.bytes(stored), stored);
        let first = |bytes: Vec<u8>| f32::from_le_bytes(bytes[..4].try_into().unwrap());
        let q = Made::new("model.layers.0.self_attn.q_proj.weight", &[48, 72]);
        assert_eq!(first(floats(q.clone(), Stored::F32)), -0.040_351_868);
        assert_eq!(first(floats(q.clone(), Stored::F16)), -0.040_344_24);
        assert_eq!(first(floats(q.clone(), Stored::BF16)), -0.040_283_203);
        let blocks = Made::new("lm_head.weight", &[2, 64]).bytes(Stored::Q8_0);
        assert_eq!(blocks.len(), 4 * 34);
        assert_eq!(
            (half::f16::from_le_bytes([blocks[34], blocks[35]]).to_f32(), blocks[36] as i8),
            (0.002_241_134_6, 89)
        );
        assert_eq!(first(Made::new("model.norm.weight", &[7]).bytes(Stored::Q8_0)), 0.774_337_77);
        // Kernels of a convolution, norms by other names, and a case's own rules, of which the first that fits decides.
        let taps = Made::new("model.layers.0.conv.conv.weight", &[72, 1, 3]);
        assert_eq!(first(taps.bytes(Stored::F32)), -0.399_902_34);
        assert_eq!(first(Made::new("h.0.ln_1.weight", &[7]).bytes(Stored::F32)), 0.917_343_14);
        let rules = [("q_norm.weight".to_string(), 0.5, 0.125), ("norm.weight".to_string(), 0.0, 0.25)];
        let ruled = Made::with("model.layers.0.input_layernorm.weight", &[7], &rules);
        assert_eq!(first(ruled.bytes(Stored::F32)), -0.033_302_307);
    }

    #[test]
    fn interleaving_moves_halves_to_pairs() {
        let plain = Made::new("model.layers.0.self_attn.k_proj.bias", &[12]);
        let pairs = plain.clone().interleaved(2);
        let values = |m: &Made| -> Vec<[u8; 4]> {
            m.bytes(Stored::F32).chunks_exact(4).map(|b| b.try_into().unwrap()).collect()
        };
        let (a, b) = (values(&plain), values(&pairs));
        assert_eq!(b, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11].map(|i| a[i]));
    }
}
