//! Passes as plans.

use super::Part;
use super::pass::{Held, Step, View};
use super::schedule::{Schedule, Scheduled};
use crate::Result;
use crate::gpu::{Gpu, Graph, Plan, Region, Tensor};
use crate::models::{Coder, Work};
use crate::ops::{Attend, Conv, Map, Sums};
use std::rc::Rc;

/// Records all passes: those that are done at once go into one plan with their neighbours.
pub(super) async fn parts(
    gpu: &Rc<Gpu>,
    coder: &Coder,
    schedule: &Schedule,
    regions: &[Region],
    state: &Region,
) -> Result<Vec<Part>> {
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
        parts.push(Part { plan: Plan::new(graph).await?, bands, advance: pass.advance, macs });
    }
    Ok(parts)
}

struct Recorder<'a, 'g> {
    graph: &'g Graph,
    coder: &'a Coder,
    schedule: &'a Schedule,
    regions: &'a [Region],
    /// Where the pass's own memory begins.
    first: usize,
}

impl<'g> Recorder<'_, 'g> {
    fn map(&self, view: View) -> Map<'g> {
        let need = match view.held {
            Held::Own(i) => Some(self.first + i),
            Held::Whole(layer) => self.schedule.whole[layer],
        };
        let region = &self.regions[need.expect("what is read was made")];
        let width = self.schedule.extents[view.layer].width;
        let shape = [view.rows.count * width, self.coder.layers.layers[view.layer].channels];
        Map::new(self.graph.given(region, shape), 1, width, view.rows)
    }

    fn sums(&self, layer: usize) -> Sums<'g> {
        let (need, slots) = self.schedule.sums[layer].expect("what is normalised was summed up");
        let t: Tensor<'g> = self.graph.given(&self.regions[need], [slots * self.coder.layers.groups, 4]);
        Sums { t, slots }
    }

    /// Records a step; returns its multiplications and additions.
    fn step(&self, step: &Step, scheduled: &Scheduled) -> u64 {
        let layers = &self.coder.layers.layers;
        match *step {
            Step::Copy { x, y, rows } => self.map(x).copy_rows(rows, self.map(y)),
            Step::Rescale { layer, x, y } => {
                let Work::Rescale { scale, shift, limit } = layers[layer].work else {
                    unreachable!("a step of its layer")
                };
                self.map(x).t.rescale_into(scale, shift, limit, self.map(y).t);
            }
            Step::Norm { layer, x, y } => {
                let silu = layers[layer].norm == Some(true);
                self.map(x).normalized_into(self.coder.norm(layer), self.sums(x.layer), silu, self.map(y));
            }
            Step::Conv { layer, x, y, rows, add } => {
                let residual = add.map(|view| self.map(view));
                let with = Conv { residual, rows: Some(rows), into: Some(self.map(y)), ..Conv::default() };
                self.coder.conv(layer, self.map(x), with);
                return self.schedule.extents[layer].macs * rows.count as u64;
            }
            Step::Attend { q, k, v, y } => {
                let [q, k, v, y] = [q, k, v, y].map(|view| self.map(view));
                let head_dim = y.channels();
                Attend { n: 1, heads: 1, head_dim, q: (q.t, 0), k: (k.t, 0), v: (v.t, 0), causal: false }.run_into(y.t);
                return (q.rows.count * q.w * k.rows.count * k.w * head_dim * 2) as u64;
            }
            Step::Sums { x, stretches } => {
                let layer = scheduled.pass.target;
                let reader = layers.iter().position(|l| l.from == layer && l.norm.is_some());
                let norm = self.coder.norm(reader.expect("sums are for a norm"));
                self.map(x).sums_into(norm, self.sums(layer), stretches);
            }
        }
        0
    }
}
