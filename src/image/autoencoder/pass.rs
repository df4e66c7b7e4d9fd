//! One pass over a picture: the steps that make one layer's result (or its sums), from results that are whole in
//! memory, all at once or band by band.

use crate::gpu::{Need, Placement, Sharing};
use crate::models::CoderLayer;
use crate::ops::Rows;

/// The memory that holds a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A layer's whole result.
    Whole(usize),
    /// Memory of the pass: an index into [`Pass::needs`].
    Own(usize),
}

/// Rows of a layer's result.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub held: Held,
    pub layer: usize,
    pub rows: Rows,
}

/// A dispatch, or one for each slice of a weight.
#[derive(Clone, Copy, Debug)]
pub(super) enum PassStep {
    Copy { x: View, y: View, rows: Rows },
    Rescale { layer: usize, x: View, y: View },
    Norm { layer: usize, x: View, y: View },
    Conv { layer: usize, x: View, y: View, rows: Rows, add: Option<View> },
    Attend { q: View, k: View, v: View, y: View },
    Sums { x: View, stretches: usize },
}

impl PassStep {
    /// Lists the view that it writes (none for sums, which are named by their layer), and those that it reads.
    fn views(&self) -> (Option<View>, impl Iterator<Item = View>) {
        let (written, read) = match *self {
            PassStep::Copy { x, y, .. } | PassStep::Rescale { x, y, .. } | PassStep::Norm { x, y, .. } => {
                (Some(y), [Some(x), None, None])
            }
            PassStep::Conv { x, y, add, .. } => (Some(y), [Some(x), add, None]),
            PassStep::Attend { q, k, v, y } => (Some(y), [Some(q), Some(k), Some(v)]),
            PassStep::Sums { x, .. } => (None, [Some(x), None, None]),
        };
        (written, read.into_iter().flatten())
    }
}

/// The size of a layer's result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub height: usize,
    pub width: usize,
    /// Twice as high and wide as results of the level below.
    pub level: i32,
    /// Bytes of a row.
    pub row: u64,
    /// Multiplications and additions that make a row.
    pub macs: u64,
}

impl Extent {
    pub fn bytes(&self) -> u64 {
        self.row * self.height as u64
    }
}

/// A use of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    Held(Held),
    /// The sums of a layer's result.
    Sums(usize),
}

/// The result that a pass leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The whole result.
    Whole,
    /// The whole result, in the place of another layer's, which is not read any more.
    Over(usize),
    /// Only the result's sums.
    Sums,
}

/// Steps, to be done once or for every band.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub target: usize,
    pub goal: Goal,
    pub steps: Vec<PassStep>,
    /// Memory of its own; times are numbers of steps.
    pub needs: Vec<Need>,
    /// Bands; 0: all at once.
    pub bands: usize,
    /// Bands above the picture, before the first.
    pub early: usize,
    /// How much the state's first word grows from band to band.
    pub advance: usize,
    /// Multiplications and additions of a band.
    pub macs: u64,
    /// Slots of the sums that it leaves, if any.
    pub slots: usize,
}

impl Pass {
    /// Counts the multiplications and additions of all bands.
    pub fn all_macs(&self) -> u64 {
        self.macs * (self.bands + self.early).max(1) as u64
    }

    /// Lists for each step the memory that it writes, and the memory that it reads.
    pub fn uses<'a>(&'a self, layers: &'a [CoderLayer]) -> impl Iterator<Item = (Used, Vec<Used>)> + 'a {
        self.steps.iter().map(move |step| {
            let (written, read) = step.views();
            let mut read: Vec<Used> = read.map(|v| Used::Held(v.held)).collect();
            let sums = match *step {
                PassStep::Norm { layer, .. } => {
                    read.push(Used::Sums(layers[layer].from));
                    None
                }
                PassStep::Sums { .. } => Some(Used::Sums(self.target)),
                _ => None,
            };
            (sums.or(written.map(|v| Used::Held(v.held))).expect("a step writes something"), read)
        })
    }

    /// Counts the bytes of its own memory.
    pub fn own(&self) -> u64 {
        Placement::of(&self.needs, Sharing::SideBySide).bytes()
    }

    /// Finds the largest of its tensors, in bytes.
    pub fn largest(&self) -> u64 {
        self.needs.iter().map(|n| n.bytes).max().unwrap_or_default()
    }
}
