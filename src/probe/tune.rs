//! Tuning: of two kernels, the one that is quicker on this adapter. Both are run and timed, once.

use super::roofline::time;
use super::self_test::{AGREEMENT, Recorded, Suite, bytes, nmse, noise, upload, weight};
use crate::Result;
use crate::dtype::DType;
use crate::gpu::{Choice, Gpu, Graph, Region, Tensor, Weight};
use crate::ops::{Attend, Conv, Map, Rows};
use serde::Serialize;
use std::rc::Rc;

/// The measured time of a [`Choice`] beside that of the kernel in the table of variants.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Tried"))]
pub struct TuningResult {
    /// Its name.
    #[cfg_attr(test, ts(as = "Choice"))]
    pub choice: &'static str,
    /// Seconds of the table's kernel, and of the choice's.
    pub seconds: [f64; 2],
    /// Normalised mean squared difference of their results.
    pub difference: f64,
    /// Whether the choice is made from here on.
    pub chosen: bool,
}

/// The least duration of a measurement, seconds.
const ENOUGH: f64 = 0.01;
/// How many measurements are made; the quickest counts.
const TRIES: usize = 3;
/// A choice is made if it takes at most this part of the time of the table's kernel.
const WORTH: f64 = 0.95;

/// Tries every [`Choice`] on layers of a size that real models have and makes those that are quicker, agree with the
/// table's kernel, and pass the self-test. No choice is made on an adapter that takes more than `patience` seconds over
/// one such layer (about 2 GFLOP). Choices that round are tried if that is allowed (`may_round`).
///
/// # Errors
/// [`crate::Error::Gpu`] if a kernel does not compile or the device is lost, [`crate::Error::TooLarge`] if it lacks
/// memory. Then no choice is made.
pub async fn tune(gpu: &Rc<Gpu>, patience: f64, may_round: bool) -> Result<Vec<TuningResult>> {
    let mut all = Vec::new();
    for choice in Choice::ALL {
        gpu.choose(choice, false);
    }
    let is_open = |choice: &Choice| gpu.can_choose(*choice) && (may_round || !choice.rounds());
    for choice in Choice::ALL.into_iter().filter(is_open) {
        let tried = compare(gpu, choice, patience).await;
        let chosen = matches!(&tried, Ok(Some(tried)) if tried.chosen);
        gpu.choose(choice, chosen);
        match tried? {
            Some(tried) => all.push(tried),
            None => break,
        }
    }
    Ok(all)
}

/// A layer that a choice affects.
enum TimedLayer {
    Convolution { x: Region, w: Weight },
    Linear { x: Region, w: Weight },
    Row { x: Region, w: Weight },
    Attention { q: Region, k: Region, v: Region },
}

/// Rows and columns of a picture, its channels before and after.
const CONVOLUTION: (usize, usize, usize) = (64, 160, 320);
/// Rows, elements before and after.
const LINEAR: (usize, usize, usize) = (512, 512, 4096);
/// Elements before and after.
const ROW: (usize, usize) = (2048, 2048);
/// Queries, keys, heads, elements of one.
const ATTENTION: (usize, usize, usize, usize) = (1024, 512, 16, 64);

impl TimedLayer {
    /// Makes the layer that a choice affects.
    async fn new(gpu: &Rc<Gpu>, choice: Choice) -> Result<TimedLayer> {
        let rows = |n: usize, seed| upload(gpu, &noise(n, seed));
        Ok(match choice {
            Choice::Winograd => {
                let (side, from, to) = CONVOLUTION;
                let (w, _) = weight(gpu, DType::F16, &[to, 9 * from], 2).await?;
                TimedLayer::Convolution { x: rows(side * side * from, 1), w }
            }
            Choice::ShortTiles | Choice::Int8Prompts => {
                let (t, k, n) = LINEAR;
                let (w, _) = weight(gpu, DType::Q4_0, &[n, k], 4).await?;
                TimedLayer::Linear { x: upload(gpu, &bytes(t * k, 3)), w }
            }
            Choice::Int8Tokens => {
                let (k, n) = ROW;
                let (w, _) = weight(gpu, DType::Q4_0, &[n, k], 4).await?;
                TimedLayer::Row { x: upload(gpu, &bytes(k, 3)), w }
            }
            Choice::ShortAttention => {
                let (t, s, heads, head_dim) = ATTENTION;
                let width = heads * head_dim;
                TimedLayer::Attention { q: rows(t * width, 5), k: rows(s * width, 6), v: rows(s * width, 7) }
            }
        })
    }

    /// Records the layer.
    fn record<'g>(&self, g: &'g Graph) -> Tensor<'g> {
        match self {
            TimedLayer::Convolution { x, w } => {
                let (side, from, _) = CONVOLUTION;
                let x = Map::new(g.given(x, [side * side, from]), 1, side, Rows::all(side));
                x.conv2d(w, Conv { pad: [1, 1], ..Conv::default() }).t
            }
            TimedLayer::Linear { x, w } => g.given(x, [LINEAR.0, LINEAR.1]).linear(w),
            TimedLayer::Row { x, w } => g.given(x, [1, ROW.0]).linear(w),
            TimedLayer::Attention { q, k, v } => {
                let (t, s, heads, head_dim) = ATTENTION;
                let rows = |region, rows: usize| (g.given(region, [rows, heads * head_dim]), 0);
                Attend { n: 1, heads, head_dim, q: rows(q, t), k: rows(k, s), v: rows(v, s), causal: false }.run()
            }
        }
    }
}

/// Times a choice against the table's kernel; `None` if the latter takes longer than `patience`. Leaves the choice
/// made.
async fn compare(gpu: &Rc<Gpu>, choice: Choice, patience: f64) -> Result<Option<TuningResult>> {
    let layer = TimedLayer::new(gpu, choice).await?;
    let (table, want) = Recorded::new(gpu, |g| layer.record(g)).run(gpu).await?;
    let mut runs = 1;
    loop {
        let took = time(gpu, &table, runs).await?;
        if took > patience * runs as f64 {
            return Ok(None);
        }
        if took >= ENOUGH || runs >= 1 << 10 {
            break;
        }
        runs *= 2;
    }
    gpu.choose(choice, true);
    let (other, got) = Recorded::new(gpu, |g| layer.record(g)).run(gpu).await?;
    let difference = nmse(&got, want.iter().map(|&v| v.into()));
    let mut seconds = [f64::INFINITY; 2];
    for _ in 0..TRIES {
        for (plan, best) in [&table, &other].into_iter().zip(&mut seconds) {
            *best = best.min(time(gpu, plan, runs).await? / runs as f64);
        }
    }
    // Written so that NaN does not agree.
    let mut chosen = difference <= AGREEMENT && seconds[1] <= WORTH * seconds[0];
    if chosen {
        for suite in [Suite::Linear, Suite::Pictures] {
            chosen &= suite.test(gpu).await?.iter().all(|k| k.ok);
        }
    }
    Ok(Some(TuningResult { choice: choice.name(), seconds, difference, chosen }))
}
