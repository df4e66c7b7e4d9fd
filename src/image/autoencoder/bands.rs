//! The steps of a pass.
//!
//! Bands move down the picture. The rows above a band that a convolution needs were computed for the band before, and
//! are carried over: so a pass computes every row once, and no row sees a border that is not the picture's. A layer
//! whose readers need rows below theirs runs ahead by as many rows; a pass begins that many rows above the picture.

use super::pass::{Extent, Goal, Held, Pass, PassStep, Used, View};
use crate::gpu::Need;
use crate::models::{CoderLayer, Work};
use crate::ops::Rows;
use std::collections::BTreeMap;

/// The facts that all passes have in common.
pub(super) struct Frame<'a> {
    pub layers: &'a [CoderLayer],
    pub extents: &'a [Extent],
    /// Which results are whole in memory.
    pub whole: &'a [bool],
    /// Groups of channels of every norm.
    pub groups: usize,
}

/// Rows [lo, hi) of a layer, counted from where the band begins. Those before `fresh` were computed for earlier bands.
#[derive(Clone, Copy)]
struct Span {
    lo: i64,
    hi: i64,
    fresh: i64,
}

/// About as many elements of a group of channels are summed up by one group of lanes; and the most stretches of a
/// picture.
const STRETCH: u64 = 8192;
const STRETCHES: u64 = 32;

struct Builder<'a> {
    frame: &'a Frame<'a>,
    goal: Goal,
    /// Rows of the coarsest layer in a band; 0: all at once.
    advance: usize,
    coarsest: i32,
    spans: BTreeMap<usize, Span>,
    /// Where the rows of a span are, once they are computed.
    made: BTreeMap<usize, View>,
    /// Memory that keeps rows from one band to the next.
    carried: Vec<usize>,
    pass: Pass,
}

impl Frame<'_> {
    /// Builds the pass for a layer. `rows`: about as many rows of the result in a band; `None`: all at once.
    pub fn pass(&self, target: usize, goal: Goal, rows: Option<usize>) -> Pass {
        let mut made = vec![target];
        // Whole results that have to be copied: to be normalised, or before they are overwritten.
        let mut cropped = Vec::new();
        let mut i = 0;
        while let Some(&layer) = made.get(i) {
            let l = &self.layers[layer];
            for input in l.inputs() {
                let crop = rows.is_some() && (goal == Goal::Over(input) || l.is_normed() && input == l.from);
                if !self.whole[input] && !made.contains(&input) {
                    made.push(input);
                } else if self.whole[input] && crop && !cropped.contains(&input) {
                    cropped.push(input);
                }
            }
            i += 1;
        }
        made.extend(cropped);
        made.sort_unstable();
        let coarsest = made.iter().map(|&l| self.extents[l].level).min().unwrap_or_default();
        let scale = 1 << (self.extents[target].level - coarsest);
        let advance = rows.map_or(0, |rows| rows.div_ceil(scale).max(1));
        let bands = rows.map_or(0, |_| self.extents[target].height.div_ceil(advance * scale));
        let pass =
            Pass { target, goal, steps: Vec::new(), needs: Vec::new(), bands, early: 0, advance, macs: 0, slots: 0 };
        let (spans, views) = (BTreeMap::new(), BTreeMap::new());
        let mut b = Builder { frame: self, goal, advance, coarsest, spans, made: views, carried: Vec::new(), pass };
        b.spans(&made);
        for &layer in made.iter().filter(|&&l| !self.whole[l] || l == target) {
            b.layer(layer);
        }
        if goal == Goal::Sums {
            b.sums();
        }
        b.lives();
        b.pass
    }

    /// Builds the pass that sums up a whole result.
    pub fn sums(&self, target: usize) -> Pass {
        let e = &self.extents[target];
        let elements = e.height as u64 * e.width as u64 * (self.layers[target].channels / self.groups) as u64;
        let stretches = elements.div_ceil(STRETCH).clamp(1, STRETCHES) as usize;
        let x = View { held: Held::Whole(target), layer: target, rows: Rows::all(e.height) };
        let steps = vec![PassStep::Sums { x, stretches }];
        let needs = Vec::new();
        Pass { target, goal: Goal::Sums, steps, needs, bands: 0, early: 0, advance: 0, macs: 0, slots: stretches }
    }
}

