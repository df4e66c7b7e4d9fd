//! The state that a decoder keeps of the tokens before: each layer's, and how far back it can be taken.

// Long because: which positions a state stands for is tested beside the buffers that hold it.

use crate::Result;
use crate::config::language::{LanguageConfig, MixerConfig};
use crate::gpu::{Batch, Buffer, Gpu, Region};
use crate::ops::KvLayer;
use std::rc::Rc;

/// The state that one layer keeps.
#[derive(Clone)]
pub enum LayerState {
    /// Keys and values: of all positions, or a ring of the latest.
    Kv(KvLayer),
    /// A ring of the latest rows, [capacity, D] of f32.
    Rows {
        /// Where they are.
        ring: Region,
        /// How many.
        capacity: usize,
    },
}

/// How far back a layer's state can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To any position.
    Whole,
    /// The latest `capacity` positions are kept, of which the next one reads `window - 1`.
    Ring {
        /// Positions that one sees, its own included.
        window: usize,
        /// Positions that are kept.
        capacity: usize,
    },
    /// To checkpoints alone: a position's state replaces that of the one before.
    Recurrent,
}

/// Which positions a decoder's state stands for, and to which it can be taken back.
#[derive(Clone, Debug)]
pub struct Timeline {
    reaches: Vec<Reach>,
    /// Positions that the state stands for.
    end: usize,
    /// The furthest position that a ring was written for.
    written: usize,
    /// The position of each checkpoint.
    checkpoints: Vec<Option<usize>>,
}

/// The decision of [`Timeline::rollback`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// How many positions remain.
    pub kept: usize,
    /// The checkpoint whose copy has to be put back first.
    pub restore: Option<usize>,
}

impl Timeline {
    /// Starts before the first position, with room for `checkpoints` checkpoints.
    pub fn new(reaches: Vec<Reach>, checkpoints: usize) -> Self {
        Timeline { reaches, end: 0, written: 0, checkpoints: vec![None; checkpoints] }
    }

    /// Returns how many positions the state stands for.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Returns how many positions may be fed and then taken back.
    pub fn slack(&self) -> usize {
        let slack = |reach: &Reach| match *reach {
            Reach::Whole => usize::MAX,
            Reach::Ring { window, capacity } => capacity - window.min(capacity),
            Reach::Recurrent => 0,
        };
        self.reaches.iter().map(slack).min().unwrap_or(usize::MAX)
    }

    /// Notes that `count` positions were fed.
    pub fn advance(&mut self, count: usize) {
        self.end += count;
        self.written = self.written.max(self.end);
    }

    /// Takes the state back to at most `keep` positions: to `keep` itself where every layer can, else to the latest
    /// checkpoint before it, else to the beginning.
    pub fn rollback(&mut self, keep: usize) -> Rollback {
        let keep = keep.min(self.end);
        let reaches = |reach: &Reach| match *reach {
            Reach::Whole => true,
            // Before the ring went round nothing was lost.
            Reach::Ring { window, capacity } => {
                self.written <= capacity || self.written - keep <= capacity - window.min(capacity)
            }
            Reach::Recurrent => keep == self.end,
        };
        let mut result = Rollback { kept: keep, restore: None };
        if !self.reaches.iter().all(reaches) {
            let before = |(i, at): (usize, &Option<usize>)| at.filter(|&at| at <= keep).map(|at| (at, i));
            let latest = self.checkpoints.iter().enumerate().filter_map(before).max();
            result =
                latest.map_or(Rollback { kept: 0, restore: None }, |(at, i)| Rollback { kept: at, restore: Some(i) });
            self.written = result.kept;
        }
        self.end = result.kept;
        // What is fed next may differ from what came after here.
        self.checkpoints.iter_mut().for_each(|at| *at = at.filter(|&at| at <= result.kept));
        result
    }

    /// Chooses the checkpoint that a copy of the state as it is now goes to; `None`: none is needed.
    pub fn checkpoint(&mut self) -> Option<usize> {
        let needed = self.end > 0 && self.slack() < usize::MAX && !self.checkpoints.contains(&Some(self.end));
        let oldest = (0..self.checkpoints.len()).min_by_key(|&i| self.checkpoints[i])?;
        needed.then(|| self.checkpoints[oldest] = Some(self.end))?;
        Some(oldest)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Timeline::new(std::mem::take(&mut self.reaches), self.checkpoints.len());
    }
}

/// Copies of what does not reach back: one, taken before the last chunk of a prompt.
const CHECKPOINTS: usize = 1;

