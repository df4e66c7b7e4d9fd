//! How the elements of a stored tensor are encoded. Names are those of the GGUF format.

/// Weights that kernels read at once, as one block: rows of weights, and the channels of a convolution's tap, are
/// padded to whole ones.
pub const BLOCK: usize = 32;

/// The encoding of a stored tensor: plain floats, or blocks of quantized weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names are the GGUF format's own
pub enum DType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    IQ4NL,
    IQ4XS,
}

impl DType {
    /// Every encoding, in the order of the table below.
    pub const ALL: [DType; 15] = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::Q2K,
        DType::Q3K,
        DType::Q4K,
        DType::Q5K,
        DType::Q6K,
        DType::IQ4NL,
        DType::IQ4XS,
    ];

    /// Returns (name, GGUF type number, weights per block, bytes per block).
    const fn row(self) -> (&'static str, u32, usize, usize) {
        match self {
            DType::F32 => ("F32", 0, 1, 4),
            DType::F16 => ("F16", 1, 1, 2),
            DType::BF16 => ("BF16", 30, 1, 2),
            DType::Q4_0 => ("Q4_0", 2, 32, 18),
            DType::Q4_1 => ("Q4_1", 3, 32, 20),
            DType::Q5_0 => ("Q5_0", 6, 32, 22),
            DType::Q5_1 => ("Q5_1", 7, 32, 24),
            DType::Q8_0 => ("Q8_0", 8, 32, 34),
            DType::Q2K => ("Q2_K", 10, 256, 84),
            DType::Q3K => ("Q3_K", 11, 256, 110),
            DType::Q4K => ("Q4_K", 12, 256, 144),
            DType::Q5K => ("Q5_K", 13, 256, 176),
            DType::Q6K => ("Q6_K", 14, 256, 210),
            DType::IQ4NL => ("IQ4_NL", 20, 32, 18),
            DType::IQ4XS => ("IQ4_XS", 23, 256, 136),
        }
    }

    /// Returns the name as people write it (`Q4_K`).
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Returns the type number in a GGUF file.
    pub const fn gguf(self) -> u32 {
        self.row().1
    }

    /// Returns weights in one block (1 for floats).
    pub const fn block_len(self) -> usize {
        self.row().2
    }

    /// Returns the bytes of one block in a file.
    pub const fn block_bytes(self) -> usize {
        self.row().3
    }

    /// Returns the encoding with this GGUF type number.
    pub fn from_gguf(number: u32) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.gguf() == number)
    }

    /// Returns whether the elements are plain floats.
    pub const fn is_float(self) -> bool {
        self.block_len() == 1
    }

    /// Returns the bytes in a file of `len` weights, `len` being whole blocks; `None` if it isn't, or on overflow.
    pub fn bytes(self, len: usize) -> Option<usize> {
        if !len.is_multiple_of(self.block_len()) {
            return None;
        }
        (len / self.block_len()).checked_mul(self.block_bytes())
    }
}
