//! Shared by ops: rows of which only the device knows how many hold tokens, and lengths in units of four elements.

use crate::gpu::{OpBuilder, Region, Tensor};

/// How many of a chunk's rows hold tokens is known only on the device: `state[1]`.
pub(crate) trait Bounded<'g> {
    /// Binds the state next and lets it bound the rows, or leaves the binding unused.
    fn bounded(self, state: Option<&Region>) -> Self;
}

impl<'g> Bounded<'g> for OpBuilder<'g> {
    fn bounded(self, state: Option<&Region>) -> Self {
        match state {
            Some(region) => self.set("BOUNDED", true).region(region),
            None => self.nothing(),
        }
    }
}

/// Returns the length of a row in units of four elements.
pub(crate) fn quads(t: Tensor<'_>) -> u32 {
    (t.stride() / 4) as u32
}
