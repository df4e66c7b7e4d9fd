//! Which results are whole in memory, and in which passes they are made. Decided from sizes alone, without a device.
//!
//! A result is whole if it fits beside those that are needed at the same time, or else in the place of one that only
//! its own pass still reads. What does not fit is made again, band by band, in every pass that reads it; if it is
//! normalised, a pass of its own sums it up first. Of some bounds on what may be whole, the one that leaves the least
//! work is taken.

use super::bands::Frame;
use super::pass::{Extent, Goal, Held, Pass, Used};
use super::placement::{Need, Place, place};
use crate::models::{Layers, Work};
use crate::{Error, Result};

/// What a decoder may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all memory together.
    pub budget: u64,
    /// Bytes of the largest binding.
    pub binding: u64,
}

/// Pixels of a band, about: enough to keep a GPU busy.
const BAND_PIXELS: usize = 8192;
/// Multiplications and additions of a submit, about: some tenths of a second on a small GPU.
pub(super) const SUBMIT: u64 = 40_000_000_000;

/// Passes, and the memory that they take.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub extents: Vec<Extent>,
    pub passes: Vec<Scheduled>,
    /// Sizes of buffers, and the buffer of everything that needs memory.
    pub buffers: Vec<u64>,
    pub needs: Vec<Need>,
    pub places: Vec<Place>,
    /// Index into `needs` of a layer's whole result, and of its sums with their slots.
    pub whole: Vec<Option<usize>>,
    pub sums: Vec<Option<(usize, usize)>>,
}

/// A pass and where its own memory begins in [`Schedule::needs`].
#[derive(Clone, Debug)]
pub(super) struct Scheduled {
    pub pass: Pass,
    pub first: usize,
}

impl Schedule {
    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().sum()
    }

    /// Multiplications and additions of all passes.
    pub fn macs(&self) -> u64 {
        self.passes.iter().map(|p| p.pass.all_macs()).sum()
    }

    /// Those that making everything once would take.
    pub fn least_macs(&self) -> u64 {
        self.extents.iter().map(|e| e.macs * e.height as u64).sum()
    }

    /// The best schedule for results of these sizes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there is none.
    pub fn new(layers: &Layers, extents: &[Extent], limits: Limits) -> Result<Schedule> {
        let [height, width] = [extents[0].height, extents[0].width];
        let mut caps: Vec<u64> = extents.iter().map(Extent::bytes).filter(|b| *b <= limits.binding).collect();
        caps.sort_unstable();
        caps.dedup();
        let none = || Error::TooLarge {
            need: format!("more GPU memory for the autoencoder, at {width} by {height}"),
            have: format!("{} MiB", limits.budget >> 20),
            advice: "choose a smaller picture".into(),
        };
        let mut best: Option<Schedule> = None;
        // What a pass takes of its own comes in larger pieces than bands need: less of it, or results over others, may
        // fit better. What comes first is simpler and keeps a GPU busier, so what follows has to be worth it.
        for &cap in caps.iter().rev() {
            let mut least = u64::MAX;
            for own in [1, 4, 6, 8, 12, 16, 32].map(|part| limits.budget / part) {
                for over in [false, true] {
                    let trial = Trial { cap, own, over };
                    let Some(schedule) = (Chooser { layers, extents, limits, trial }).run() else { continue };
                    least = least.min(schedule.macs());
                    let worth = best.as_ref().is_none_or(|b| schedule.macs() < b.macs() - b.macs() / 25);
                    if schedule.bytes() <= limits.budget && worth {
                        best = Some(schedule);
                    }
                    if best.as_ref().is_some_and(|b| b.macs() - b.macs() / 25 <= b.least_macs()) {
                        return best.ok_or_else(none);
                    }
                }
            }
            // Less that is whole is more work still.
            if best.as_ref().is_some_and(|b| b.macs() < least) {
                break;
            }
        }
        best.ok_or_else(none)
    }
}

