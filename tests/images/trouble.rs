//! Bad input: each an error with its code that says what is wrong, and the next call works.

use super::calls::{PROMPT, as_stored, files, latents, load, paint, paint_from, small};
use inkstone::Result;
use inkstone::image::{ImageInputs, ImageModel, ImageOptions, ImageStep, Surroundings};
use inkstone::load::{Abort, MemoryFiles, Phase, Progress};
use pollster::block_on;
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;
use support::images::folder::Files;

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

#[track_caller]
fn refused<T>(what: &str, result: Result<T>, code: &str, says: &str) {
    let Err(error) = result else { panic!("{what}: it was taken") };
    println!("{what}: {}: {error}", error.code());
    assert_eq!(error.code(), code, "{what}: {error}");
    assert!(error.to_string().contains(says), "{what}: {error}");
}

fn changed(files: &Files, file: &str, change: impl Fn(&mut Value)) -> Files {
    let mut files = files.clone();
    let mut json: Value = serde_json::from_slice(&files[file]).unwrap();
    change(&mut json);
    files.insert(file.to_string(), serde_json::to_vec(&json).unwrap());
    files
}

#[test]
fn folders_with_something_wrong() {
    let gpu = support::gpu::open(None, None);
    let whole = files("sd1");
    let without = |file: &str| {
        let mut files = whole.clone();
        assert!(files.remove(file).is_some(), "{file}");
        files
    };
    let with = |file: &str, bytes: &[u8]| {
        let mut files = whole.clone();
        files.insert(file.to_string(), bytes.to_vec());
        files
    };
    let unet = |key: &str, value: Value| changed(&whole, "unet/config.json", |json| json[key] = value.clone());
    let mut flipped = whole[UNET].clone();
    flipped[40] ^= 0x55;
    let mut checkpoint = Files::new();
    checkpoint.insert("model.safetensors".into(), whole[UNET].clone());
    let cases: Vec<(&str, Files, &str, &str)> = vec![
        ("no UNet", without(UNET), "Format", "unet/"),
        ("no configuration", without("unet/config.json"), "Format", "unet/config.json"),
        ("no vocabulary", without("tokenizer/vocab.json"), "Format", "tokenizer/vocab.json"),
        ("no scheduler", without("scheduler/scheduler_config.json"), "Format", "scheduler_config.json"),
        (
            "no component",
            changed(&whole, "model_index.json", |j| drop(j.as_object_mut().unwrap().remove("vae"))),
            "Format",
            "vae",
        ),
        (
            "another pipeline",
            changed(&whole, "model_index.json", |j| j["_class_name"] = json!("FluxPipeline")),
            "Unsupported",
            "FluxPipeline",
        ),
        (
            "unknown block",
            unet("down_block_types", json!(["CrossAttnDownBlock2D", "AttnDownBlock2D"])),
            "Unsupported",
            "AttnDownBlock2D",
        ),
        ("another activation", unet("act_fn", json!("mish")), "Unsupported", "mish"),
        ("wider than its tensors", unet("block_out_channels", json!([32, 128])), "Shape", "down_blocks.1"),
        ("deeper than its tensors", unet("layers_per_block", json!(2)), "Missing", "down_blocks.0.resnets.1"),
        ("for inpainting alone", unet("in_channels", json!(9)), "Unsupported", "9 channels"),
        ("another text encoder", unet("cross_attention_dim", json!(48)), "Unsupported", "48"),
        (
            "other latents",
            changed(&whole, "vae/config.json", |j| j["latent_channels"] = json!(16)),
            "Unsupported",
            "16",
        ),
        (
            "grey pictures",
            changed(&whole, "vae/config.json", |j| j["in_channels"] = json!(1)),
            "Unsupported",
            "red, green and blue",
        ),
        ("truncated weights", with(UNET, &whole[UNET][..whole[UNET].len() / 2]), "Format", "unet/"),
        ("a flipped header", with(UNET, &flipped), "Format", "unet/"),
        ("a web page", with(UNET, b"<!DOCTYPE html><html><body>404</body></html>"), "Format", "unet/"),
        ("no JSON", with("unet/config.json", b"{\"a\":"), "Format", "unet/config.json"),
        ("half a folder as a checkpoint", checkpoint, "Unsupported", ""),
        ("nothing", Files::new(), "Unsupported", "model_index.json"),
    ];
    for (what, files, code, says) in cases {
        refused(what, load(&gpu, &files, &as_stored(), Vec::new()).map(|_| ()), code, says);
    }
    assert!(gpu.check().is_ok(), "the device is as it was");
    let model = load(&gpu, &whole, &as_stored(), Vec::new()).unwrap();
    assert!(!latents(&model, PROMPT, small(json!({}))).is_empty());
}

