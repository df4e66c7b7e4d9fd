//! Feature maps: tensors of pixels with their channels innermost.

use crate::gpu::Tensor;

/// Which rows of a picture a feature map holds. In a graph that is run once for each band of a picture, the first row
/// moves with the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// How many rows are held.
    pub count: usize,
    /// How many rows the whole picture has.
    pub height: usize,
    /// The first row held is `mul * band + add`, `band` being word 0 of [`crate::gpu::Graph::band`].
    pub mul: i32,
    /// See `mul`.
    pub add: i32,
}

impl Rows {
    /// Returns every row of a picture.
    pub fn all(height: usize) -> Rows {
        Rows { count: height, height, mul: 0, add: 0 }
    }

    /// Returns whether these are all the picture's rows.
    pub fn is_all(&self) -> bool {
        self.mul == 0 && self.add == 0 && self.count == self.height
    }
}

/// A batch of pictures (or bands of them) of features: the tensor is [N * rows * W, C].
#[derive(Clone, Copy)]
pub struct Map<'g> {
    /// The values.
    pub t: Tensor<'g>,
    /// N: pictures.
    pub n: usize,
    /// W: columns.
    pub w: usize,
    /// The rows it holds.
    pub rows: Rows,
}

impl<'g> Map<'g> {
    /// Takes a tensor [N * rows * W, C] for feature maps.
    #[track_caller]
    pub fn new(t: Tensor<'g>, n: usize, w: usize, rows: Rows) -> Self {
        assert_eq!(
            t.rows()[0],
            n * rows.count * w,
            "a tensor of {:?} for {n} maps of {} by {w}",
            t.shape(),
            rows.count
        );
        Map { t, n, w, rows }
    }

    /// Returns C.
    pub fn channels(self) -> usize {
        self.t.shape().last()
    }

    /// Puts other values at the same places: what a pixel-wise op made of `self.t`.
    #[track_caller]
    pub fn with(self, t: Tensor<'g>) -> Self {
        Map::new(t, self.n, self.w, self.rows)
    }
}
