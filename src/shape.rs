//! The shape of a tensor: up to four dimensions, outermost first, kept inline so that tensors stay `Copy`.

/// Dimensions, outermost first; the last one is contiguous in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; 4],
    rank: u8,
}

impl Shape {
    /// Returns the dimensions as a slice.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }

    /// Returns the last dimension (1 for a scalar).
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// Returns `[rows, last]`: all but the last dimension multiplied together.
    pub fn rows(&self) -> [usize; 2] {
        let last = self.last();
        [self.dims().iter().rev().skip(1).product(), last]
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.dims().fmt(f)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(d: [usize; N]) -> Self {
        Shape::from(&d[..])
    }
}

impl From<&[usize]> for Shape {
    fn from(d: &[usize]) -> Self {
        assert!(d.len() <= 4, "a shape has at most four dimensions, not {d:?}");
        let mut dims = [1; 4];
        dims[..d.len()].copy_from_slice(d);
        Shape { dims, rank: d.len() as u8 }
    }
}
