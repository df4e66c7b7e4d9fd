//! A schedule: the results that are kept whole in memory, and the passes that compute them. Decided from sizes alone,
//! without a device.
//!
//! Layer by layer, a result is kept whole if it fits beside those that are needed at the same time, or else in the
//! place of one that only its own pass still reads. A result that does not fit is computed again, band by band, in
//! every pass that reads it; if it is normalised, a pass of its own sums it up first.
//!
//! To decide layer by layer is quick, but not best: a large result that is kept early may leave no room for what would
//! save more work later. So the decisions are taken several times within different bounds (a [`Trial`]), and the
//! schedule with the least work is taken.

use super::bands::Frame;
use super::pass::{Extent, Goal, Held, Pass, Used};
use crate::gpu::{Need, Placement, Sharing, row_bytes};
use crate::models::{CoderLayers, Work};
use crate::{Error, Result};

/// The memory that an autoencoder may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all memory together.
    pub budget: u64,
    /// Bytes of the largest binding.
    pub binding: u64,
}

/// About as many pixels make a band: enough to keep a GPU busy.
const BAND_PIXELS: usize = 8192;
/// The most multiplications and additions of a pass that is done at once: some tenths of a second on a small GPU.
pub(super) const SUBMIT: u64 = 40_000_000_000;

/// Shares of the budget, as divisors, that a pass may take of its own. Less of its own leaves room for whole results.
const OWN_SHARES: [u64; 7] = [1, 4, 6, 8, 12, 16, 32];

/// Computes the work that another schedule must stay below to be worth its passes: a 25th less.
fn worthwhile(macs: u64) -> u64 {
    macs - macs / 25
}

/// Passes, and the memory that they take.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub extents: Vec<Extent>,
    pub passes: Vec<Scheduled>,
    /// Everything that needs memory; times are numbers of steps, over all passes.
    pub needs: Vec<Need>,
    pub placement: Placement,
    /// Indices into `needs`: of each layer's whole result, and of its sums with the number of their slots.
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
    /// Counts the multiplications and additions of all passes.
    pub fn macs(&self) -> u64 {
        self.passes.iter().map(|p| p.pass.all_macs()).sum()
    }

    /// Counts the multiplications and additions that would be left if nothing were computed twice.
    pub fn least_macs(&self) -> u64 {
        self.extents.iter().map(|e| e.macs * e.height as u64).sum()
    }

    /// Finds the schedule with the least work for results of these sizes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there is none.
    pub fn new(layers: &CoderLayers, extents: &[Extent], limits: Limits) -> Result<Schedule> {
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
        // From the loosest bounds to the tightest. Looser ones are simpler and keep a GPU busier: a tighter trial has
        // to be worth it.
        for &cap in caps.iter().rev() {
            let mut least = u64::MAX;
            for own in OWN_SHARES.map(|share| limits.budget / share) {
                for over in [false, true] {
                    let trial = Trial { cap, own, over };
                    let Some(schedule) = (Chooser { layers, extents, limits, trial }).run() else { continue };
                    least = least.min(schedule.macs());
                    let worth = best.as_ref().is_none_or(|b| schedule.macs() < worthwhile(b.macs()));
                    if schedule.placement.bytes() <= limits.budget && worth {
                        best = Some(schedule);
                    }
                    // No trial can be worth more than this one.
                    if best.as_ref().is_some_and(|b| worthwhile(b.macs()) <= b.least_macs()) {
                        return best.ok_or_else(none);
                    }
                }
            }
            // With fewer whole results there is more work still.
            if best.as_ref().is_some_and(|b| b.macs() < least) {
                break;
            }
        }
        best.ok_or_else(none)
    }
}

/// Computes the sizes of all results, for an input of this height and width.
///
/// # Errors
/// [`Error::Unsupported`] if that is not a size of a picture.
pub(super) fn extents(layers: &CoderLayers, size: [usize; 2]) -> Result<Vec<Extent>> {
    let none = || Error::unsupported(format!("an autoencoder for {} by {}; choose another size", size[1], size[0]));
    if size.iter().any(|n| !(1..=1 << 14).contains(n)) {
        return Err(none());
    }
    let mut all: Vec<Extent> = Vec::new();
    for layer in &layers.list {
        let input = all.get(layer.from);
        let [height, width] = layer.size(input.map_or(size, |e| [e.height, e.width])).ok_or_else(none)?;
        let mut level = input.map_or(0, |e| e.level);
        let reads = layers.list[layer.from].channels as u64;
        let channels = layer.channels as u64;
        let taps = match layer.work {
            Work::Conv(f) => {
                level += if f.enlarge { 1 } else { 0 } - if f.stride > 1 { 1 } else { 0 };
                (f.side * f.side) as u64 * reads
            }
            Work::Attend { .. } => 2 * height as u64 * width as u64,
            _ => 0,
        };
        let row = width as u64 * row_bytes(layer.channels);
        all.push(Extent { height, width, level, row, macs: width as u64 * channels * taps });
    }
    Ok(all)
}

