//! Which of two ways is the quicker one on this very adapter: both are run and timed, once.

use super::roofline::time;
use super::self_test::{AGREEMENT, Recorded, Suite, bytes, nmse, noise, upload, weight};
use crate::Result;
use crate::dtype::DType;
use crate::gpu::{Choice, Gpu, Graph, Region, Tensor, Weight};
use crate::ops::{Attend, Conv, Map, Rows};
use serde::Serialize;
use std::rc::Rc;

/// How a [`Choice`] did beside what the table of variants says.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// Its name.
    pub choice: &'static str,
    /// How long the table's way took, and the choice's: seconds.
    pub seconds: [f64; 2],
    /// The normalised mean squared difference of their results.
    pub difference: f64,
    /// Whether it is made from here on.
    pub chosen: bool,
}

/// A measurement lasts at least this long, seconds.
const ENOUGH: f64 = 0.01;
/// Of so many measurements the quickest counts.
const TRIES: usize = 3;
/// A choice is made if it takes at most this part of the time: what is nearly as quick is the table's.
const WORTH: f64 = 0.95;

/// Tries every [`Choice`] on layers of a size that real models have and makes those that are quicker, agree with the table's
/// way, and pass the self-test. An adapter that takes more than `patience` seconds over one such layer (about 2 GFLOP)
/// keeps to the table. Those that round are tried if that is allowed (`may_round`).
///
/// # Errors
/// [`crate::Error::Gpu`] if a kernel does not compile or the device is lost, [`crate::Error::TooLarge`] if it lacks memory.
/// Then no choice is made.
pub async fn tune(gpu: &Rc<Gpu>, patience: f64, may_round: bool) -> Result<Vec<Tried>> {
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

/// A layer about which a choice is.
enum Layer {
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

impl Layer {
    async fn new(gpu: &Rc<Gpu>, choice: Choice) -> Result<Layer> {
        let rows = |n: usize, seed| upload(gpu, &noise(n, seed));
        Ok(match choice {
            Choice::Winograd => {
                let (side, from, to) = CONVOLUTION;
                let (w, _) = weight(gpu, DType::F16, &[to, 9 * from], 2).await?;
                Layer::Convolution { x: rows(side * side * from, 1), w }
            }
            Choice::ShortTiles | Choice::Int8Prompts => {
                let (t, k, n) = LINEAR;
                let (w, _) = weight(gpu, DType::Q4_0, &[n, k], 4).await?;
                Layer::Linear { x: upload(gpu, &bytes(t * k, 3)), w }
            }
            Choice::Int8Tokens => {
                let (k, n) = ROW;
                let (w, _) = weight(gpu, DType::Q4_0, &[n, k], 4).await?;
                Layer::Row { x: upload(gpu, &bytes(k, 3)), w }
            }
            Choice::ShortAttention => {
                let (t, s, heads, head_dim) = ATTENTION;
                let width = heads * head_dim;
                Layer::Attention { q: rows(t * width, 5), k: rows(s * width, 6), v: rows(s * width, 7) }
            }
        })
    }

    fn record<'g>(&self, g: &'g Graph) -> Tensor<'g> {
        match self {
            Layer::Convolution { x, w } => {
                let (side, from, _) = CONVOLUTION;
                let x = Map::new(g.given(x, [side * side, from]), 1, side, Rows::all(side));
                x.conv2d(w, Conv { pad: [1, 1], ..Conv::default() }).t
            }
            Layer::Linear { x, w } => g.given(x, [LINEAR.0, LINEAR.1]).linear(w),
            Layer::Row { x, w } => g.given(x, [1, ROW.0]).linear(w),
            Layer::Attention { q, k, v } => {
                let (t, s, heads, head_dim) = ATTENTION;
                let rows = |region, rows: usize| (g.given(region, [rows, heads * head_dim]), 0);
                Attend { n: 1, heads, head_dim, q: rows(q, t), k: rows(k, s), v: rows(v, s), causal: false }.run()
            }
        }
    }
}

/// `None`: the table's way takes longer than `patience`. Leaves the choice made.
async fn compare(gpu: &Rc<Gpu>, choice: Choice, patience: f64) -> Result<Option<Tried>> {
    let layer = Layer::new(gpu, choice).await?;
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
    // Written so that NaN is no agreement.
    let mut chosen = difference <= AGREEMENT && seconds[1] <= WORTH * seconds[0];
    if chosen {
        for suite in [Suite::Linear, Suite::Pictures] {
            chosen &= suite.test(gpu).await?.iter().all(|k| k.ok);
        }
    }
    Ok(Some(Tried { choice: choice.name(), seconds, difference, chosen }))
}
