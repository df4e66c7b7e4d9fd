//! The same model in the other ways that repositories lay out their weights.

use inkstone::gpu::Gpu;
use inkstone::image::{ImageInputs, ImageLoadOptions, ImageModel, ImageOptions, Surroundings};
use inkstone::load::{Abort, MemoryFiles, Quantize};
use pollster::block_on;
use std::rc::Rc;
use support::images::case::Model;
use support::images::folder::{self, Files};

/// The latents of the model's first picture, painted by this folder.
fn latents(gpu: &Rc<Gpu>, model: &Model, files: Files, how: &str) -> Vec<f32> {
    let options = ImageLoadOptions { quantize: Some(Quantize::None), ..ImageLoadOptions::default() };
    let (files, abort, run) = (MemoryFiles(files), Abort::default(), &model.runs[0]);
    let loaded = block_on(ImageModel::load(gpu, Rc::new(files), &options, Vec::new(), &(), &abort));
    let loaded = loaded.unwrap_or_else(|e| panic!("{}, {how}: {e}", model.name));
    let options = ImageOptions::from_json(run.json["options"].clone()).unwrap();
    let around = Surroundings { clock: &|| 0.0, random: 0 };
    let prompt = run.json["prompt"].as_str().unwrap();
    let pictures = block_on(loaded.generate(prompt, options, ImageInputs::default(), around, &|_| {}, &abort));
    pictures.unwrap_or_else(|e| panic!("{}, {how}: {e}", run.title)).remove(0).latents
}

#[test]
fn shards_and_half_precision_variants_are_the_same_model() {
    let gpu = support::gpu::open(None, None);
    let model = Model::read("sd2_f16");
    let want = latents(&gpu, &model, folder::whole(&model), "in one file each");
    let golden = model.runs[0].result("latents").values;
    assert!(want.iter().zip(&golden).all(|(a, b)| (a - b).abs() <= 1e-3), "as diffusers has it");
    for (how, files) in [
        ("in three files each", folder::sharded(&model, 3)),
        ("in two precisions, of which the smaller is to be read", folder::both_variants(&model)),
    ] {
        assert!(latents(&gpu, &model, files, how) == want, "{how}: other latents");
    }
}