/// Sizes of all results, for an input of this height and width.
///
/// # Errors
/// [`Error::Unsupported`] if that is no size of a picture.
pub(super) fn extents(layers: &Layers, size: [usize; 2]) -> Result<Vec<Extent>> {
    let none = || Error::unsupported(format!("an autoencoder for {} by {}; choose another size", size[1], size[0]));
    if size.iter().any(|n| !(1..=1 << 14).contains(n)) {
        return Err(none());
    }
    let mut all: Vec<Extent> = Vec::new();
    for layer in &layers.layers {
        let input = all.get(layer.from);
        let [height, width] = layer.size(input.map_or(size, |e| [e.height, e.width])).ok_or_else(none)?;
        let mut level = input.map_or(0, |e| e.level);
        let reads = layers.layers[layer.from].channels as u64;
        let channels = layer.channels as u64;
        let taps = match layer.work {
            Work::Conv(f) => {
                level += if f.enlarge { 1 } else { 0 } - if f.stride > 1 { 1 } else { 0 };
                (f.side * f.side) as u64 * reads
            }
            Work::Attend { .. } => 2 * height as u64 * width as u64,
            _ => 0,
        };
        let row = width as u64 * (layer.channels.next_multiple_of(4) * 4) as u64;
        all.push(Extent { height, width, level, row, macs: width as u64 * channels * taps });
    }
    Ok(all)
}

/// A way to choose.
#[derive(Clone, Copy)]
struct Trial {
    /// Larger results are not whole.
    cap: u64,
    /// Bytes that a pass takes of its own.
    own: u64,
    /// Results are written over others even where both would fit.
    over: bool,
}

struct Chooser<'a> {
    layers: &'a Layers,
    extents: &'a [Extent],
    limits: Limits,
    trial: Trial,
}

/// A schedule in the making.
struct Draft<'a> {
    chooser: &'a Chooser<'a>,
    whole: Vec<Option<usize>>,
    sums: Vec<Option<(usize, usize)>>,
    needs: Vec<Need>,
    passes: Vec<Scheduled>,
    /// Steps so far.
    time: usize,
    /// The whole results that each layer so far is made of.
    roots: Vec<Vec<usize>>,
}

impl Draft<'_> {
    /// Decides on a layer, and adds its passes; `None` if there is no room.
    fn decide(&mut self, target: usize) -> Option<()> {
        let chooser = self.chooser;
        let layers = &chooser.layers.layers;
        let (before, after) = (chooser.live(target, &self.roots), chooser.live(target + 1, &self.roots));
        let bytes = |&l: &usize| chooser.extents[l].bytes();
        let free = chooser.limits.budget.saturating_sub(before.iter().map(bytes).sum());
        let flags: Vec<bool> = self.whole.iter().map(Option::is_some).collect();
        let frame = Frame { layers, extents: chooser.extents, whole: &flags, groups: chooser.layers.groups };
        let normed = layers.iter().any(|l| l.from == target && l.norm.is_some());
        let must = chooser.must(target);
        let mut kept = None;
        if must || chooser.may(target) {
            let apart = || chooser.fit(&frame, target, Goal::Whole, free.checked_sub(bytes(&target))?);
            let victim = before.iter().copied().find(|x| !after.contains(x) && chooser.alike(*x, target, &flags));
            let over = || chooser.fit(&frame, target, Goal::Over(victim?), free);
            kept = if chooser.trial.over { over().or_else(apart) } else { apart().or_else(over) };
        }
        if must && kept.is_none() {
            return None;
        }
        let roots = match &kept {
            Some(_) => vec![target],
            None => {
                let mut all: Vec<usize> = layers[target].inputs().flat_map(|i| self.roots[i].iter().copied()).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        };
        self.roots.push(roots);
        let whole = kept.is_some();
        if let Some(pass) = kept {
            self.whole[target] = match pass.goal {
                Goal::Over(x) => self.whole[x],
                _ => Some(self.need(bytes(&target))),
            };
            self.add(pass);
        }
        if normed {
            let pass = if whole { frame.sums(target) } else { chooser.fit(&frame, target, Goal::Sums, free)? };
            let need = self.need((pass.slots * chooser.layers.groups * 16) as u64);
            self.sums[target] = Some((need, pass.slots));
            self.add(pass);
        }
        Some(())
    }

    fn need(&mut self, bytes: u64) -> usize {
        self.needs.push(Need::new(bytes));
        self.needs.len() - 1
    }

    fn add(&mut self, pass: Pass) {
        let (first, time, end) = (self.needs.len(), self.time, self.time + pass.steps.len() - 1);
        for own in &pass.needs {
            let need = self.need(own.bytes);
            self.needs[need].used(own.first + time, own.last + time);
        }
        let (whole, sums) = (&self.whole, &self.sums);
        let need = |used: &Used| match *used {
            Used::Held(Held::Own(i)) => Some(first + i),
            Used::Held(Held::Whole(layer)) => whole[layer],
            Used::Sums(layer) => sums[layer].map(|s| s.0),
        };
        for (written, read) in pass.uses(&self.chooser.layers.layers) {
            let (written, read): (_, Vec<usize>) = (need(&written), read.iter().filter_map(need).collect());
            // Bands come again and again: what is not the pass's own is alive all the while.
            for need in read.iter().copied().chain(written).filter(|n| *n < first) {
                self.needs[need].used(time, end);
            }
            if let Some(y) = written {
                self.needs[y].apart.extend(read);
            }
        }
        self.time = end + 1;
        self.passes.push(Scheduled { pass, first });
    }
}

