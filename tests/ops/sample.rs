//! `Tensor::sample` (sample_scan, sample_pick): greedy picks, what sampling may pick and how often, penalties, and the
//! state that the next step reads.

use inkstone::gpu::{Gpu, Graph, Plan, Region};
use inkstone::ops::{RECENT, Sampling};
use pollster::block_on;
use std::collections::BTreeMap;
use std::rc::Rc;
use support::gpu::{activation, download, each_setup, open, submit, upload};
use support::reference::sampling::{Settings, chi_square_limit, distribution};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

const GREEDY: Settings = Settings { temperature: 0.0, top_p: 1.0, min_p: 0.0, top_k: 0 };
/// A nucleus is found in f32: its limit, a fraction of all probabilities, may be off by this.
const SLACK: f64 = 1e-6;

/// A sampler over fixed logits.
struct Sampler {
    gpu: Rc<Gpu>,
    plan: Plan,
    logits: Region,
    settings: Region,
    history: Region,
    state: Region,
    recent: Region,
    vocab: usize,
}

impl Sampler {
    fn new(gpu: &Rc<Gpu>, logits: &[f32]) -> Sampler {
        let vocab = logits.len();
        let logits = activation(gpu, logits, vocab);
        let [settings, history] = [upload(gpu, &[0f32; 8]), upload(gpu, &vec![0u32; 2 * vocab])];
        let [state, recent] = [upload(gpu, &[0u32; 66]), upload(gpu, &[u32::MAX; RECENT])];
        let graph = Graph::new(gpu);
        let s = Sampling { settings: &settings, history: &history, state: &state, recent: &recent };
        graph.given(&logits, [1, vocab]).sample(&s);
        assert_eq!(graph.dispatches(), 2);
        let plan = block_on(Plan::new(graph)).unwrap_or_else(|e| panic!("{e}"));
        let sampler = Sampler { gpu: gpu.clone(), plan, logits, settings, history, state, recent, vocab };
        sampler.set(GREEDY, [1.0, 0.0, 0.0], false);
        sampler
    }

    /// Settings and penalties: repetition, presence, frequency.
    fn set(&self, s: Settings, penalties: [f32; 3], adjust: bool) {
        let [r, p, f] = penalties;
        let words = [s.temperature, s.top_p, s.min_p, s.top_k as f32, r, p, f, f32::from(u8::from(adjust))];
        self.settings.write(0, bytemuck::cast_slice(&words));
    }

    fn begin(&self, position: u32, rows: u32, step: u32, seed: u64) {
        let words = [position, rows, step, seed as u32, (seed >> 32) as u32];
        self.state.write(0, bytemuck::cast_slice(&words));
    }

    fn logits(&self) -> Vec<f32> {
        download::<f32>(&self.gpu, &self.logits)[..self.vocab].to_vec()
    }

    /// The ids of the next `n` steps, at most [`RECENT`], as the host gets them.
    fn steps(&self, n: usize) -> Vec<u32> {
        let first = download::<u32>(&self.gpu, &self.state)[2] as usize;
        (0..n).for_each(|_| submit(&self.gpu, &self.plan));
        let recent: Vec<u32> = download(&self.gpu, &self.recent);
        (first..first + n).map(|i| recent[i % RECENT]).collect()
    }

    fn step(&self) -> u32 {
        self.steps(1)[0]
    }
}

#[test]
fn greedy_takes_the_largest_and_of_equals_the_first() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for vocab in [1, 2, 3, 63, 64, 65, 1023, 1024, 1025, 2049, 4097, 49_152, 151_936] {
            let mut places =
                vec![vec![0], vec![vocab - 1], vec![vocab / 2], vec![0, vocab - 1], vec![vocab / 3, vocab / 2]];
            // Equals in one invocation's share, in neighbouring ones, in different workgroups.
            places.extend([vec![vocab.min(65) - 1, 0], vec![vocab.min(1024) - 1, vocab.min(1025) - 1]]);
            for equals in places {
                for size in [1.0, 1e30] {
                    let mut logits: Vec<f32> = numbers.floats(vocab).iter().map(|v| v * size - 2.0 * size).collect();
                    equals.iter().for_each(|&i| logits[i] = -0.5 * size);
                    let sampler = Sampler::new(gpu, &logits);
                    let want = *equals.iter().min().unwrap();
                    assert_eq!(sampler.step() as usize, want, "{name}: {vocab} logits, largest at {equals:?}");
                }
            }
        }
    });
}