impl Builder<'_> {
    /// Counts the rows of a layer in a band.
    fn band(&self, layer: usize) -> i64 {
        (self.advance as i64) << (self.frame.extents[layer].level - self.coarsest)
    }

    fn rows(&self, layer: usize, lo: i64, hi: i64) -> Rows {
        let height = self.frame.extents[layer].height;
        if self.advance == 0 {
            return Rows::all(height);
        }
        let mul = 1 << (self.frame.extents[layer].level - self.coarsest);
        Rows { count: (hi - lo) as usize, height, mul, add: lo as i32 }
    }

    /// Finds the rows of each layer that a band needs, from the last layer to the first.
    fn spans(&mut self, made: &[usize]) {
        let mut wanted: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
        for &layer in made.iter().rev() {
            let band = self.band(layer);
            let (lo, hi) = wanted.get(&layer).copied().unwrap_or((0, band));
            let l = &self.frame.layers[layer];
            let leaf = self.frame.whole[layer] && layer != self.pass.target;
            // What is cropped is read again; but of what is overwritten the rows above are gone. Attention carries
            // nothing.
            let again = leaf && self.goal != Goal::Over(layer) || matches!(l.work, Work::Attend { .. });
            let fresh = if again { lo } else { (hi - band).max(lo) };
            self.spans.insert(layer, Span { lo, hi, fresh });
            if fresh > lo && band > 0 {
                self.pass.early = self.pass.early.max((fresh.max(0) as u64).div_ceil(band as u64) as usize);
            }
            if leaf {
                continue;
            }
            for input in l.inputs() {
                let (a, b) = match l.work {
                    Work::Conv(f) if input == l.from => {
                        let (stride, pad, side) = (f.stride as i64, f.pad[0] as i64, f.side as i64);
                        let (a, b) = (fresh * stride - pad, (hi - 1) * stride - pad + side);
                        if f.enlarge { (a.div_euclid(2), (b - 1).div_euclid(2) + 1) } else { (a, b) }
                    }
                    _ => (fresh, hi),
                };
                // A layer that adds what it also reads wants both.
                let more = if l.add == Some(input) { (a.min(fresh), b.max(hi)) } else { (a, b) };
                wanted.entry(input).and_modify(|w| *w = (w.0.min(more.0), w.1.max(more.1))).or_insert(more);
            }
        }
    }

    fn own(&mut self, bytes: u64) -> Held {
        self.pass.needs.push(Need::new(bytes));
        Held::Own(self.pass.needs.len() - 1)
    }

    /// Reserves memory for a layer's span of rows.
    fn buffer(&mut self, layer: usize) -> View {
        let span = self.spans[&layer];
        let rows = self.rows(layer, span.lo, span.hi);
        let held = self.own(self.frame.extents[layer].row * rows.count as u64);
        View { held, layer, rows }
    }

    /// Copies the rows carried over from the band before to the beginning of `y`; returns where they are kept
    /// meanwhile.
    fn carry_in(&mut self, y: View) -> Option<View> {
        let span = self.spans[&y.layer];
        if span.fresh <= span.lo || self.advance == 0 {
            return None;
        }
        let rows = self.rows(y.layer, span.lo, span.fresh);
        let held = self.own(self.frame.extents[y.layer].row * rows.count as u64);
        self.carried.push(self.pass.needs.len() - 1);
        let kept = View { held, layer: y.layer, rows };
        self.pass.steps.push(PassStep::Copy { x: kept, y, rows });
        Some(kept)
    }

    /// Keeps the rows of `y` that the next band needs.
    fn carry_out(&mut self, y: View, kept: Option<View>) {
        let Some(kept) = kept else { return };
        let (span, band) = (self.spans[&y.layer], self.band(y.layer));
        let rows = self.rows(y.layer, span.lo + band, span.fresh + band);
        self.pass.steps.push(PassStep::Copy { x: y, y: View { rows, ..kept }, rows });
    }

    /// Finds or makes a layer's result: whole, or the rows that are needed.
    fn view(&mut self, layer: usize) -> View {
        if let Some(view) = self.made.get(&layer) {
            return *view;
        }
        let whole = View { held: Held::Whole(layer), layer, rows: Rows::all(self.frame.extents[layer].height) };
        // Otherwise it was made before: layers are in order.
        if !self.spans.contains_key(&layer) || self.advance == 0 {
            return whole;
        }
        let y = self.buffer(layer);
        let span = self.spans[&layer];
        let kept = self.carry_in(y);
        let rows = self.rows(layer, span.fresh, span.hi);
        self.pass.steps.push(PassStep::Copy { x: whole, y, rows });
        self.carry_out(y, kept);
        self.made.insert(layer, y);
        y
    }

    /// Finds or makes a layer's input, normalised if the layer reads it so.
    fn read(&mut self, layer: usize) -> View {
        let l = &self.frame.layers[layer];
        let from = l.from;
        if !l.is_normed() {
            return self.plain(from);
        }
        let x = self.view(from);
        let held = self.own(self.frame.extents[from].row * x.rows.count as u64);
        let y = View { held, ..x };
        self.pass.steps.push(PassStep::Norm { layer, x, y });
        y
    }

    /// Finds or makes a result as it is: where it is whole, unless its rows are being overwritten.
    fn plain(&mut self, layer: usize) -> View {
        if self.frame.whole[layer] && self.goal != Goal::Over(layer) {
            return View { held: Held::Whole(layer), layer, rows: Rows::all(self.frame.extents[layer].height) };
        }
        self.view(layer)
    }

    /// Adds the steps that make a layer's result.
    fn layer(&mut self, layer: usize) {
        let l = &self.frame.layers[layer];
        let (span, e) = (self.spans[&layer], self.frame.extents[layer]);
        let target = layer == self.pass.target && self.goal != Goal::Sums;
        let x = self.read(layer);
        let add = l.add.map(|a| self.plain(a));
        let y = match target {
            true => View { held: Held::Whole(layer), layer, rows: Rows::all(e.height) },
            false => self.buffer(layer),
        };
        let kept = if target { None } else { self.carry_in(y) };
        let rows = self.rows(layer, span.fresh, span.hi);
        self.pass.macs += e.macs * rows.count as u64;
        let step = match l.work {
            Work::Input => unreachable!("the input is whole"),
            Work::Rescale { .. } => PassStep::Rescale { layer, x, y },
            Work::Conv(_) => PassStep::Conv { layer, x, y, rows, add },
            Work::Attend { keys, values } => PassStep::Attend { q: x, k: self.plain(keys), v: self.plain(values), y },
        };
        self.pass.steps.push(step);
        self.carry_out(y, kept);
        self.made.insert(layer, y);
    }

    /// Adds the step that sums up the target's rows, which are not kept.
    fn sums(&mut self) {
        let x = self.made[&self.pass.target];
        let stretches = if self.pass.bands == 0 { STRETCHES } else { (2 * STRETCHES / self.pass.bands as u64).max(1) };
        let pixels = x.rows.count as u64 * self.frame.extents[x.layer].width as u64;
        let elements = pixels * (self.frame.layers[x.layer].channels / self.frame.groups) as u64;
        let stretches = stretches.min(elements.div_ceil(STRETCH)) as usize;
        self.pass.slots = stretches * self.pass.bands.max(1);
        self.pass.steps.push(PassStep::Sums { x, stretches });
    }

    /// Notes when each piece of memory is used. Carried rows stay during the whole pass.
    fn lives(&mut self) {
        let end = self.pass.steps.len() - 1;
        let uses: Vec<_> = self.pass.uses(self.frame.layers).collect();
        let own = |used: &Used| match used {
            Used::Held(Held::Own(i)) => Some(*i),
            _ => None,
        };
        for (at, (written, read)) in uses.iter().enumerate() {
            let all = read.iter().chain([written]).filter_map(own);
            all.for_each(|i| self.pass.needs[i].used(at, at));
            if let Some(y) = own(written) {
                self.pass.needs[y].apart.extend(read.iter().filter_map(own));
            }
        }
        self.carried.iter().for_each(|&i| self.pass.needs[i].used(0, end));
    }
}
