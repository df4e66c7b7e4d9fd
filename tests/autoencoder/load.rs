//! The autoencoder of a golden model, on a device.

use inkstone::config::diffusion::vae::VaeConfig;
use inkstone::format::Parsed;
use inkstone::format::safetensors::SafeTensors;
use inkstone::gpu::{Gpu, WeightStore};
use inkstone::image::autoencoder::{ImageDecoder, ImageEncoder};
use inkstone::load::{Abort, MemoryFiles, Quantize, RowOrder, Stored, Tensors, Weights};
use inkstone::models::Vae;
use pollster::block_on;
use std::rc::Rc;
use support::images::case::Model;
use support::images::folder::{Files, whole};

const WEIGHTS: &str = "vae/diffusion_pytorch_model.safetensors";

/// An autoencoder whose weights are there.
pub struct Loaded {
    pub gpu: Rc<Gpu>,
    pub vae: Vae,
    _store: WeightStore,
}

impl Loaded {
    /// That of a golden model.
    pub fn of(gpu: &Rc<Gpu>, model: &Model) -> Loaded {
        let files = whole(model);
        let config = VaeConfig::from_json(&files["vae/config.json"], "vae/config.json").unwrap();
        Loaded::new(gpu, &config, files)
    }

    /// One with this configuration and the weights in these files.
    pub fn new(gpu: &Rc<Gpu>, config: &VaeConfig, files: Files) -> Loaded {
        let mut tensors = Tensors { files: vec![WEIGHTS.to_string()], ..Tensors::default() };
        let bytes = &files[WEIGHTS];
        let Parsed::Done(header) = SafeTensors::parse(bytes, bytes.len() as u64, WEIGHTS).unwrap() else {
            panic!("the whole file is there");
        };
        for info in header.tensors {
            tensors.by_name.insert(format!("vae.{}", info.name), Stored { file: 0, info, order: RowOrder::AsStored });
        }
        let weights = Weights::new(gpu, &tensors, Quantize::None);
        let vae = Vae::bind(&weights, config, "vae").unwrap();
        block_on(weights.commit()).unwrap();
        let store = block_on(weights.upload(&MemoryFiles(files), &(), &Abort::default())).unwrap();
        Loaded { gpu: gpu.clone(), vae, _store: store }
    }

    /// Channels of the latents.
    pub fn latents(&self) -> usize {
        self.vae.config.latent_channels()
    }

    /// Decodes latents of height and width [h, w].
    pub fn decode(&self, latents: &[f32], size: [usize; 2], budget: u64) -> Vec<f32> {
        let decoder = block_on(ImageDecoder::new(&self.gpu, &self.vae, size, budget)).unwrap();
        block_on(decoder.run(latents, &Abort::default())).unwrap()
    }

    /// Encodes pixels of height and width [H, W].
    pub fn encode(&self, pixels: &[f32], size: [usize; 2], budget: u64) -> Vec<f32> {
        let encoder = block_on(ImageEncoder::new(&self.gpu, &self.vae, size, budget)).unwrap();
        block_on(encoder.run(pixels, &Abort::default())).unwrap()
    }
}

/// [C, pixels] to [pixels, C].
pub fn rows(planes: &[f32], channels: usize) -> Vec<f32> {
    let pixels = planes.len() / channels;
    (0..planes.len()).map(|i| planes[i % channels * pixels + i / channels]).collect()
}

/// The largest difference; infinite if there is something that is no number.
#[track_caller]
pub fn worst(want: &[f32], got: &[f32]) -> f32 {
    assert_eq!(want.len(), got.len(), "as many numbers");
    assert!(!want.is_empty(), "there is something to compare");
    let difference = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
    want.iter().zip(got).map(difference).fold(0.0, f32::max)
}
