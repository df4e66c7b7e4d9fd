//! `Tensor::denoise`: one step of a sampler, every number of its row.

use inkstone::gpu::{Gpu, Graph, Plan};
use inkstone::ops::{Denoise, KEPT_PLANES, PLANES, STAGE};
use pollster::block_on;
use std::rc::Rc;
use support::gpu::{GARBAGE, activation, download, each_setup, padded, submit, upload};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

/// What a step reads: planes of `pixels * channels`.
struct Step {
    stage: Vec<f32>,
    /// Without the prompt and with it, or one.
    predicted: Vec<Vec<f32>>,
    noise: Vec<f32>,
    kept: Option<Vec<Vec<f32>>>,
    latents: Vec<Vec<f32>>,
}

/// The planes afterwards, and the model's next input.
fn step(s: &Step) -> (Vec<Vec<f64>>, Vec<f64>) {
    let row = |i: usize| f64::from(s.stage[i]);
    let (mut planes, mut input) = (vec![Vec::new(); PLANES], Vec::new());
    for i in 0..s.noise.len() {
        let at = |plane: &Vec<f32>| f64::from(plane[i]);
        let [x, saved, h1, h2, h3, _] = [0, 1, 2, 3, 4, 5].map(|p| at(&s.latents[p]));
        let first = at(&s.predicted[0]);
        let out = s.predicted.get(1).map_or(first, |second| first + row(0) * (at(second) - first));
        let m = row(2) * x + row(3) * out;
        let v = [x, saved, m, h1, h2, h3, at(&s.noise)];
        let dot = |first: usize| v.iter().enumerate().map(|(k, v)| row(first + k) * v).sum::<f64>();
        let mut next = dot(6);
        if let Some([original, noise, mask]) = s.kept.as_deref() {
            let known = row(22) * at(original) + row(23) * at(noise);
            next = at(mask) * next + (1.0 - at(mask)) * known;
        }
        let history = if row(20) != 0.0 { [m, h1, h2] } else { [h1, h2, h3] };
        let all = [next, dot(13), history[0], history[1], history[2], row(4) * x + row(5) * out];
        planes.iter_mut().zip(all).for_each(|(plane, v)| plane.push(v));
        input.push(row(1) * next);
    }
    (planes, input)
}

fn try_step(name: &str, gpu: &Rc<Gpu>, s: &Step, channels: usize) {
    let pixels = s.noise.len() / channels;
    let guided = s.predicted.len() == 2;
    let planes = |planes: &[Vec<f32>]| upload(gpu, &padded(&planes.concat(), channels));
    let stage = upload(gpu, &s.stage);
    let predicted = activation(gpu, &s.predicted.concat(), channels);
    let noise = activation(gpu, &s.noise, channels);
    let kept = s.kept.as_deref().map(planes);
    let latents = planes(&s.latents);
    let input = upload(gpu, &vec![GARBAGE; s.predicted.len() * pixels * channels.next_multiple_of(4)]);
    let graph = Graph::new(gpu);
    graph.given(&predicted, [s.predicted.len() * pixels, channels]).denoise(&Denoise {
        stage: &stage,
        noise: &noise,
        kept: kept.as_ref(),
        latents: &latents,
        input: &input,
        guided,
    });
    submit(gpu, &block_on(Plan::new(graph)).unwrap());
    let rows = |values: Vec<f32>| -> Vec<f32> {
        values.chunks_exact(channels.next_multiple_of(4)).flat_map(|row| row[..channels].to_vec()).collect()
    };
    let (want, want_input) = step(s);
    let got = rows(download(gpu, &latents));
    for (i, (want, got)) in want.iter().zip(got.chunks_exact(pixels * channels)).enumerate() {
        check(&format!("{name}: plane {i}, guided {guided}"), want, got, Tolerance::F32);
    }
    // Both halves of a guided model's input are the same picture.
    for got in rows(download(gpu, &input)).chunks_exact(pixels * channels) {
        check(&format!("{name}: the next input"), &want_input, got, Tolerance::F32);
    }
}

fn made_up(pixels: usize, channels: usize, guided: bool, known: bool, numbers: &mut Numbers) -> Step {
    let n = pixels * channels;
    let mut plane = || numbers.floats(n);
    Step {
        latents: (0..PLANES).map(|_| plane()).collect(),
        predicted: (0..if guided { 2 } else { 1 }).map(|_| plane()).collect(),
        noise: plane(),
        kept: known.then(|| {
            let mut kept: Vec<_> = (0..KEPT_PLANES).map(|_| plane()).collect();
            // A mask of painted, kept, and a soft edge between them.
            kept[2].iter_mut().for_each(|v| *v = (*v * 2.0 + 0.5).clamp(0.0, 1.0));
            kept
        }),
        stage: numbers.floats(STAGE),
    }
}

#[test]
fn every_number_of_a_row_does_what_it_should() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (guided, known) in [(false, false), (true, false), (false, true), (true, true)] {
            for (pixels, channels) in [(1, 4), (5, 3), (64, 4), (77, 16)] {
                for shift in [0.0, 1.0] {
                    let mut s = made_up(pixels, channels, guided, known, &mut numbers);
                    s.stage[20] = shift;
                    try_step(name, gpu, &s, channels);
                }
            }
        }
    });
}

/// Each number alone, the others zero: none stands in for another.
#[test]
fn one_number_at_a_time() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        for i in (0..STAGE).filter(|i| *i != 20) {
            let mut s = made_up(9, 4, true, true, &mut numbers);
            // What m, x0, the next latents and what is known are multiplied by must be there for it to be seen.
            let seen = [1, 3, 5, 8, 15, 22];
            s.stage.iter_mut().enumerate().for_each(|(k, v)| *v = if seen.contains(&k) { 0.5 } else { 0.0 });
            s.stage[i] = -1.75;
            s.stage[20] = 1.0;
            try_step(&format!("{name}: number {i}"), gpu, &s, 4);
        }
    });
}

/// Guidance of 7.5 over several steps in a row, the planes carried on.
#[test]
fn steps_follow_each_other() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        let mut s = made_up(40, 4, true, false, &mut numbers);
        for _ in 0..4 {
            s.stage = numbers.floats(STAGE);
            s.stage[0] = 7.5;
            s.stage[20] = 1.0;
            try_step(name, gpu, &s, 4);
            s.latents = step(&s).0.iter().map(|plane| plane.iter().map(|v| *v as f32).collect()).collect();
        }
    });
}
