//! One or two texts as an encoder reads them: framed by special tokens, with a type for each token, cut to a length.

use crate::{Error, Result};

/// The tokens of one text or of a pair, with the special tokens that the model wants around them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoding {
    /// The tokens.
    pub ids: Vec<u32>,
    /// The type of each token, as many as `ids`: mostly 0 for the first text and 1 for the second.
    pub type_ids: Vec<u32>,
}

impl Encoding {
    fn push(&mut self, ids: &[u32], type_id: u32) {
        self.ids.extend(ids);
        self.type_ids.resize(self.ids.len(), type_id);
    }

    /// Pads to at least `length` tokens in the way that `padding` says.
    pub fn pad(&mut self, padding: &Padding, length: usize) {
        let length = match padding.multiple {
            0 => length,
            multiple => length.div_ceil(multiple).saturating_mul(multiple),
        };
        let count = length.saturating_sub(self.ids.len());
        let at = if padding.left { 0 } else { self.ids.len() };
        self.ids.splice(at..at, std::iter::repeat_n(padding.id, count));
        self.type_ids.splice(at..at, std::iter::repeat_n(padding.type_id, count));
    }
}

/// Which text of a pair is cut to a length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum TruncationStrategy {
    /// The longer one, then both alike.
    #[default]
    LongestFirst,
    /// The first alone.
    OnlyFirst,
    /// The second alone.
    OnlySecond,
}

/// How texts are cut to a length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Truncation {
    /// The most tokens, special ones included.
    pub max_length: usize,
    /// Which text of a pair is cut.
    pub strategy: TruncationStrategy,
    /// The beginning is cut off, not the end.
    pub left: bool,
}

/// How encodings of different lengths are made equally long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Padding {
    /// The token that is added.
    pub id: u32,
    /// Its type.
    pub type_id: u32,
    /// Added before the text, not after it.
    pub left: bool,
    /// The length is a multiple of this; 0 if it need not be.
    pub multiple: usize,
    /// The length of all texts, where a file asks for the same one always.
    pub fixed: Option<usize>,
}

/// A part of what an encoder reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    /// The first or the second text, with its type.
    First(u32),
    Second(u32),
    /// Special tokens, with their type.
    Special(Vec<u32>, u32),
}

/// The special tokens around one text and around two.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Framing {
    pub single: Vec<Slot>,
    pub pair: Vec<Slot>,
}

impl Default for Framing {
    /// Returns the framing of tokenizers that add nothing.
    fn default() -> Self {
        Framing { single: vec![Slot::First(0)], pair: vec![Slot::First(0), Slot::Second(1)] }
    }
}

impl Framing {
    /// Returns the special tokens before a text alone, and those after it.
    pub fn around(&self) -> (Vec<u32>, Vec<u32>) {
        let text = self.single.iter().position(|slot| matches!(slot, Slot::First(_))).unwrap_or(self.single.len());
        let ids = |slots: &[Slot]| {
            let special = slots.iter().filter_map(|slot| match slot {
                Slot::Special(ids, _) => Some(ids.as_slice()),
                _ => None,
            });
            special.flatten().copied().collect()
        };
        (ids(&self.single[..text]), ids(&self.single[text..]))
    }

    /// Puts `token` before every text, or after it.
    pub fn add(&mut self, token: u32, before: bool) {
        for slots in [&mut self.single, &mut self.pair] {
            let framed = std::mem::take(slots).into_iter().flat_map(|slot| match slot {
                Slot::First(type_id) | Slot::Second(type_id) => {
                    let special = Slot::Special(vec![token], type_id);
                    if before { vec![special, slot] } else { vec![slot, special] }
                }
                other => vec![other],
            });
            *slots = framed.collect();
        }
    }

