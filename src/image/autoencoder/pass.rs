//! One pass over a picture: the steps that make one layer's result (or its sums), from results that are whole in
//! memory, all at once or band by band.

use super::placement::{Need, bytes};
use crate::models::Layer;
use crate::ops::Rows;

/// What holds a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A layer's whole result.
    Whole(usize),
    /// Something of the pass: an index into [`Pass::needs`].
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
pub(super) enum Step {
    Copy { x: View, y: View, rows: Rows },
    Rescale { layer: usize, x: View, y: View },
    Norm { layer: usize, x: View, y: View },
    Conv { layer: usize, x: View, y: View, rows: Rows, add: Option<View> },
    Attend { q: View, k: View, v: View, y: View },
    Sums { x: View, stretches: usize },
}

impl Step {
    /// What it writes (sums are named by their layer), and what it reads.
    fn views(&self) -> (Option<View>, impl Iterator<Item = View>) {
        let (written, read) = match *self {
            Step::Copy { x, y, .. } | Step::Rescale { x, y, .. } | Step::Norm { x, y, .. } => {
                (Some(y), [Some(x), None, None])
            }
            Step::Conv { x, y, add, .. } => (Some(y), [Some(x), add, None]),
            Step::Attend { q, k, v, y } => (Some(y), [Some(q), Some(k), Some(v)]),
            Step::Sums { x, .. } => (None, [Some(x), None, None]),
        };
        (written, read.into_iter().flatten())
    }
}

/// A layer's result: its size, and the level that says how much larger it is than others: twice for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub height: usize,
    pub width: usize,
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

/// Something that takes memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    Held(Held),
    /// Sums of a layer's result.
    Sums(usize),
}

/// What a pass leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The whole result.
    Whole,
    /// The whole result, where that of another layer was, which nothing reads any more.
    Over(usize),
    /// Only its sums.
    Sums,
}

/// Steps, to be done once or for every band.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub target: usize,
    pub goal: Goal,
    pub steps: Vec<Step>,
    /// Memory of its own; times are steps.
    pub needs: Vec<Need>,
    /// Bands; 0: all at once.
    pub bands: usize,
    /// Bands above the picture, before the first.
    pub early: usize,
    /// What the state's first word grows by from band to band.
    pub advance: usize,
    /// Multiplications and additions of a band.
    pub macs: u64,
    /// Slots of the sums that it leaves.
    pub slots: usize,
}

impl Pass {
    /// Those of all bands.
    pub fn all_macs(&self) -> u64 {
        self.macs * (self.bands + self.early).max(1) as u64
    }

    /// What each step writes, and what it reads.
    pub fn uses<'a>(&'a self, layers: &'a [Layer]) -> impl Iterator<Item = (Used, Vec<Used>)> + 'a {
        self.steps.iter().map(move |step| {
            let (written, read) = step.views();
            let mut read: Vec<Used> = read.map(|v| Used::Held(v.held)).collect();
            let sums = match *step {
                Step::Norm { layer, .. } => {
                    read.push(Used::Sums(layers[layer].from));
                    None
                }
                Step::Sums { .. } => Some(Used::Sums(self.target)),
                _ => None,
            };
            (sums.or(written.map(|v| Used::Held(v.held))).expect("a step writes something"), read)
        })
    }

    /// Bytes of its own memory.
    pub fn own(&self) -> u64 {
        bytes(&self.needs)
    }

    /// The largest of its tensors, in bytes.
    pub fn largest(&self) -> u64 {
        self.needs.iter().map(|n| n.bytes).max().unwrap_or_default()
    }
}
