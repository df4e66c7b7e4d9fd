//! Whole pipelines: every golden picture painted again.

use inkstone::gpu::{Gpu, GpuOptions};
use inkstone::image::{ImageInputs, ImageLoadOptions, ImageModel, ImageOptions, Picture, Surroundings};
use inkstone::load::{Abort, MemoryFiles, Quantize};
use pollster::block_on;
use std::rc::Rc;
use support::images::case::{Kept, Model, Run};
use support::images::{folder, formula};

/// The largest difference that a finished picture's latents may have to those of diffusers.
const LATENTS: f64 = 1e-3;
/// The same for single files: of their wider models a tensor in the wrong place may change less than that.
const LATENTS_OF_FILES: f64 = 2e-4;

fn open() -> Rc<Gpu> {
    block_on(Gpu::open(&GpuOptions::default())).expect("these tests need a GPU adapter, for example Mesa's lavapipe")
}

fn load(gpu: &Rc<Gpu>, model: &Model) -> ImageModel {
    let options = ImageLoadOptions { quantize: Some(Quantize::None), ..ImageLoadOptions::default() };
    let files = MemoryFiles(folder::whole(model));
    let abort = Abort::default();
    let load = ImageModel::load(gpu, Rc::new(files), &options, Vec::new(), &(), &abort);
    block_on(load).unwrap_or_else(|e| panic!("{}: {e}", model.name))
}

fn paint(model: &ImageModel, run: &Run) -> Vec<Picture> {
    let mut options = run.json["options"].as_object().unwrap().clone();
    let [w, h] = ["width", "height"].map(|k| options[k].as_u64().unwrap() as usize);
    let mut given = |key: &str| options.remove(key).map(|seed| seed.as_u64().unwrap());
    let inputs = ImageInputs {
        image: given("image").map(|seed| formula::rgba(&formula::picture(seed, w, h), 3)),
        mask: given("mask").map(|seed| formula::rgba(&formula::mask(seed, w, h), 1)),
        latents: given("latents")
            .map(|seed| formula::normals(&format!("latents {seed}"), run.result("latents").values.len())),
    };
    let options = ImageOptions::from_json(options.into()).unwrap();
    let around = Surroundings { clock: &|| 0.0, random: 0 };
    let prompt = run.json["prompt"].as_str().unwrap();
    let abort = Abort::default();
    let pictures = model.generate(prompt, options, inputs, around, &|_| {}, &abort);
    block_on(pictures).unwrap_or_else(|e| panic!("{}: {e}", run.title))
}

fn worst(want: &Kept, got: &[f32]) -> f64 {
    assert_eq!(want.values.len(), got.len());
    want.values.iter().zip(got).map(|(w, g)| f64::from((w - g).abs())).fold(0.0, f64::max)
}

/// Peak signal-to-noise ratio of pictures in 0 to 1, in dB.
fn psnr(want: &Kept, got: &[f32]) -> f64 {
    assert_eq!(want.values.len(), got.len());
    let squares = want.values.iter().zip(got).map(|(w, g)| f64::from(w - g).powi(2)).sum::<f64>();
    -10.0 * (squares / got.len() as f64).max(1e-20).log10()
}

#[test]
fn pipelines_paint_what_diffusers_paints() {
    let gpu = open();
    let mut failed = Vec::new();
    for name in Model::names() {
        let model = Model::read(&name);
        let runs: Vec<_> = model.runs.iter().filter(|run| run.of() == "paint").collect();
        if runs.is_empty() {
            continue;
        }
        let painter = load(&gpu, &model);
        let (mut latents, mut image) = (0.0f64, f64::INFINITY);
        let most = if name.ends_with("_file") { LATENTS_OF_FILES } else { LATENTS };
        for run in &runs {
            let pictures = paint(&painter, run);
            let all = |what: fn(&Picture) -> &Vec<f32>| pictures.iter().flat_map(what).copied().collect::<Vec<_>>();
            let difference = worst(&run.result("latents"), &all(|picture| &picture.latents));
            latents = latents.max(difference);
            let mut ratio = f64::INFINITY;
            if run.kept().iter().any(|k| *k == "image") {
                ratio = psnr(&run.result("image"), &all(|picture| &picture.pixels));
                image = image.min(ratio);
            }
            if difference > most || ratio < 40.0 {
                failed.push(format!("{}: latents off by {difference:.1e}, picture {ratio:.1} dB", run.title));
            }
        }
        println!(
            "{name:12} {:3} pictures: latents off by at most {latents:.1e}, pictures at least {image:.1} dB",
            runs.len()
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