    /// Takes `token` away where it stands before the first text, or everywhere after that.
    pub fn remove(&mut self, token: u32, before: bool) {
        for slots in [&mut self.single, &mut self.pair] {
            let mut begun = false;
            for slot in slots {
                match slot {
                    Slot::Special(ids, _) if begun != before => ids.retain(|&id| id != token),
                    Slot::Special(..) => {}
                    _ => begun = true,
                }
            }
        }
    }

    /// Returns the slots for one text or for two.
    fn slots(&self, pair: bool) -> &[Slot] {
        if pair { &self.pair } else { &self.single }
    }

    /// Lists every special token.
    pub fn special(&self) -> impl Iterator<Item = u32> + '_ {
        let ids = self.single.iter().chain(&self.pair).filter_map(|slot| match slot {
            Slot::Special(ids, _) => Some(ids),
            _ => None,
        });
        ids.flatten().copied()
    }

    /// Puts the tokens of one text or two into their slots, cut so that all is no longer than `truncation` allows.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the special tokens alone are more, or the text to be cut has too few tokens.
    pub fn fill(
        &self,
        mut first: Vec<u32>,
        mut second: Option<Vec<u32>>,
        truncation: Option<&Truncation>,
    ) -> Result<Encoding> {
        let slots = self.slots(second.is_some());
        if let Some(truncation) = truncation {
            let special = slots.iter().map(|slot| if let Slot::Special(ids, _) = slot { ids.len() } else { 0 }).sum();
            let room = truncation.max_length.checked_sub(special).ok_or_else(|| {
                Error::unsupported(format!(
                    "a maximum of {} tokens leaves no room beside the {special} special tokens: set a larger one",
                    truncation.max_length
                ))
            })?;
            cut_pair(&mut first, second.as_mut(), room, truncation)?;
        }
        let mut encoding = Encoding::default();
        for slot in slots {
            match slot {
                Slot::First(type_id) => encoding.push(&first, *type_id),
                Slot::Second(type_id) => encoding.push(second.as_deref().unwrap_or_default(), *type_id),
                Slot::Special(ids, type_id) => encoding.push(ids, *type_id),
            }
        }
        Ok(encoding)
    }
}

