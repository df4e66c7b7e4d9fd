//! A picture that is made band by band is the one that is made at once.

use super::load::{Loaded, worst};
use inkstone::Error;
use inkstone::config::diffusion::vae::VaeConfig;
use inkstone::gpu::{Choice, Gpu, GpuOptions};
use inkstone::image::autoencoder::{Cost, ImageDecoder, ImageEncoder, Limits, decode_cost, encode_cost};
use inkstone::load::Abort;
use pollster::block_on;
use std::rc::Rc;
use support::gpu::{each_choosing, open};
use support::images::case::Model;
use support::images::formula;

/// Bands change nothing but the order in which some sums are added up. Of results whose deviation is over 1, in its
/// units.
const TOLERANCE: f32 = 1e-5;

/// The largest difference, and whether it is allowed.
fn judge(want: &[f32], got: &[f32]) -> (f32, bool) {
    let deviation = (want.iter().map(|v| v * v).sum::<f32>() / want.len() as f32).sqrt();
    let error = worst(want, got);
    (error, error <= TOLERANCE * deviation.max(1.0))
}

fn cost(gpu: &Rc<Gpu>, config: &VaeConfig, encode: bool, size: [usize; 2], budget: u64) -> Result<Cost, Error> {
    let limits = Limits::of(gpu, budget);
    if encode { encode_cost(config, size, limits) } else { decode_cost(config, size, limits) }
}

/// Of ever smaller budgets, those that lead to different ways, with their costs.
fn ways(gpu: &Rc<Gpu>, config: &VaeConfig, encode: bool, size: [usize; 2]) -> Vec<(u64, Cost)> {
    let whole = cost(gpu, config, encode, size, 1 << 30).unwrap();
    assert_eq!((whole.banded, whole.macs), (0, whole.least_macs), "with plenty of memory everything is made at once");
    let mut found = vec![(1 << 30, whole)];
    let mut budget = whole.bytes;
    loop {
        budget -= budget / 16;
        match cost(gpu, config, encode, size, budget) {
            Err(Error::TooLarge { .. }) => return found,
            Err(e) => panic!("{e}"),
            Ok(cost) => {
                assert!(cost.bytes <= budget, "{} of {budget} bytes", cost.bytes);
                if found.last().is_none_or(|(_, last)| *last != cost) {
                    found.push((budget, cost));
                }
            }
        }
    }
}

fn run(loaded: &Loaded, encode: bool, size: [usize; 2], budget: u64) -> Vec<f32> {
    let channels = if encode { 3 } else { loaded.latents() };
    let input = formula::normals("bands", size[0] * size[1] * channels);
    if encode { loaded.encode(&input, size, budget) } else { loaded.decode(&input, size, budget) }
}

/// Goes the ways that do most of something, and returns their costs.
fn compare(loaded: &Loaded, name: &str, encode: bool, size: [usize; 2]) -> Vec<Cost> {
    let ways = ways(&loaded.gpu, &loaded.vae.config, encode, size);
    let want = run(loaded, encode, size, ways[0].0);
    let doing: [fn(&Cost) -> u64; 4] =
        [|c| c.macs, |c| c.banded as u64, |c| c.summing as u64, |c| c.overwriting as u64];
    let mut gone = doing.map(|most| *ways.iter().max_by_key(|(_, cost)| most(cost)).unwrap()).to_vec();
    gone.sort_by_key(|(budget, _)| *budget);
    gone.dedup();
    for (budget, cost) in &gone {
        let (error, right) = judge(&want, &run(loaded, encode, size, *budget));
        println!("{name} {size:?} encode {encode} in {budget}: {error:.1e}, {cost:?}");
        assert!(right, "{name} {size:?} encode {encode} in {budget}: off by {error:.2e}, {cost:?}");
    }
    gone.into_iter().map(|(_, cost)| cost).collect()
}

#[test]
fn bands_make_the_same_picture() {
    let gpu = open(None, None);
    let mut costs = Vec::new();
    let cases: [(&str, [usize; 2], [usize; 2]); 6] = [
        ("vae_sd1", [7, 5], [56, 33]),
        ("vae_flux", [13, 6], [35, 21]),
        ("vae_plain", [21, 9], [50, 31]),
        ("vae_tiny", [6, 5], [47, 24]),
        ("vae_tiny_odd", [10, 6], [37, 22]),
        ("emoji", [12, 7], [49, 33]),
    ];
    for (name, latents, pixels) in cases {
        let loaded = Loaded::of(&gpu, &Model::read(name));
        costs.extend(compare(&loaded, name, false, latents));
        costs.extend(compare(&loaded, name, true, pixels));
    }
    // What is tested here is in it.
    let most = |of: fn(&Cost) -> usize| costs.iter().map(of).max().unwrap();
    assert!(most(|c| c.banded) > 15 && most(|c| c.summing) > 6 && most(|c| c.overwriting) > 3);
    assert!(costs.iter().any(|c| c.macs > 3 * c.least_macs));
}

