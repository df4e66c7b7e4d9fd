//! Recording passes as plans.

use super::pass::{Held, PassStep, View};
use super::schedule::{Schedule, Scheduled};
use crate::Result;
use crate::gpu::{Gpu, Graph, Plan, Region, Tensor};
use crate::models::{Coder, InputNorm, Work};
use crate::ops::{Attend, Conv, Map, Sums};
use std::rc::Rc;

/// Passes in one plan: neighbours that are done at once, or one that goes band by band.
pub(super) struct AutoencoderPart {
    pub plan: Plan,
    /// Bands above the picture and bands of it; `None`: all at once.
    pub bands: Option<[usize; 2]>,
    /// How much the state's first word grows from band to band.
    pub advance: usize,
    /// Dispatches up to the end of each step, and the step's multiplications and additions.
    pub macs: Vec<(usize, u64)>,
}

/// Records all passes: those that are done at once go into one plan with their neighbours.
pub(super) async fn parts(
    gpu: &Rc<Gpu>,
    coder: &Coder,
    schedule: &Schedule,
    regions: &[Option<Region>],
    state: &Region,
) -> Result<Vec<AutoencoderPart>> {
    let mut parts = Vec::new();
    for group in schedule.passes.chunk_by(|a, b| a.pass.bands == 0 && b.pass.bands == 0) {
        let graph = Graph::banded(gpu, state);
        let mut macs = Vec::new();
        for scheduled in group {
            let recorder = Recorder { graph: &graph, coder, schedule, regions, first: scheduled.first };
            for step in &scheduled.pass.steps {
                let work = recorder.step(step, scheduled);
                macs.push((graph.dispatches(), work));
            }
        }
        let pass = &group[0].pass;
        let bands = (pass.bands > 0).then_some([pass.early, pass.bands]);
        parts.push(AutoencoderPart { plan: Plan::new(graph).await?, bands, advance: pass.advance, macs });
    }
    Ok(parts)
}

/// Records the steps of one pass.
struct Recorder<'a, 'g> {
    graph: &'g Graph,
    coder: &'a Coder,
    schedule: &'a Schedule,
    regions: &'a [Option<Region>],
    /// Where the pass's own memory begins.
    first: usize,
}

impl<'g> Recorder<'_, 'g> {
    /// Finds the memory of a need.
    fn region(&self, need: Option<usize>) -> &Region {
        need.and_then(|need| self.regions[need].as_ref()).expect("what is read was made")
    }

    fn map(&self, view: View) -> Map<'g> {
        let need = match view.held {
            Held::Own(i) => Some(self.first + i),
            Held::Whole(layer) => self.schedule.whole[layer],
        };
        let width = self.schedule.extents[view.layer].width;
        let shape = [view.rows.count * width, self.coder.layers.list[view.layer].channels];
        Map::new(self.graph.given(self.region(need), shape), 1, width, view.rows)
    }

    fn sums(&self, layer: usize) -> Sums<'g> {
        let (need, slots) = self.schedule.sums[layer].expect("what is normalised was summed up");
        let t: Tensor<'g> = self.graph.given(self.region(Some(need)), [slots * self.coder.layers.groups, 4]);
        Sums { t, slots }
    }

    /// Records a step; returns its multiplications and additions.
    fn step(&self, step: &PassStep, scheduled: &Scheduled) -> u64 {
        let layers = &self.coder.layers.list;
        match *step {
            PassStep::Copy { x, y, rows } => self.map(x).copy_rows(rows, self.map(y)),
            PassStep::Rescale { layer, x, y } => {
                let Work::Rescale { scale, shift, limit } = layers[layer].work else {
                    unreachable!("a step of its layer")
                };
                self.map(x).t.rescale_into(scale, shift, limit, self.map(y).t);
            }
            PassStep::Norm { layer, x, y } => {
                let silu = layers[layer].norm == InputNorm::GroupsThenSilu;
                self.map(x).normalized_into(self.coder.norm(layer), self.sums(x.layer), silu, self.map(y));
            }
            PassStep::Conv { layer, x, y, rows, add } => {
                let residual = add.map(|view| self.map(view));
                let with = Conv { residual, rows: Some(rows), into: Some(self.map(y)), ..Conv::default() };
                self.coder.conv(layer, self.map(x), with);
                return self.schedule.extents[layer].macs * rows.count as u64;
            }
            PassStep::Attend { q, k, v, y } => {
                let [q, k, v, y] = [q, k, v, y].map(|view| self.map(view));
                let head_dim = y.channels();
                Attend { n: 1, heads: 1, head_dim, q: (q.t, 0), k: (k.t, 0), v: (v.t, 0), causal: false }.run_into(y.t);
                return (q.rows.count * q.w * k.rows.count * k.w * head_dim * 2) as u64;
            }
            PassStep::Sums { x, stretches } => {
                let layer = scheduled.pass.target;
                let reader = layers.iter().position(|l| l.from == layer && l.is_normed());
                let norm = self.coder.norm(reader.expect("sums are for a norm"));
                self.map(x).sums_into(norm, self.sums(layer), stretches);
            }
        }
        0
    }
}