/// Cuts one text or two so that together they have at most `room` tokens.
fn cut_pair(first: &mut Vec<u32>, second: Option<&mut Vec<u32>>, room: usize, how: &Truncation) -> Result<()> {
    let (a, b) = (first.len(), second.as_ref().map_or(0, |second| second.len()));
    let Some(excess) = (a + b).checked_sub(room).filter(|&excess| excess > 0) else { return Ok(()) };
    let (a, b) = match (how.strategy, &second) {
        _ if room == 0 => (0, 0),
        (TruncationStrategy::LongestFirst, _) => {
            // The shorter one keeps what it has if it has less than half.
            let (short, long) = (a.min(b), a.max(b));
            let mut lengths = (short, short.max(room.saturating_sub(short)).min(long));
            if lengths.0 + lengths.1 > room {
                lengths = (room / 2, room / 2 + room % 2);
            }
            if a > b { (lengths.1, lengths.0) } else { lengths }
        }
        (TruncationStrategy::OnlyFirst, _) if a > excess => (a - excess, b),
        (TruncationStrategy::OnlySecond, Some(_)) if b > excess => (a, b - excess),
        _ => {
            return Err(Error::unsupported(format!(
                "the text to be cut is too short for a maximum of {} tokens: set a larger one or cut the longest first",
                how.max_length
            )));
        }
    };
    let cut = |ids: &mut Vec<u32>, length: usize| match ids.len().checked_sub(length) {
        Some(excess) if how.left => drop(ids.drain(..excess)),
        _ => ids.truncate(length),
    };
    cut(first, a);
    if let Some(second) = second {
        cut(second, b);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(a: usize, b: Option<usize>, max_length: usize, strategy: TruncationStrategy) -> Option<(usize, usize)> {
        let framing = Framing::default();
        let second = b.map(|b| vec![2; b]);
        let truncation = Truncation { max_length, strategy, left: false };
        let encoding = framing.fill(vec![1; a], second, Some(&truncation)).ok()?;
        let count = |id: u32| encoding.ids.iter().filter(|&&i| i == id).count();
        Some((count(1), count(2)))
    }

    #[test]
    fn pairs_are_cut() {
        use TruncationStrategy::*;
        assert_eq!(lengths(5, Some(9), 14, LongestFirst), Some((5, 9)));
        assert_eq!(lengths(5, Some(9), 11, LongestFirst), Some((5, 6)));
        assert_eq!(lengths(9, Some(5), 11, LongestFirst), Some((6, 5)));
        assert_eq!(lengths(9, Some(5), 7, LongestFirst), Some((4, 3)));
        assert_eq!(lengths(5, Some(5), 7, LongestFirst), Some((3, 4)));
        assert_eq!(lengths(5, Some(0), 3, LongestFirst), Some((3, 0)));
        assert_eq!(lengths(5, None, 3, LongestFirst), Some((3, 0)));
        assert_eq!(lengths(5, Some(5), 0, LongestFirst), Some((0, 0)));
        assert_eq!(lengths(5, Some(5), 7, OnlyFirst), Some((2, 5)));
        assert_eq!(lengths(5, Some(5), 7, OnlySecond), Some((5, 2)));
        assert_eq!(lengths(5, Some(5), 5, OnlySecond), None);
        assert_eq!(lengths(5, None, 3, OnlySecond), None);
    }

    #[test]
    fn special_tokens_stay() {
        let special = |id: u32, type_id: u32| Slot::Special(vec![id], type_id);
        let single = vec![special(9, 0), Slot::First(0), special(8, 0)];
        let pair = [single.clone(), vec![Slot::Second(1), special(8, 1)]].concat();
        let mut framing = Framing { single, pair };
        let cut = |framing: &Framing, max_length: usize, left: bool| {
            let truncation = Truncation { max_length, left, ..Truncation::default() };
            framing.fill(vec![1, 2, 3], Some(vec![4, 5, 6]), Some(&truncation))
        };
        let encoding = cut(&framing, 6, false).unwrap();
        assert_eq!((encoding.ids, encoding.type_ids), (vec![9, 1, 8, 4, 5, 8], vec![0, 0, 0, 1, 1, 1]));
        assert_eq!(cut(&framing, 6, true).unwrap().ids, [9, 3, 8, 5, 6, 8]);
        assert_eq!(cut(&framing, 3, false).unwrap().ids, [9, 8, 8]);
        assert_eq!(cut(&framing, 2, false).unwrap_err().code(), "Unsupported");
        let all = framing.fill(vec![1], Some(vec![2, 3]), None).unwrap();
        assert_eq!((all.ids.len(), all.type_ids), (6, vec![0, 0, 0, 1, 1, 1]));
        framing.remove(8, false);
        framing.add(7, true);
        assert_eq!(framing.around(), (vec![9, 7], vec![]));
        assert_eq!(framing.fill(vec![1], Some(vec![2]), None).unwrap().ids, [9, 7, 1, 7, 2]);
    }

    #[test]
    fn padding_on_either_side() {
        let text = Encoding { ids: vec![5, 6, 7], type_ids: vec![0, 0, 1] };
        let padding = Padding { id: 9, type_id: 2, multiple: 4, ..Padding::default() };
        let mut padded = text.clone();
        padded.pad(&padding, 3);
        assert_eq!((padded.ids, padded.type_ids), (vec![5, 6, 7, 9], vec![0, 0, 1, 2]));
        let mut padded = text.clone();
        padded.pad(&Padding { left: true, multiple: 0, ..padding }, 5);
        assert_eq!((padded.ids, padded.type_ids), (vec![9, 9, 5, 6, 7], vec![2, 2, 0, 0, 1]));
        let mut padded = text.clone();
        padded.pad(&Padding { multiple: 0, ..padding }, 2);
        assert_eq!(padded, text);
    }
}
