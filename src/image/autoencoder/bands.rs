//! Recording a pass.
//!
//! Bands move down the picture. What a convolution needs of the rows above its band was made for the band before, and
//! is carried over: so every row is made once in a pass, and nothing is cut. A layer that others read with rows below
//! theirs runs ahead by as many; a pass begins that many rows above the picture.

use super::pass::{Extent, Goal, Held, Pass, Step, Used, View};
use super::placement::Need;
use crate::models::{Layer, Work};
use crate::ops::Rows;
use std::collections::BTreeMap;

/// What all passes have in common.
pub(super) struct Frame<'a> {
    pub layers: &'a [Layer],
    pub extents: &'a [Extent],
    /// Which results are whole in memory.
    pub whole: &'a [bool],
    /// Groups of channels of every norm.
    pub groups: usize,
}

/// Rows [lo, hi) of a layer, counted from where the band begins. Those before `fresh` were made for earlier bands.
#[derive(Clone, Copy)]
struct Span {
    lo: i64,
    hi: i64,
    fresh: i64,
}

/// Elements of a group of channels that one group of lanes sums up, about; and the most stretches of a picture.
const STRETCH: u64 = 8192;
const STRETCHES: u64 = 32;

struct Builder<'a> {
    frame: &'a Frame<'a>,
    goal: Goal,
    /// Rows of the coarsest layer in a band; 0: all at once.
    advance: usize,
    coarsest: i32,
    spans: BTreeMap<usize, Span>,
    /// Where the rows of a span are, once made.
    made: BTreeMap<usize, View>,
    /// Memory that keeps rows from one band to the next.
    carried: Vec<usize>,
    pass: Pass,
}

impl Frame<'_> {
    /// The pass for a layer. `rows`: about as many rows of the result in a band; `None`: all at once.
    pub fn pass(&self, target: usize, goal: Goal, rows: Option<usize>) -> Pass {
        let mut made = vec![target];
        // Whole results that have to be copied: to be normalised, or before they are overwritten.
        let mut cropped = Vec::new();
        let mut i = 0;
        while let Some(&layer) = made.get(i) {
            let l = &self.layers[layer];
            for input in l.inputs() {
                let crop = rows.is_some() && (goal == Goal::Over(input) || l.norm.is_some() && input == l.from);
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

    /// The pass that sums up a result that is whole.
    pub fn sums(&self, target: usize) -> Pass {
        let e = &self.extents[target];
        let elements = e.height as u64 * e.width as u64 * (self.layers[target].channels / self.groups) as u64;
        let stretches = elements.div_ceil(STRETCH).clamp(1, STRETCHES) as usize;
        let x = View { held: Held::Whole(target), layer: target, rows: Rows::all(e.height) };
        let steps = vec![Step::Sums { x, stretches }];
        let needs = Vec::new();
        Pass { target, goal: Goal::Sums, steps, needs, bands: 0, early: 0, advance: 0, macs: 0, slots: stretches }
    }
}

impl Builder<'_> {
    /// Rows of a layer in a band.
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

    /// Which rows of each layer a band needs, from the last layer to the first.
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

    /// New memory for a span of rows of something as large as a layer's result.
    fn buffer(&mut self, layer: usize) -> View {
        let span = self.spans[&layer];
        let rows = self.rows(layer, span.lo, span.hi);
        let held = self.own(self.frame.extents[layer].row * rows.count as u64);
        View { held, layer, rows }
    }

    /// The rows carried over from the band before come first; returns where they are kept meanwhile.
    fn carry_in(&mut self, y: View) -> Option<View> {
        let span = self.spans[&y.layer];
        if span.fresh <= span.lo || self.advance == 0 {
            return None;
        }
        let rows = self.rows(y.layer, span.lo, span.fresh);
        let held = self.own(self.frame.extents[y.layer].row * rows.count as u64);
        self.carried.push(self.pass.needs.len() - 1);
        let kept = View { held, layer: y.layer, rows };
        self.pass.steps.push(Step::Copy { x: kept, y, rows });
        Some(kept)
    }

    /// And those that the next band needs are kept.
    fn carry_out(&mut self, y: View, kept: Option<View>) {
        let Some(kept) = kept else { return };
        let (span, band) = (self.spans[&y.layer], self.band(y.layer));
        let rows = self.rows(y.layer, span.lo + band, span.fresh + band);
        self.pass.steps.push(Step::Copy { x: y, y: View { rows, ..kept }, rows });
    }

    /// A layer's result: whole, or the rows that are needed.
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
        self.pass.steps.push(Step::Copy { x: whole, y, rows });
        self.carry_out(y, kept);
        self.made.insert(layer, y);
        y
    }

    /// What a layer reads first.
    fn read(&mut self, layer: usize) -> View {
        let l = &self.frame.layers[layer];
        let from = l.from;
        if l.norm.is_none() {
            return self.plain(from);
        }
        let x = self.view(from);
        let held = self.own(self.frame.extents[from].row * x.rows.count as u64);
        let y = View { held, ..x };
        self.pass.steps.push(Step::Norm { layer, x, y });
        y
    }

    /// A result without a norm: where it is whole, unless its rows are being overwritten.
    fn plain(&mut self, layer: usize) -> View {
        if self.frame.whole[layer] && self.goal != Goal::Over(layer) {
            return View { held: Held::Whole(layer), layer, rows: Rows::all(self.frame.extents[layer].height) };
        }
        self.view(layer)
    }

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
            Work::Rescale { .. } => Step::Rescale { layer, x, y },
            Work::Conv(_) => Step::Conv { layer, x, y, rows, add },
            Work::Attend { keys, values } => Step::Attend { q: x, k: self.plain(keys), v: self.plain(values), y },
        };
        self.pass.steps.push(step);
        self.carry_out(y, kept);
        self.made.insert(layer, y);
    }

    /// Sums of the target's rows, which are nowhere whole.
    fn sums(&mut self) {
        let x = self.made[&self.pass.target];
        let stretches = if self.pass.bands == 0 { STRETCHES } else { (2 * STRETCHES / self.pass.bands as u64).max(1) };
        let pixels = x.rows.count as u64 * self.frame.extents[x.layer].width as u64;
        let elements = pixels * (self.frame.layers[x.layer].channels / self.frame.groups) as u64;
        let stretches = stretches.min(elements.div_ceil(STRETCH)) as usize;
        self.pass.slots = stretches * self.pass.bands.max(1);
        self.pass.steps.push(Step::Sums { x, stretches });
    }

    /// When each piece of memory is used. What is carried over lives all the while.
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
