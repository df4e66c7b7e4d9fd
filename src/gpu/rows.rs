//! Rows of activations in memory: `f32`, each padded so that kernels load four elements at a time.

use super::buffer::Region;
use super::device::Gpu;
use crate::Result;
use std::rc::Rc;

/// Rows start at a multiple of this many elements.
const ROW_ALIGN: usize = 4;

/// Counts the elements from one row of `width` elements to the next.
pub const fn row_stride(width: usize) -> usize {
    width.next_multiple_of(ROW_ALIGN)
}

/// Counts the bytes from one row of `width` elements to the next.
pub const fn row_bytes(width: usize) -> u64 {
    4 * row_stride(width) as u64
}

/// Pads rows of `width` elements with zeros, as they lie in memory.
pub fn padded(mut values: impl ExactSizeIterator<Item = f32>, width: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len() / width * row_stride(width)];
    for row in out.chunks_exact_mut(row_stride(width)) {
        row[..width].iter_mut().zip(values.by_ref()).for_each(|(to, value)| *to = value);
    }
    out
}

/// Takes the padding off rows of `width` elements, as they lie in memory.
pub fn unpadded(bytes: &[u8], width: usize) -> Vec<f32> {
    let all: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
    all.chunks_exact(row_stride(width)).flat_map(|row| &row[..width]).copied().collect()
}

impl Gpu {
    /// Reads the first `rows` rows of `width` elements in a region, without their padding.
    ///
    /// # Errors
    /// [`Error::Gpu`](crate::Error::Gpu) if the device was lost or reported an error.
    pub async fn read_rows(self: &Rc<Self>, region: &Region, rows: usize, width: usize) -> Result<Vec<f32>> {
        let mut values = unpadded(&self.read(region).await?, width);
        values.truncate(rows * width);
        Ok(values)
    }
}