/// The state that a decoder's layers keep of the tokens before.
pub struct DecoderState {
    layers: Vec<LayerState>,
    /// Positions that fit.
    pub capacity: usize,
    /// Which of them the state stands for.
    pub timeline: Timeline,
    /// Whatever cannot be taken back by itself.
    rings: Vec<Region>,
    /// Copies of `rings`, one list for each checkpoint.
    checkpoints: Vec<Vec<Region>>,
    /// The checkpoint to put back before anything is fed.
    pending: Option<usize>,
}

/// How large a state is made.
#[derive(Clone, Copy, Debug)]
pub struct StateSize {
    /// Positions that fit.
    pub capacity: usize,
    /// The most rows that are fed at once: rings have room for them beside what the first of them looks back to.
    pub chunk: usize,
    /// Keys and values are f32 instead of f16.
    pub exact: bool,
}

/// Bytes and reach of one layer's state.
struct LayerSize {
    /// Of keys and of values, or of rows.
    bytes: Vec<u64>,
    slots: usize,
    reach: Reach,
}

impl LayerSize {
    fn of(mixer: &MixerConfig, dim: usize, size: StateSize) -> LayerSize {
        match mixer {
            MixerConfig::Attention(a) => {
                // With its checkpoint a ring takes twice its size: a window of more than half the context is no gain.
                let ring = a.window.map(|w| (w, w + size.chunk)).filter(|(_, slots)| 2 * slots <= size.capacity);
                let (slots, reach) = match ring {
                    Some((window, slots)) => (slots, Reach::Ring { window, capacity: slots }),
                    None => (size.capacity, Reach::Whole),
                };
                let element = if size.exact { 4 } else { 2 };
                let bytes = |dim: usize| (a.kv_heads * dim * element) as u64 * slots as u64;
                let bytes = if a.shares.is_some() { vec![] } else { vec![bytes(a.key_dim), bytes(a.value_dim)] };
                LayerSize { bytes, slots, reach }
            }
            MixerConfig::ShortConv(conv) => {
                let slots = conv.width + size.chunk;
                let reach = Reach::Ring { window: conv.width, capacity: slots };
                LayerSize { bytes: vec![(dim * 4) as u64 * slots as u64], slots, reach }
            }
        }
    }

    fn all(c: &LanguageConfig, size: StateSize) -> Vec<LayerSize> {
        c.layers.iter().map(|l| LayerSize::of(&l.mixer, c.dim, size)).collect()
    }
}