impl Chooser<'_> {
    fn run(&self) -> Option<Schedule> {
        let count = self.layers.layers.len();
        let mut draft = Draft {
            chooser: self,
            whole: vec![None; count],
            sums: vec![None; count],
            needs: Vec::new(),
            passes: Vec::new(),
            time: 0,
            roots: vec![vec![0]],
        };
        draft.whole[0] = Some(draft.need(self.extents[0].bytes()));
        (1..count).try_for_each(|target| draft.decide(target))?;
        // The result is read when everything is done.
        if let Some(result) = draft.whole[count - 1] {
            draft.needs[result].used(draft.time, draft.time);
        }
        let Draft { whole, sums, needs, passes, .. } = draft;
        let (buffers, places) = place(&needs);
        Some(Schedule { extents: self.extents.to_vec(), passes, buffers, needs, places, whole, sums })
    }

    /// Layers that have to be whole: the result, and what no band can be made of.
    fn must(&self, target: usize) -> bool {
        let layers = &self.layers.layers;
        let attended = |w: &Work| matches!(*w, Work::Attend { keys, values } if keys == target || values == target);
        target + 1 == layers.len()
            || matches!(layers[target].work, Work::Rescale { .. })
            || layers.iter().any(|l| attended(&l.work))
    }

    /// Layers that may be whole. Attention makes rows of its own of exactly the rows of queries that there are.
    fn may(&self, target: usize) -> bool {
        let layers = &self.layers.layers;
        let attend = |w: &Work| matches!(w, Work::Attend { .. });
        let queries = layers.iter().any(|l| l.from == target && attend(&l.work));
        !queries && !attend(&layers[target].work) && self.extents[target].bytes() <= self.trial.cap
    }

    /// Whether `target` may be written over `x`, which nothing but its pass reads any more.
    fn alike(&self, x: usize, target: usize, whole: &[bool]) -> bool {
        let (a, b) = (&self.extents[x], &self.extents[target]);
        let mut seen = vec![target];
        let mut i = 0;
        while let Some(&layer) = seen.get(i) {
            if let Work::Attend { keys, values } = self.layers.layers[layer].work
                && (keys == x || values == x)
            {
                return false;
            }
            for input in self.layers.layers[layer].inputs() {
                if !whole[input] && !seen.contains(&input) {
                    seen.push(input);
                }
            }
            i += 1;
        }
        x != 0 && (a.height, a.width, a.row) == (b.height, b.width, b.row)
    }

    /// The whole results that the passes from `target` on read of those before.
    fn live(&self, target: usize, roots: &[Vec<usize>]) -> Vec<usize> {
        let later = self.layers.layers.iter().skip(target).flat_map(|l| l.inputs());
        let mut all: Vec<usize> = later.filter_map(|i| roots.get(i)).flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The pass that takes no more than `room` bytes of its own: all at once if that is not too much, or the largest
    /// bands that fit.
    fn fit(&self, frame: &Frame<'_>, target: usize, goal: Goal, room: u64) -> Option<Pass> {
        let fits = |pass: &Pass| pass.own() <= room.min(self.trial.own) && pass.largest() <= self.limits.binding;
        let e = &self.extents[target];
        if e.bytes() > self.limits.binding && goal != Goal::Sums {
            return None;
        }
        if !matches!(goal, Goal::Over(_)) {
            let pass = frame.pass(target, goal, None);
            if fits(&pass) && pass.macs <= SUBMIT {
                return Some(pass);
            }
        }
        if matches!(self.layers.layers[target].work, Work::Rescale { .. }) {
            return None;
        }
        let mut rows = BAND_PIXELS.div_ceil(e.width).min(e.height);
        loop {
            let pass = frame.pass(target, goal, Some(rows));
            if fits(&pass) && (pass.macs <= SUBMIT || pass.advance == 1) {
                return Some(pass);
            }
            if pass.advance == 1 {
                return None;
            }
            rows /= 2;
        }
    }
}