#[test]
fn bands_make_the_same_picture_on_every_choice_of_kernels() {
    each_choosing(Choice::Winograd, |setup, gpu| {
        for (name, encode, size) in
            [("vae_flux", false, [13, 6]), ("vae_plain", true, [50, 31]), ("vae_tiny_odd", false, [10, 6])]
        {
            compare(&Loaded::of(gpu, &Model::read(name)), &format!("{name} {setup}"), encode, size);
        }
    });
}

/// The levels of a picture differ in how much of them fits, as they do at real sizes.
#[test]
fn a_larger_picture_is_made_in_bands_of_its_own_size() {
    let gpu = open(None, None);
    let loaded = Loaded::of(&gpu, &Model::read("vae_sd1"));
    let size = [17, 20];
    let whole = cost(&gpu, &loaded.vae.config, false, size, 1 << 30).unwrap();
    let want = run(&loaded, false, size, 1 << 30);
    for part in [2, 4] {
        let budget = whole.bytes / part;
        let cost = cost(&gpu, &loaded.vae.config, false, size, budget).unwrap();
        let (error, right) = judge(&want, &run(&loaded, false, size, budget));
        println!("{size:?} in {budget}: {error:.1e}, {cost:?}");
        assert!(right && cost.banded > 0, "{size:?} in {budget}: off by {error:.2e}, {cost:?}");
    }
}

/// Where bindings are small, weights come in slices, and no result is larger than a binding.
#[test]
fn small_bindings_make_the_same_picture() {
    let model = Model::read("vae_sd1");
    let size = [7, 5];
    let want = run(&Loaded::of(&open(None, None), &model), false, size, 1 << 30);
    for binding in [250_000, 60_000] {
        let options = GpuOptions { max_binding: Some(binding), ..GpuOptions::default() };
        let gpu = block_on(Gpu::open(&options)).unwrap();
        let loaded = Loaded::of(&gpu, &model);
        let cost = cost(&gpu, &loaded.vae.config, false, size, 1 << 30).unwrap();
        assert!(cost.banded > 0, "a result is larger than {binding} bytes");
        let (error, right) = judge(&want, &run(&loaded, false, size, 1 << 30));
        println!("bindings of {binding}: {error:.1e}, {cost:?}");
        assert!(right, "bindings of {binding}: off by {error:.2e}");
    }
}

/// The second run gives the same bits, and creates nothing; what fits at once is one submit.
#[test]
fn a_run_creates_nothing() {
    let gpu = open(None, None);
    let loaded = Loaded::of(&gpu, &Model::read("emoji"));
    let size = [12, 7];
    let latents = formula::normals("bands", 12 * 7 * 4);
    let ways = ways(&gpu, &loaded.vae.config, false, size);
    for (budget, cost) in [&ways[0], &ways[ways.len() - 1]] {
        let decoder = block_on(ImageDecoder::new(&gpu, &loaded.vae, size, *budget)).unwrap();
        let first = block_on(decoder.run(&latents, &Abort::default())).unwrap();
        let c = gpu.counters();
        let made = || [&c.buffers, &c.bind_groups, &c.pipelines, &c.modules].map(std::cell::Cell::get);
        let before = (made(), c.dispatches.get(), c.submits.get());
        let second = block_on(decoder.run(&latents, &Abort::default())).unwrap();
        assert_eq!((made(), c.dispatches.get()), (before.0, before.1 + decoder.dispatches() as u64));
        assert_eq!(first, second);
        assert_eq!(c.submits.get() - before.2 == 1, cost.banded == 0, "{cost:?}");
    }
}

#[test]
fn an_aborted_run_ends_and_the_next_is_right() {
    let gpu = open(None, None);
    let loaded = Loaded::of(&gpu, &Model::read("vae_plain"));
    let pixels = formula::normals("bands", 50 * 31 * 3);
    let encoder = block_on(ImageEncoder::new(&gpu, &loaded.vae, [50, 31], 1 << 30)).unwrap();
    let want = block_on(encoder.run(&pixels, &Abort::default())).unwrap();
    let abort = Abort::default();
    abort.abort();
    assert!(matches!(block_on(encoder.run(&pixels, &abort)), Err(Error::Cancelled)));
    assert_eq!(block_on(encoder.run(&pixels, &Abort::default())).unwrap(), want);
}