#[test]
fn the_state_is_advanced_for_the_next_step() {
    each_setup(|name, gpu| {
        let mut logits = Numbers(2).floats(300);
        logits[217] = 9.0;
        let sampler = Sampler::new(gpu, &logits);
        sampler.begin(40, 7, 14, 99);
        for (i, position) in [47, 48, 49].into_iter().enumerate() {
            assert_eq!(sampler.step(), 217, "{name}");
            let state: Vec<u32> = download(gpu, &sampler.state);
            assert_eq!(state[..5], [position, 1, 15 + i as u32, 99, 0], "{name}: position, rows, step, seed");
            assert_eq!(state[64..], [217, 0], "{name}: the id for the next embedding, and nothing after it");
        }
        let recent: Vec<u32> = download(gpu, &sampler.recent);
        let written: Vec<usize> = (0..RECENT).filter(|&i| recent[i] != u32::MAX).collect();
        assert_eq!(written, [0, 14, 15], "{name}: steps 14, 15, 16");
        let history: Vec<u32> = download(gpu, &sampler.history);
        assert!(
            history.iter().enumerate().all(|(i, h)| *h == if i == 2 * 217 { 3 } else { 0 }),
            "{name}: what was said"
        );
    });
}

/// Logits as of a model: many small, few large.
fn spread(vocab: usize, size: f32, numbers: &mut Numbers) -> Vec<f32> {
    (0..vocab).map(|_| numbers.one() + size * numbers.one().powi(9)).collect()
}

fn settings(temperature: f32, top_k: usize, top_p: f32, min_p: f32) -> Settings {
    Settings { temperature, top_p, min_p, top_k }
}

#[test]
fn only_tokens_that_the_settings_allow_are_picked() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        for vocab in [1, 5, 64, 1000, 1025, 49_152] {
            let logits = spread(vocab, 12.0, &mut numbers);
            let sampler = Sampler::new(gpu, &logits);
            for s in [
                settings(1.0, 0, 1.0, 0.0),
                settings(0.7, 1, 1.0, 0.0),
                settings(1.5, 3, 1.0, 0.0),
                settings(1.0, 40, 1.0, 0.0),
                settings(1.0, 0, 0.1, 0.0),
                settings(1.0, 0, 0.9, 0.0),
                settings(2.0, 50, 0.95, 0.05),
                settings(1.0, 0, 1.0, 0.5),
                settings(1.0, 0, 0.999, 0.01),
                settings(0.01, 0, 1.0, 0.0),
                settings(1.0, 1_000_000, 1.0, 0.0),
                settings(1.0, 2, 0.0, 0.0),
                settings(1.0, 0, 1.0, 1.0),
            ] {
                sampler.set(s, [1.0, 0.0, 0.0], false);
                let allowed = distribution(&logits, s, SLACK);
                for seed in [1, 2, 0xdead_beef_0000_0001] {
                    sampler.begin(0, 1, 0, seed);
                    for id in sampler.steps(if vocab > 2000 { 4 } else { RECENT }) {
                        let p = allowed.get(id as usize);
                        assert!(p.is_some_and(|p| *p > 0.0), "{name}: {vocab} logits, {s:?}: {id} is {p:?}");
                    }
                }
            }
        }
    });
}

/// Draws `n` tokens over many seeds.
fn counts(sampler: &Sampler, n: usize, seeds: u64) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for round in 0..n / RECENT {
        // A seed for every few rounds: both its words and the step must stir the numbers.
        let seed = (round as u64 % seeds).wrapping_mul(0x1_0000_0001);
        sampler.begin(0, 1, (round as u64 / seeds) as u32 * RECENT as u32, seed);
        for id in sampler.steps(RECENT) {
            *counts.entry(id as usize).or_insert(0) += 1;
        }
    }
    counts
}

/// Pearson's statistic of what was seen in `n` draws, rare tokens taken together, and how many bins it has.
fn chi_square(want: &[f64], counts: &BTreeMap<usize, usize>, n: usize) -> (f64, usize) {
    let (mut statistic, mut bins) = (0.0, 0);
    let mut bin = |expected: f64, seen: f64| {
        statistic += (seen - expected) * (seen - expected) / expected;
        bins += 1;
    };
    let (mut rare, mut rare_seen) = (0.0, 0.0);
    for (id, p) in want.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        let (expected, seen) = (p * n as f64, *counts.get(&id).unwrap_or(&0) as f64);
        if expected < 8.0 {
            rare += expected;
            rare_seen += seen;
        } else {
            bin(expected, seen);
        }
    }
    if rare >= 8.0 {
        bin(rare, rare_seen);
    }
    (statistic, bins)
}

