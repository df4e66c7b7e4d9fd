//! Where an adapter departs from the table of kernel variants (`ops/variants.rs`): which way is the quicker one no table can say.
//! All but those that round compute the same either way.

use super::{Adapter, Family, Gpu};

/// A departure from the table. None is made by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Convolutions of 3 x 3 by Winograd's method: fewer products, more sums, a workgroup of 256.
    Winograd,
    /// Matrix products and convolutions of many rows in tiles of 32 rows, not 64: fewer registers.
    ShortTiles,
    /// Attention of many rows in tiles of 32 queries, not 64: likewise.
    ShortAttention,
    /// Matrix products of many rows of input, rounded to eight bits, by the dot products that some GPUs have for these.
    /// Results are off by what is rounded away, so only a model whose caller allows it is run so.
    Int8Prompts,
    /// The same for one row.
    Int8Tokens,
}

impl Choice {
    /// All of them.
    pub const ALL: [Choice; 5] =
        [Choice::Winograd, Choice::ShortTiles, Choice::ShortAttention, Choice::Int8Prompts, Choice::Int8Tokens];

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Choice::Winograd => "winograd",
            Choice::ShortTiles => "short tiles",
            Choice::ShortAttention => "short attention",
            Choice::Int8Prompts => "int8 prompts",
            Choice::Int8Tokens => "int8 tokens",
        }
    }

    /// The choice with this name.
    pub fn from_name(name: &str) -> Option<Choice> {
        Choice::ALL.into_iter().find(|c| c.name() == name)
    }

    /// Whether results are rounded more than in the table's way: to be made only where that was asked for.
    pub fn rounds(self) -> bool {
        matches!(self, Choice::Int8Prompts | Choice::Int8Tokens)
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

    /// Whether the adapter has what it takes. Those that compute on the CPU have kernels of their own, and no choice.
    pub fn can_choose(&self, choice: Choice) -> bool {
        let Adapter { family, int8, .. } = self.adapter();
        *family != Family::Software && (*int8 || !choice.rounds())
    }

    /// Makes it, or takes it back, in graphs that are recorded from here on; kernels are to be tested anew then. Does nothing
    /// on an adapter that can't.
    pub fn choose(&self, choice: Choice, yes: bool) {
        if self.can_choose(choice) && self.chose(choice) != yes {
            self.choices.set(self.choices.get() ^ choice.bit());
            self.tested.set(0);
        }
    }

    /// The names of those it makes.
    pub fn choices(&self) -> Vec<&'static str> {
        Choice::ALL.into_iter().filter(|c| self.chose(*c)).map(Choice::name).collect()
    }
}