/// Cut anywhere and with any byte of a header turned: an error, or a model that paints something or says why not.
#[test]
fn damaged_weights_are_never_a_panic() {
    let gpu = support::gpu::open(None, None);
    let whole = files("sd1");
    let bytes = &whole[UNET];
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
    let hash = support::images::formula::hashes("damage");
    let (mut refused, mut taken) = (0, 0);
    for i in 0..120 {
        let mut damaged = bytes.clone();
        let at = hash(2 * i) as usize;
        match i % 2 {
            0 => damaged.truncate(at % bytes.len()),
            _ => damaged[at % header] ^= 1 << (hash(2 * i + 1) % 8),
        }
        let mut files = whole.clone();
        files.insert(UNET.to_string(), damaged);
        match load(&gpu, &files, &as_stored(), Vec::new()) {
            Ok(_) => taken += 1,
            Err(error) => {
                assert!(["Format", "Missing", "Shape", "Unsupported"].contains(&error.code()), "{error}");
                refused += 1;
            }
        }
    }
    println!("{refused} damaged models were refused, {taken} were loaded");
    assert!(refused > 100 && gpu.check().is_ok());
}

#[test]
fn options_with_something_wrong() {
    let gpu = support::gpu::open(None, None);
    let model = load(&gpu, &files("sd1"), &as_stored(), Vec::new()).unwrap();
    let want = latents(&model, PROMPT, small(json!({})));
    let cases = [
        (json!({"sampler": "ddim_typo"}), "Unsupported", "ddim_typo"),
        (json!({"width": 41}), "Unsupported", "41"),
        (json!({"height": 0}), "Unsupported", "height is 0"),
        (json!({"width": 1 << 20}), "Unsupported", "4096"),
        (json!({"steps": 0}), "Unsupported", "steps is 0"),
        (json!({"steps": 10_000}), "Unsupported", "10000"),
        (json!({"steps": 2.5}), "Unsupported", "2.5"),
        (json!({"guidanceScale": -1.0}), "Unsupported", "guidanceScale"),
        (json!({"guidanceScale": 1e30}), "Unsupported", "guidanceScale"),
        (json!({"guidanceScale": "much"}), "Unsupported", "much"),
        (json!({"seed": -1}), "Unsupported", "-1"),
        (json!({"seed": 1u64 << 60}), "Unsupported", "seed"),
        (json!({"batch": 0}), "Unsupported", "batch"),
        (json!({"batch": 1000}), "Unsupported", "batch"),
        (json!({"eta": 2.0}), "Unsupported", "eta"),
        (json!({"variationStrength": 1.5}), "Unsupported", "variationStrength"),
        (json!({"noise": "tpu"}), "Unsupported", "tpu"),
        (json!({"preview": "holo"}), "Unsupported", "holo"),
        (json!({"strength": 0.0}), "Unsupported", "strength"),
    ];
    for (changes, code, says) in cases {
        refused(&changes.to_string(), paint(&model, PROMPT, small(changes)), code, says);
    }
    let words = "fox ".repeat(10_000);
    refused("10,000 words", paint(&model, &words, small(json!({}))), "TooLarge", "tokens");
    refused(
        "a negative prompt of 10,000 words",
        paint(&model, PROMPT, small(json!({"negativePrompt": words}))),
        "TooLarge",
        "tokens",
    );
    let image = || Some(vec![128; 40 * 32 * 4]);
    let inputs = [
        ("a small mask", ImageInputs { image: image(), mask: Some(vec![255; 8 * 8 * 4]), latents: None }, "mask"),
        ("a large image", ImageInputs { image: Some(vec![0; 64 * 64 * 4]), mask: None, latents: None }, "image"),
        ("a mask alone", ImageInputs { image: None, mask: image(), latents: None }, "no image"),
        ("few latents", ImageInputs { image: None, mask: None, latents: Some(vec![0.0; 7]) }, "latents"),
        ("many latents", ImageInputs { image: None, mask: None, latents: Some(vec![0.0; 4 * 8 * 10 * 2]) }, "latents"),
    ];
    for (what, inputs, says) in inputs {
        refused(what, paint_from(&model, PROMPT, small(json!({})), inputs), "Unsupported", says);
    }
    let latents_of_nan = ImageInputs { image: None, mask: None, latents: Some(vec![f32::NAN; 4 * 8 * 10]) };
    refused(
        "latents that are no numbers",
        paint_from(&model, PROMPT, small(json!({})), latents_of_nan),
        "Gpu",
        "not-a-number",
    );
    assert!(latents(&model, PROMPT, small(json!({}))) == want, "the model paints as ever");
}

