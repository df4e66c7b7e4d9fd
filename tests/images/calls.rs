//! Loading a folder of files and painting with it, in few words.

use inkstone::Result;
use inkstone::gpu::Gpu;
use inkstone::image::{ImageInputs, ImageLoadOptions, ImageModel, ImageOptions, Lora, Picture, Surroundings};
use inkstone::load::{Abort, MemoryFiles, Quantize};
use pollster::block_on;
use serde_json::{Value, json};
use std::rc::Rc;
use support::images::case::Model;
use support::images::folder::Files;

/// The prompt of most tests.
pub const PROMPT: &str = "a photo of a red fox in the snow";

/// Options that change nothing of the weights.
pub fn as_stored() -> ImageLoadOptions {
    ImageLoadOptions { quantize: Some(Quantize::None), ..ImageLoadOptions::default() }
}

/// Loads these files.
pub fn load(gpu: &Rc<Gpu>, files: &Files, options: &ImageLoadOptions, loras: Vec<Lora>) -> Result<ImageModel> {
    let files = Rc::new(MemoryFiles(files.clone()));
    block_on(ImageModel::load(gpu, files, options, loras, &(), &Abort::default()))
}

/// A LoRA in a file of this name.
pub fn lora(file: &str, bytes: &[u8], scale: f32) -> Lora {
    let files = MemoryFiles([(file.to_string(), bytes.to_vec())].into());
    Lora { name: String::new(), source: Rc::new(files), scale }
}

/// Options of a small picture in two steps, with changes.
pub fn small(changes: Value) -> Value {
    let mut options =
        json!({"width": 40, "height": 32, "steps": 2, "guidanceScale": 2.5, "seed": 5, "sampler": "ddim"});
    for (key, value) in changes.as_object().unwrap() {
        options[key] = value.clone();
    }
    options
}

/// Paints.
pub fn paint(model: &ImageModel, prompt: &str, options: Value) -> Result<Vec<Picture>> {
    paint_from(model, prompt, options, ImageInputs::default())
}

/// Paints from what is given besides words.
pub fn paint_from(model: &ImageModel, prompt: &str, options: Value, inputs: ImageInputs) -> Result<Vec<Picture>> {
    let options = ImageOptions::from_json(options)?;
    let around = Surroundings { clock: &|| 0.0, random: 9 };
    block_on(model.generate(prompt, options, inputs, around, &|_| {}, &Abort::default()))
}

/// The latents of the one picture that is painted.
#[track_caller]
pub fn latents(model: &ImageModel, prompt: &str, options: Value) -> Vec<f32> {
    paint(model, prompt, options).unwrap().remove(0).latents
}

/// The largest difference; infinite if something is no number.
#[track_caller]
pub fn worst(want: &[f32], got: &[f32]) -> f64 {
    assert_eq!(want.len(), got.len(), "as many numbers");
    assert!(!want.is_empty(), "there is something to compare");
    let difference = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
    want.iter().zip(got).map(difference).fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { d.max(m) })
}

/// A golden model's files.
pub fn files(name: &str) -> Files {
    support::images::folder::whole(&Model::read(name))
}
