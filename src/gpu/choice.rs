//! Where an adapter departs from the table of kernel variants (`ops/parts.rs`): both ways compute the same, and which is the
//! quicker one no table can say.

use super::Gpu;

/// A departure from the table. None is made by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Convolutions of 3 x 3 by Winograd's method: fewer products, more sums, a workgroup of 256.
    Winograd,
    /// Matrix products and convolutions of many rows in tiles of 32 rows, not 64: fewer registers.
    ShortTiles,
    /// Attention of many rows in tiles of 32 queries, not 64: likewise.
    ShortAttention,
}

impl Choice {
    /// All of them.
    pub const ALL: [Choice; 3] = [Choice::Winograd, Choice::ShortTiles, Choice::ShortAttention];

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Choice::Winograd => "winograd",
            Choice::ShortTiles => "short tiles",
            Choice::ShortAttention => "short attention",
        }
    }

    /// The choice with this name.
    pub fn from_name(name: &str) -> Option<Choice> {
        Choice::ALL.into_iter().find(|c| c.name() == name)
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl Gpu {
    /// Whether the device makes this departure.
    pub fn chose(&self, choice: Choice) -> bool {
        self.choices.get() & choice.bit() != 0
    }

    /// Makes it, or takes it back, in graphs that are recorded from here on; kernels are to be tested anew then.
    pub fn choose(&self, choice: Choice, yes: bool) {
        if self.chose(choice) != yes {
            self.choices.set(self.choices.get() ^ choice.bit());
            self.tested.set(0);
        }
    }

    /// The names of those it makes.
    pub fn choices(&self) -> Vec<&'static str> {
        Choice::ALL.into_iter().filter(|c| self.chose(*c)).map(Choice::name).collect()
    }
}
