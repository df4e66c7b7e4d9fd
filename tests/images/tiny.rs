//! A tiny autoencoder beside the model's own: for the finished picture, and for previews.

use super::calls::{PROMPT, as_stored, files, load, paint, small, worst};
use inkstone::config::diffusion::vae::VaeConfig;
use inkstone::format::Parsed;
use inkstone::format::safetensors::SafeTensors;
use inkstone::gpu::Gpu;
use inkstone::image::Autoencoder;
use inkstone::image::autoencoder::ImageDecoder;
use inkstone::image::{ImageInputs, ImageLoadOptions, ImageOptions, ImageStep, Surroundings};
use inkstone::load::{Abort, MemoryFiles, Quantize, RowOrder, Stored, Tensors, Weights};
use inkstone::models::Vae;
use pollster::block_on;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use support::images::folder::Files;

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// The files of a model with the tiny autoencoder of another beside them.
fn together() -> Files {
    let mut all = files("sd1");
    for (name, bytes) in files("sdxs") {
        if let Some(file) = name.strip_prefix("vae/") {
            all.insert(format!("taesd/{file}"), bytes);
        }
    }
    all
}

/// What that autoencoder alone makes of latents [C, h, w].
fn decoded(gpu: &Rc<Gpu>, latents: &[f32], [h, w]: [usize; 2]) -> Vec<f32> {
    let files = files("sdxs");
    let path = format!("vae/{WEIGHTS}");
    let config = VaeConfig::from_json(&files["vae/config.json"], "config.json").unwrap();
    let bytes = &files[&path];
    let Parsed::Done(header) = SafeTensors::parse(bytes, bytes.len() as u64, &path).unwrap() else {
        panic!("it is whole")
    };
    let stored = |info: inkstone::format::TensorInfo| {
        (format!("vae.{}", info.name), Stored { file: 0, info, order: RowOrder::AsStored })
    };
    let tensors = Tensors { files: vec![path.clone()], by_name: header.tensors.into_iter().map(stored).collect() };
    let weights = Weights::new(gpu, &tensors, Quantize::None);
    let vae = Vae::bind(&weights, &config, "vae").unwrap();
    block_on(weights.commit()).unwrap();
    let _store = block_on(weights.upload(&MemoryFiles(files), &(), &Abort::default())).unwrap();
    let decoder = block_on(ImageDecoder::new(gpu, &vae, [h, w], 64 << 20)).unwrap();
    let channels = latents.len() / (h * w);
    let rows: Vec<f32> = (0..latents.len()).map(|i| latents[i % channels * h * w + i / channels]).collect();
    let pixels = block_on(decoder.run(&rows, &Abort::default())).unwrap();
    pixels.into_iter().map(|v| (v / 2.0 + 0.5).clamp(0.0, 1.0)).collect()
}

#[test]
fn the_tiny_autoencoder_paints_if_it_is_asked_to() {
    let gpu = support::gpu::open(None, None);
    let of = |vae| load(&gpu, &together(), &ImageLoadOptions { vae, ..as_stored() }, Vec::new()).unwrap();
    let [full, tiny, auto] = [Autoencoder::Full, Autoencoder::Tiny, Autoencoder::Auto].map(of);
    let components = |m: &inkstone::image::ImageModel| m.info().components.contains(&"taesd".to_string());
    assert_eq!([&full, &tiny, &auto].map(components), [false, true, true]);
    assert!(
        tiny.info().bytes.weights < full.info().bytes.weights && full.info().bytes.weights < auto.info().bytes.weights
    );
    let [full, tiny, auto] = [&full, &tiny, &auto].map(|m| paint(m, PROMPT, small(json!({}))).unwrap().remove(0));
    assert!(full.latents == tiny.latents && full.latents == auto.latents, "the noise predictor is the same");
    assert!(full.pixels == auto.pixels, "the model's own paints unless told otherwise");
    let want = decoded(&gpu, &tiny.latents, [8, 10]);
    let (error, other) = (worst(&want, &tiny.pixels), worst(&want, &full.pixels));
    println!("by the tiny autoencoder: off by {error:.1e}; the model's own differs by {other:.2}");
    assert!(error <= 1e-6 && other > 0.05);
}

#[test]
fn previews_are_made_by_the_tiny_autoencoder_if_it_is_there() {
    let gpu = support::gpu::open(None, None);
    let model = load(&gpu, &together(), &as_stored(), Vec::new()).unwrap();
    let seen = RefCell::new(Vec::new());
    let hear = |s: ImageStep| seen.borrow_mut().push(s.preview);
    let options = ImageOptions::from_json(small(json!({"steps": 3, "preview": "tiny"}))).unwrap();
    let around = Surroundings { clock: &|| 0.0, random: 0 };
    let abort = Abort::default();
    let pictures = model.generate(PROMPT, options, ImageInputs::default(), around, &hear, &abort);
    let picture = block_on(pictures).unwrap().remove(0);
    let seen = seen.into_inner();
    let sizes: Vec<_> = seen.iter().map(|p| p.as_ref().map(|(w, h, rgba)| (*w, *h, rgba.len()))).collect();
    assert_eq!(
        sizes,
        [Some((40, 32, 40 * 32 * 4)), Some((40, 32, 40 * 32 * 4)), None],
        "the finished picture is no preview"
    );
    // After the last but one step the estimate is nearly the picture: nearer to it by the tiny decoder than by the own.
    let tiny = decoded(&gpu, &picture.latents, [8, 10]);
    let rgba = &seen[1].as_ref().unwrap().2;
    let shown: Vec<f32> = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]].map(|v| f32::from(v) / 255.0)).collect();
    let mean =
        |a: &[f32]| a.iter().zip(&shown).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / shown.len() as f64;
    println!(
        "the preview is {:.3} from the tiny decoder's picture, {:.3} from the own one's",
        mean(&tiny),
        mean(&picture.pixels)
    );
    assert!(mean(&tiny) < mean(&picture.pixels));
}

#[test]
fn a_tiny_autoencoder_that_is_not_there_or_of_another_model_is_said_so() {
    let gpu = support::gpu::open(None, None);
    let wanted = ImageLoadOptions { vae: Autoencoder::Tiny, ..as_stored() };
    let refused =
        |files: &Files| load(&gpu, files, &wanted, Vec::new()).err().map(|e| (e.code(), e.to_string())).unwrap();
    let (code, text) = refused(&files("sd1"));
    assert!(code == "Format" && text.contains("taesd/config.json"), "{text}");
    let mut other = together();
    let mut config: serde_json::Value = serde_json::from_slice(&other["taesd/config.json"]).unwrap();
    config["latent_channels"] = json!(16);
    other.insert("taesd/config.json".into(), serde_json::to_vec(&config).unwrap());
    assert_eq!(refused(&other).0, "Unsupported");
    // A model whose own is tiny has nothing to look for.
    assert!(load(&gpu, &files("sdxs"), &wanted, Vec::new()).is_ok());
}