/// Bounds of one try to find a schedule.
#[derive(Clone, Copy)]
struct Trial {
    /// Bytes of a result: larger ones are not kept whole.
    cap: u64,
    /// Bytes of its own that a pass may take. Bands of few rows take less.
    own: u64,
    /// Whether results are written over others even where both would fit.
    over: bool,
}

/// Finds a schedule within the bounds of a trial.
struct Chooser<'a> {
    layers: &'a CoderLayers,
    extents: &'a [Extent],
    limits: Limits,
    trial: Trial,
}

/// A schedule in the making.
struct ScheduleDraft<'a> {
    chooser: &'a Chooser<'a>,
    whole: Vec<Option<usize>>,
    sums: Vec<Option<(usize, usize)>>,
    needs: Vec<Need>,
    passes: Vec<Scheduled>,
    /// Steps so far.
    time: usize,
    /// The whole results that each layer so far is computed from.
    roots: Vec<Vec<usize>>,
}

impl ScheduleDraft<'_> {
    /// Decides on a layer, and adds its passes; `None` if there is no room.
    fn decide(&mut self, target: usize) -> Option<()> {
        let chooser = self.chooser;
        let layers = &chooser.layers.list;
        let (before, after) = (chooser.live(target, &self.roots), chooser.live(target + 1, &self.roots));
        let bytes = |&l: &usize| chooser.extents[l].bytes();
        let free = chooser.limits.budget.saturating_sub(before.iter().map(bytes).sum());
        let flags: Vec<bool> = self.whole.iter().map(Option::is_some).collect();
        let frame = Frame { layers, extents: chooser.extents, whole: &flags, groups: chooser.layers.groups };
        let normed = layers.iter().any(|l| l.from == target && l.is_normed());
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

    /// Adds a need for memory.
    fn need(&mut self, bytes: u64) -> usize {
        self.needs.push(Need::new(bytes));
        self.needs.len() - 1
    }

    /// Adds a pass, and notes when it uses memory.
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
        for (written, read) in pass.uses(&self.chooser.layers.list) {
            let (written, read): (_, Vec<usize>) = (need(&written), read.iter().filter_map(need).collect());
            // Every band runs all steps: memory that is not the pass's own is used until the last.
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
    /// Decides on every layer; `None` if there is no room.
    fn run(&self) -> Option<Schedule> {
        let count = self.layers.list.len();
        let mut draft = ScheduleDraft {
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
        let ScheduleDraft { whole, sums, needs, passes, .. } = draft;
        let placement = Placement::of(&needs, Sharing::SideBySide);
        Some(Schedule { extents: self.extents.to_vec(), passes, needs, placement, whole, sums })
    }

    /// Says whether a layer has to be whole: the last one, and those that cannot be computed band by band.
    fn must(&self, target: usize) -> bool {
        let layers = &self.layers.list;
        let attended = |w: &Work| matches!(*w, Work::Attend { keys, values } if keys == target || values == target);
        target + 1 == layers.len()
            || matches!(layers[target].work, Work::Rescale { .. })
            || layers.iter().any(|l| attended(&l.work))
    }

    /// Says whether a layer may be whole. Attention and its queries are not: it computes exactly the rows of queries
    /// that there are, as rows of its own.
    fn may(&self, target: usize) -> bool {
        let layers = &self.layers.list;
        let attend = |w: &Work| matches!(w, Work::Attend { .. });
        let queries = layers.iter().any(|l| l.from == target && attend(&l.work));
        !queries && !attend(&layers[target].work) && self.extents[target].bytes() <= self.trial.cap
    }

    /// Says whether `target` may be written over `x`, which only its pass still reads.
    fn alike(&self, x: usize, target: usize, whole: &[bool]) -> bool {
        let (a, b) = (&self.extents[x], &self.extents[target]);
        let mut seen = vec![target];
        let mut i = 0;
        while let Some(&layer) = seen.get(i) {
            if let Work::Attend { keys, values } = self.layers.list[layer].work
                && (keys == x || values == x)
            {
                return false;
            }
            for input in self.layers.list[layer].inputs() {
                if !whole[input] && !seen.contains(&input) {
                    seen.push(input);
                }
            }
            i += 1;
        }
        x != 0 && (a.height, a.width, a.row) == (b.height, b.width, b.row)
    }

    /// Lists the whole results before `target` that are read by the passes from `target` on.
    fn live(&self, target: usize, roots: &[Vec<usize>]) -> Vec<usize> {
        let later = self.layers.list.iter().skip(target).flat_map(|l| l.inputs());
        let mut all: Vec<usize> = later.filter_map(|i| roots.get(i)).flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Builds the pass that takes no more than `room` bytes of its own: all at once if that fits, else with the largest
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
        if matches!(self.layers.list[target].work, Work::Rescale { .. }) {
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