/// A model whose own sampler nobody here knows can still be painted with, by another.
#[test]
fn an_unknown_sampler_is_an_error_only_if_it_is_wanted() {
    let gpu = support::gpu::open(None, None);
    let files = changed(&files("sd1"), "scheduler/scheduler_config.json", |j| j["_class_name"] = json!("TCDScheduler"));
    let model = load(&gpu, &files, &as_stored(), Vec::new()).unwrap();
    let mut options = small(json!({}));
    options.as_object_mut().unwrap().remove("sampler");
    refused("its own sampler", paint(&model, PROMPT, options), "Unsupported", "TCDScheduler");
    assert!(!latents(&model, PROMPT, small(json!({}))).is_empty());
}

/// Raises the flag once `left` things were heard.
struct Stopper {
    abort: Abort,
    left: Cell<usize>,
}

impl Stopper {
    fn after(left: usize) -> Self {
        Stopper { abort: Abort::default(), left: Cell::new(left) }
    }

    fn heard(&self) {
        match self.left.get() {
            0 => self.abort.abort(),
            left => self.left.set(left - 1),
        }
    }
}

impl Progress for Stopper {
    fn report(&self, _: Phase, _: u64, _: u64, _: &str) {
        self.heard();
    }
}

#[test]
fn aborting_in_every_phase() {
    let gpu = support::gpu::open(None, None);
    let whole = files("sd1");
    let empty = gpu.counters().live_bytes.get();
    for heard in [0, 1, 5, 40] {
        let stop = Stopper::after(heard);
        let files = Rc::new(MemoryFiles(whole.clone()));
        let loaded = block_on(ImageModel::load(&gpu, files, &as_stored(), Vec::new(), &stop, &stop.abort));
        refused(&format!("a load, after {heard} reports"), loaded.map(|_| ()), "Cancelled", "");
        assert_eq!(gpu.counters().live_bytes.get(), empty, "an aborted load leaves nothing");
    }
    let model = load(&gpu, &whole, &as_stored(), Vec::new()).unwrap();
    let options = || ImageOptions::from_json(small(json!({"steps": 4, "preview": "tiny"}))).unwrap();
    let want = latents(&model, PROMPT, small(json!({"steps": 4})));
    let asked = Abort::default();
    asked.abort();
    let around = Surroundings { clock: &|| 0.0, random: 0 };
    let paint = |on_step: &dyn Fn(ImageStep), abort: &Abort| {
        block_on(model.generate(PROMPT, options(), ImageInputs::default(), around, on_step, abort)).map(|_| ())
    };
    refused("before it begins", paint(&|_| {}, &asked), "Cancelled", "");
    for step in 0..4 {
        let stop = Stopper::after(step);
        let seen = Cell::new(0);
        let hear = |s: ImageStep| {
            seen.set(s.step);
            stop.heard();
        };
        refused(&format!("after step {}", step + 1), paint(&hear, &stop.abort), "Cancelled", "");
        assert_eq!(seen.get(), step + 1, "no step is taken after it");
    }
    assert!(latents(&model, PROMPT, small(json!({"steps": 4}))) == want, "the model paints as ever");
}

/// A second call while the first is under way: refused at once, and the first one ends as if nothing had been.
#[test]
fn two_at_once() {
    let gpu = support::gpu::open(None, None);
    let model = load(&gpu, &files("sd1"), &as_stored(), Vec::new()).unwrap();
    let want = latents(&model, PROMPT, small(json!({})));
    let options = || ImageOptions::from_json(small(json!({}))).unwrap();
    let around = Surroundings { clock: &|| 0.0, random: 0 };
    let second = Cell::new(0);
    let during = |_: ImageStep| {
        let abort = Abort::default();
        let other = model.generate("another", options(), ImageInputs::default(), around, &|_| {}, &abort);
        refused("a second call", block_on(other).map(|_| ()), "Unsupported", "painting something else");
        second.set(second.get() + 1);
    };
    let abort = Abort::default();
    let first = block_on(model.generate(PROMPT, options(), ImageInputs::default(), around, &during, &abort)).unwrap();
    assert!(first[0].latents == want && second.get() == 2);
}
