//! Choices that differ from the table of kernel variants (`ops/variants.rs`), for the adapters where a measurement
//! shows that another way is quicker. All but those that round compute the same either way.

use super::{Adapter, Family, Gpu};
use crate::format::variants;
use serde::Deserialize;

/// A choice that differs from the table. None is made by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "ChoiceName"))]
pub enum Choice {
    /// Convolutions of 3 x 3 by Winograd's method: fewer products, more sums, a workgroup of 256.
    Winograd,
    /// Matrix products and convolutions of many rows in tiles of 32 rows, not 64: fewer registers.
    #[serde(rename = "short tiles")]
    ShortTiles,
    /// Attention of many rows in tiles of 32 queries, not 64: likewise.
    #[serde(rename = "short attention")]
    ShortAttention,
    /// Matrix products of many rows of input, rounded to eight bits, by the dot products that some GPUs have for these.
    /// Results are off by what is rounded away, so it is used only for models whose caller allows it.
    #[serde(rename = "int8 prompts")]
    Int8Prompts,
    /// The same for one row.
    #[serde(rename = "int8 tokens")]
    Int8Tokens,
}

impl Choice {
    /// All of them.
    pub const ALL: [Choice; 5] =
        [Choice::Winograd, Choice::ShortTiles, Choice::ShortAttention, Choice::Int8Prompts, Choice::Int8Tokens];

    /// Returns the name in options and reports.
    pub fn name(self) -> &'static str {
        variants::names::<Choice>()[self as usize]
    }

    /// Returns the choice with this name.
    pub fn from_name(name: &str) -> Option<Choice> {
        variants::named(name)
    }

    /// Returns whether results are rounded more than in the table's way: to be made only where that was asked for.
    pub fn rounds(self) -> bool {
        matches!(self, Choice::Int8Prompts | Choice::Int8Tokens)
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl Gpu {
    /// Returns whether the device makes this choice.
    pub fn chose(&self, choice: Choice) -> bool {
        self.choices.get() & choice.bit() != 0
    }

    /// Returns whether the adapter has the features that the choice needs. Those that compute on the CPU have kernels
    /// of their own, and no choice.
    pub fn can_choose(&self, choice: Choice) -> bool {
        let Adapter { family, int8, .. } = self.adapter();
        *family != Family::Software && (*int8 || !choice.rounds())
    }

    /// Makes the choice, or takes it back, in graphs that are recorded from here on; kernels are to be tested anew
    /// then. Does nothing on an adapter that cannot make it.
    pub fn choose(&self, choice: Choice, yes: bool) {
        if self.can_choose(choice) && self.chose(choice) != yes {
            self.choices.set(self.choices.get() ^ choice.bit());
            self.tested.set(0);
        }
    }

    /// Returns the names of the choices that it makes.
    pub fn choices(&self) -> Vec<&'static str> {
        Choice::ALL.into_iter().filter(|c| self.chose(*c)).map(Choice::name).collect()
    }
}
