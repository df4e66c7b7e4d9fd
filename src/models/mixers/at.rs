//! The place where a mixer runs: the step's state, and rotations.

use crate::config::language::Rope;
use crate::gpu::{Buffer, Gpu, Region, Weight};
use crate::ops::{Rotation, turns};
use std::rc::Rc;

/// Where a mixer runs.
#[derive(Clone, Copy)]
pub(in crate::models) struct At<'a> {
    /// `[0]` the first row's position, `[1]` how many rows hold tokens.
    pub state: &'a Region,
    /// The same if there is more than one row.
    pub bound: Option<&'a Region>,
    /// The rotations that layers name.
    pub rotations: &'a [RopeTable],
    /// Rows are whole sequences, one after the other; otherwise those that follow what the state holds.
    pub packed: Option<PackedRows<'a>>,
}

/// The values that layers with biases of scores read, where rows are whole sequences.
#[derive(Clone, Copy)]
pub(in crate::models) struct PackedRows<'a> {
    /// The biases.
    pub relative: Option<&'a Weight>,
    /// The word of the step's state where the buckets of distances stand.
    pub buckets: usize,
}

/// A rotation's frequencies on the GPU.
pub(in crate::models) struct RopeTable {
    frequencies: Region,
    dims: usize,
    interleaved: bool,
    factor: f32,
    /// Words for short sequences, and for long ones if they differ.
    words: [Option<Vec<u32>>; 2],
}

impl RopeTable {
    /// Computes the frequencies and uploads them.
    pub fn new(gpu: &Rc<Gpu>, rope: &Rope) -> Self {
        let words = |table: (Vec<f32>, f32)| table.0.into_iter().map(turns).collect::<Vec<u32>>();
        let (short, factor) = rope.table();
        let bytes = 4 * short.len().max(1) as u64;
        let table = RopeTable {
            frequencies: Buffer::storage(gpu, "rope frequencies", bytes).region(),
            dims: rope.dims,
            interleaved: rope.interleaved,
            factor,
            words: [Some(words((short, factor))), rope.long_table().map(words)],
        };
        table.choose(false);
        table
    }

    /// Takes the frequencies of long sequences, or of short ones.
    pub fn choose(&self, long: bool) {
        if let Some(words) = &self.words[usize::from(long)] {
            self.frequencies.write(0, bytemuck::cast_slice(words));
        }
    }

    /// Returns them for an attention.
    pub fn rotation(&self) -> Rotation<'_> {
        let RopeTable { frequencies, dims, interleaved, factor, .. } = self;
        Rotation { dims: *dims, interleaved: *interleaved, frequencies, factor: *factor }
    }
}