/// The comparison above sees a temperature that is off by a tenth, and a token that comes twice as often as it should.
#[test]
fn wrong_frequencies_are_noticed() {
    let gpu = open(None, None);
    let logits = spread(40, 9.0, &mut Numbers(8));
    let s = settings(1.0, 0, 1.0, 0.0);
    let sampler = Sampler::new(&gpu, &logits);
    sampler.set(s, [1.0, 0.0, 0.0], false);
    let n = 4096;
    let seen = counts(&sampler, n, 32);
    let fits = |want: &[f64]| {
        let (statistic, bins) = chi_square(want, &seen, n);
        statistic < chi_square_limit(bins - 1)
    };
    let want = distribution(&logits, s, 0.0);
    assert!(fits(&want));
    assert!(!fits(&distribution(&logits, settings(1.2, 0, 1.0, 0.0), 0.0)), "another temperature");
    let mut doubled = want.clone();
    doubled[3] *= 2.0;
    let sum: f64 = doubled.iter().sum();
    assert!(!fits(&doubled.iter().map(|p| p / sum).collect::<Vec<_>>()), "a token too rare");
}

#[test]
fn tokens_are_picked_as_often_as_they_are_likely() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        for (vocab, s) in [
            (2, settings(1.0, 0, 1.0, 0.0)),
            (12, settings(1.0, 0, 1.0, 0.0)),
            (70, settings(0.8, 8, 1.0, 0.0)),
            (1100, settings(1.3, 0, 0.6, 0.0)),
            (300, settings(1.0, 30, 0.9, 0.1)),
            // A nucleus that needs the last of the top-k.
            (60, settings(3.0, 4, 0.99, 0.0)),
        ] {
            let logits = spread(vocab, 9.0, &mut numbers);
            let want = distribution(&logits, s, 0.0);
            let n = 2048;
            for seeds in [1, 32] {
                let sampler = Sampler::new(gpu, &logits);
                sampler.set(s, [1.0, 0.0, 0.0], false);
                let counts = counts(&sampler, n, seeds);
                assert!(counts.keys().all(|&id| want[id] > 0.0), "{name}: {vocab} logits, {s:?}: {counts:?}");
                let (statistic, bins) = chi_square(&want, &counts, n);
                assert!(bins >= 2, "{vocab} logits, {s:?}: nothing to compare");
                let limit = chi_square_limit(bins - 1);
                println!(
                    "{name}: {vocab} logits, {s:?}, {seeds} seeds: chi-square {statistic:.1} of {limit:.1} allowed"
                );
                assert!(statistic < limit, "{name}: {vocab} logits, {s:?}, {seeds} seeds: {statistic} over {limit}");
            }
        }
    });
}

#[test]
fn a_seed_decides_everything() {
    each_setup(|name, gpu| {
        let logits = spread(3000, 4.0, &mut Numbers(5));
        let draw = |seed: u64| {
            let sampler = Sampler::new(gpu, &logits);
            sampler.set(settings(1.0, 0, 0.95, 0.0), [1.0, 0.0, 0.0], false);
            sampler.begin(3, 1, 0, seed);
            sampler.steps(RECENT)
        };
        let first = draw(1 << 40);
        assert_eq!(first, draw(1 << 40), "{name}: the same seed");
        for other in [0, 1, 1 << 32, (1 << 40) + 1] {
            assert_ne!(first, draw(other), "{name}: seed {other}");
        }
        let again: Vec<u32> = first.iter().filter(|id| **id == first[0]).copied().collect();
        assert_ne!(again, first, "{name}: every step draws anew");
    });
}