impl DecoderState {
    /// Makes an empty state.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    pub async fn new(gpu: &Rc<Gpu>, c: &LanguageConfig, size: StateSize) -> Result<Self> {
        gpu.allocate("keys and values", || Self::make(gpu, c, size)).await
    }

    fn make(gpu: &Rc<Gpu>, c: &LanguageConfig, size: StateSize) -> Self {
        let sizes = LayerSize::all(c, size);
        let (mut layers, mut rings): (Vec<LayerState>, Vec<Region>) = (Vec::new(), Vec::new());
        for (layer, LayerSize { bytes, slots, reach }) in c.layers.iter().zip(&sizes) {
            let capacity = *slots;
            let made: Vec<Region> = bytes.iter().map(|&b| Buffer::storage(gpu, "state", b).region()).collect();
            if *reach != Reach::Whole {
                rings.extend(made.iter().cloned());
            }
            layers.push(match (&layer.mixer, made.as_slice()) {
                (MixerConfig::Attention(a), made) => match (made, a.shares.and_then(|i| layers.get(i))) {
                    ([k, v], _) => {
                        let ring = *reach != Reach::Whole;
                        LayerState::Kv(KvLayer { k: k.clone(), v: v.clone(), capacity, ring, exact: size.exact })
                    }
                    (_, Some(shared)) => shared.clone(),
                    _ => unreachable!("a configuration shares with an earlier layer"),
                },
                (MixerConfig::ShortConv(_), rows) => LayerState::Rows { ring: rows[0].clone(), capacity },
            });
        }
        let copies = if rings.is_empty() { 0 } else { CHECKPOINTS };
        let copy = |ring: &Region| Buffer::storage(gpu, "checkpoint", ring.size).region();
        let checkpoints = (0..copies).map(|_| rings.iter().map(copy).collect()).collect();
        let timeline = Timeline::new(sizes.iter().map(|s| s.reach).collect(), copies);
        DecoderState { layers, capacity: size.capacity, timeline, rings, checkpoints, pending: None }
    }

    /// Returns the state of layer `i`.
    pub fn layers(&self) -> &[LayerState] {
        &self.layers
    }

    /// Adds up the bytes of a state of this size, checkpoints included.
    pub fn bytes(c: &LanguageConfig, size: StateSize) -> u64 {
        let layer = |s: LayerSize| {
            let copies = if s.reach == Reach::Whole { 1 } else { 1 + CHECKPOINTS as u64 };
            s.bytes.iter().sum::<u64>() * copies
        };
        LayerSize::all(c, size).into_iter().map(layer).sum()
    }

    /// Returns how many positions a state can hold each of whose parts must fit a binding of `binding` bytes.
    pub fn most_positions(c: &LanguageConfig, binding: u64, exact: bool) -> usize {
        let element = if exact { 4 } else { 2 };
        let each = c.layers.iter().filter_map(|l| match &l.mixer {
            MixerConfig::Attention(a) => Some(a.kv_heads * a.key_dim.max(a.value_dim) * element),
            MixerConfig::ShortConv(_) => None,
        });
        each.max().map_or(usize::MAX, |bytes| (binding / (bytes as u64).max(1)) as usize)
    }

    /// Takes the state back to at most `keep` positions, and says how many remain: see [`Timeline::rollback`]. What has
    /// to be put back for that is so by [`DecoderState::put_back`].
    pub fn rollback(&mut self, keep: usize) -> usize {
        let Rollback { kept, restore } = self.timeline.rollback(keep);
        self.pending = restore.or(self.pending.filter(|_| kept > 0));
        kept
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.timeline.clear();
        self.pending = None;
    }

    /// Puts back what an earlier [`DecoderState::rollback`] wants, before anything is fed.
    pub fn put_back(&mut self, batch: &mut Batch) {
        if let Some(i) = self.pending.take() {
            self.checkpoints[i].iter().zip(&self.rings).for_each(|(copy, ring)| batch.copy(copy, ring));
        }
    }

    /// Keeps a copy of whatever cannot be taken back by itself, if there is such a thing.
    pub fn checkpoint(&mut self, batch: &mut Batch) {
        if let Some(i) = self.timeline.checkpoint() {
            self.rings.iter().zip(&self.checkpoints[i]).for_each(|(ring, copy)| batch.copy(ring, copy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reach, Rollback, Timeline};

    const RING: Reach = Reach::Ring { window: 4, capacity: 10 };

    fn kept(kept: usize) -> Rollback {
        Rollback { kept, restore: None }
    }

    #[test]
    fn keys_of_all_positions_reach_back_to_any() {
        let mut t = Timeline::new(vec![Reach::Whole; 2], 0);
        t.advance(100);
        assert_eq!((t.slack(), t.checkpoint()), (usize::MAX, None));
        assert_eq!(t.rollback(7), kept(7));
        assert_eq!(t.rollback(50), kept(7), "there is nothing after it");
    }

    #[test]
    fn rings_reach_back_as_far_as_they_hold_what_the_next_position_reads() {
        let mut t = Timeline::new(vec![Reach::Whole, RING], 1);
        assert_eq!(t.slack(), 6);
        t.advance(10);
        assert_eq!(t.rollback(2), kept(2), "nothing was lost yet");
        t.advance(18);
        assert_eq!(t.rollback(14), kept(14));
        // Slots of what came after are still those of what came after.
        assert_eq!(t.rollback(13), kept(0));
    }

    #[test]
    fn what_does_not_reach_back_begins_at_a_checkpoint() {
        let mut t = Timeline::new(vec![RING], 1);
        t.advance(12);
        assert_eq!(t.checkpoint(), Some(0));
        t.advance(30);
        assert_eq!(t.rollback(40), kept(40));
        assert_eq!(t.rollback(20), Rollback { kept: 12, restore: Some(0) });
        t.advance(2);
        assert_eq!(t.rollback(13), kept(13), "what was put back is whole");
        assert_eq!(t.rollback(11), kept(11));
        t.advance(40);
        assert_eq!(t.rollback(20), kept(0), "the checkpoint is of what has been taken back since");
    }

    /// Tests a made-up layer whose state is replaced with every position, beside one that keeps all.
    #[test]
    fn a_recurrent_layer_returns_to_checkpoints_alone() {
        let mut t = Timeline::new(vec![Reach::Whole, Reach::Recurrent], 2);
        assert_eq!(t.slack(), 0);
        t.advance(8);
        assert_eq!(t.checkpoint(), Some(0));
        assert_eq!(t.checkpoint(), None, "there is one here");
        t.advance(8);
        assert_eq!(t.checkpoint(), Some(1));
        t.advance(5);
        assert_eq!(t.rollback(21), kept(21), "nothing to take back");
        assert_eq!(t.rollback(20), Rollback { kept: 16, restore: Some(1) });
        assert_eq!(t.rollback(15), Rollback { kept: 8, restore: Some(0) });
        t.advance(1);
        // The latest checkpoint replaces the oldest.
        assert!(t.checkpoint().is_some());
        assert_eq!(t.rollback(8), Rollback { kept: 8, restore: Some(0) });
        assert_eq!(t.rollback(3), kept(0));
        t.advance(4);
        t.clear();
        assert_eq!((t.end(), t.rollback(0)), (0, kept(0)));
    }
}