/// What the penalties make of the logits, by the formulas of Keskar et al. 2019 and of OpenAI's interface.
#[test]
fn penalties_and_biases() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(6);
        for vocab in [5, 64, 1500] {
            for (repetition, presence, frequency) in
                [(1.3, 0.0, 0.0), (1.0, 0.7, 0.0), (1.0, 0.0, 0.4), (1.7, -0.5, 0.25)]
            {
                let before: Vec<f32> = numbers.floats(vocab).iter().map(|v| v * 8.0).collect();
                let mut history = vec![[0u32; 2]; vocab];
                let mut want = Vec::new();
                for (i, h) in history.iter_mut().enumerate() {
                    let (prompt, said) =
                        (numbers.below(3) == 0, if numbers.below(2) == 0 { 0 } else { numbers.below(5) });
                    let bias = if numbers.below(4) == 0 { numbers.one() * 20.0 } else { 0.0 };
                    *h = [said as u32 | u32::from(prompt) << 31, bias.to_bits()];
                    let mut l = f64::from(before[i]);
                    if prompt || said > 0 {
                        l = if l > 0.0 { l / f64::from(repetition) } else { l * f64::from(repetition) };
                    }
                    if said > 0 {
                        l -= f64::from(presence) + f64::from(frequency) * said as f64;
                    }
                    want.push(l + f64::from(bias));
                }
                let what = format!("{name}: {vocab} logits, penalties {repetition}, {presence}, {frequency}");
                let sampler = Sampler::new(gpu, &before);
                sampler.history.write(0, bytemuck::cast_slice(&history));
                sampler.set(GREEDY, [repetition, presence, frequency], true);
                let id = sampler.step() as usize;
                let after = sampler.logits();
                check(&what, &want, &after, Tolerance::F32);
                let best = (0..vocab).rev().max_by(|&a, &b| after[a].total_cmp(&after[b]));
                assert_eq!(Some(id), best, "{what}");
                history[id][0] += 1;
                let told: Vec<[u32; 2]> = download(gpu, &sampler.history);
                assert_eq!(told, history, "{what}: what was said is counted, and no more");
                // Without adjustment nothing of this matters.
                let sampler = Sampler::new(gpu, &before);
                sampler.history.write(0, bytemuck::cast_slice(&history));
                sampler.set(GREEDY, [repetition, presence, frequency], false);
                sampler.step();
                check(&what, &before, &sampler.logits(), Tolerance::Exact);
            }
        }
    });
}

#[test]
fn a_ban_is_absolute_and_a_large_bias_decides() {
    each_setup(|name, gpu| {
        let mut logits = spread(2100, 6.0, &mut Numbers(7));
        logits[1111] = 30.0;
        logits[7] = 29.0;
        let biased = |id: usize, bias: f32, s: Settings| {
            let sampler = Sampler::new(gpu, &logits);
            sampler.history.write((8 * id + 4) as u64, &bias.to_bits().to_le_bytes());
            sampler.set(s, [1.0, 0.0, 0.0], true);
            sampler.begin(0, 1, 0, 5);
            sampler
        };
        assert_eq!(biased(1111, f32::NEG_INFINITY, GREEDY).step(), 7, "{name}");
        assert_eq!(biased(1111, -100.0, GREEDY).step(), 7, "{name}");
        assert_eq!(biased(40, 100.0, settings(1.0, 0, 1.0, 0.0)).steps(8), [40; 8], "{name}");
        for s in [settings(5.0, 0, 1.0, 0.0), settings(5.0, 3, 0.9, 0.01)] {
            let sampler = biased(1111, f32::NEG_INFINITY, s);
            assert!(!sampler.steps(RECENT).contains(&1111), "{name}: {s:?}");
        }
    });
}

/// What broken weights lead to is told, never hidden behind a token.
#[test]
fn where_a_logit_is_no_number_there_is_no_token() {
    each_setup(|name, gpu| {
        let ways = [GREEDY, settings(1.0, 0, 1.0, 0.0), settings(0.7, 5, 0.9, 0.05)];
        for (vocab, places) in
            [(1, vec![0]), (70, vec![0]), (70, vec![69]), (2100, vec![1500]), (2100, (0..2100).collect())]
        {
            let good = spread(vocab, 6.0, &mut Numbers(8));
            let mut bad = good.clone();
            places.iter().for_each(|&i| bad[i] = f32::NAN);
            for s in ways {
                for (logits, right) in [(&good, true), (&bad, false)] {
                    let sampler = Sampler::new(gpu, logits);
                    sampler.set(s, [1.0, 0.0, 0.0], false);
                    sampler.begin(0, 1, 0, 5);
                    let id = sampler.step();
                    assert_eq!((id as usize) < vocab, right, "{name}: {vocab} logits, NaN at {places:?}, {s:?}: {id}");
                }
            }
        }
    });
}
