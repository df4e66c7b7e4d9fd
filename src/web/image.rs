//! Image models, as JavaScript sees them.

use super::convert::{Options, failure, from_js, to_js};
use super::files::{FileSet, Files};
use super::{AbortFlag, OnProgress, device, quantize};
use crate::gpu::budget;
use crate::image::Autoencoder;
use crate::image::{
    ImageInputs, ImageLoadOptions, ImageModel, ImageOptions, ImageStep, Lora, Picture, Surroundings, TextMemory,
};
use crate::load::ByteSource;
use crate::probe::{Suite, self_test};
use crate::{Error, Result};
use js_sys::{Array, Float32Array, Function, Object, Reflect, Uint8ClampedArray};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The interface `LoraFiles` of `www/src/internal`: a FileSet, a name and a scale.
    pub type LoraFiles;

    #[wasm_bindgen(method, getter)]
    fn files(this: &LoraFiles) -> FileSet;

    #[wasm_bindgen(method, getter)]
    fn name(this: &LoraFiles) -> String;

    #[wasm_bindgen(method, getter)]
    fn scale(this: &LoraFiles) -> f64;
}

/// An image model in the worker.
#[wasm_bindgen]
pub struct WasmImageModel(RefCell<Option<Rc<ImageModel>>>);

/// Sets properties of a fresh object, which cannot fail.
fn object(entries: impl IntoIterator<Item = (&'static str, JsValue)>) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        let _ = Reflect::set(&object, &key.into(), &value);
    }
    object
}

/// What the option `key` names; its default if it is not given.
fn choice<T: Default>(key: &str, name: &Option<String>, known: &str, from: impl Fn(&str) -> Option<T>) -> Result<T> {
    match name {
        None => Ok(T::default()),
        Some(name) => {
            from(name).ok_or_else(|| Error::unsupported(format!("{key} `{name}` is not known; give {known}")))
        }
    }
}

fn step(s: ImageStep) -> Object {
    let count = |n: usize| JsValue::from(n as f64);
    let o = object([
        ("picture", count(s.picture)),
        ("step", count(s.step)),
        ("steps", count(s.steps)),
        ("ms", s.ms.into()),
    ]);
    if let Some((width, height, rgba)) = s.preview {
        let entries = [
            ("width", count(width)),
            ("height", count(height)),
            ("preview", Uint8ClampedArray::from(&rgba[..]).into()),
        ];
        for (key, value) in entries {
            let _ = Reflect::set(&o, &key.into(), &value);
        }
    }
    o
}

fn picture(p: &Picture) -> Result<JsValue> {
    let o = object([
        ("width", JsValue::from(p.width as f64)),
        ("height", JsValue::from(p.height as f64)),
        ("pixels", Float32Array::from(&p.pixels[..]).into()),
        ("latents", Float32Array::from(&p.latents[..]).into()),
        ("seed", JsValue::from(p.seed as f64)),
        ("parameters", JsValue::from(&p.parameters)),
        ("timings", to_js(&p.timings)?),
        ("flops", to_js(&p.flops)?),
    ]);
    Ok(o.into())
}

#[wasm_bindgen]
impl WasmImageModel {
    /// Loads a model from its files, with adapters added to its weights.
    pub async fn load(
        files: FileSet,
        options: JsValue,
        loras: Vec<LoraFiles>,
        on_progress: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<WasmImageModel, JsValue> {
        let abort = abort.0.clone();
        let load = async {
            let options: Options = from_js(&options)?;
            let quantize = quantize(&options)?;
            let gpu = device(&options).await?;
            if options.self_test != Some(false) {
                abort.race(self_test(&gpu, &[Suite::Linear, Suite::Pictures])).await?;
            }
            let lora = |l: &LoraFiles| {
                let source: Rc<dyn ByteSource> = Rc::new(Files(l.files()));
                Lora { name: l.name(), source, scale: l.scale() as f32 }
            };
            let load = ImageLoadOptions {
                quantize,
                background: options.priority.as_deref() == Some("background"),
                vae: choice("vae", &options.vae, "\"auto\", \"full\" or \"tiny\"", Autoencoder::from_name)?,
                text_encoder: choice(
                    "textEncoder",
                    &options.text_encoder,
                    "\"auto\", \"keep\" or \"release\"",
                    TextMemory::from_name,
                )?,
                budget: Some(budget(options.adapter_info.device_memory)),
            };
            let loras = loras.iter().map(lora).collect();
            ImageModel::load(&gpu, Rc::new(Files(files)), &load, loras, &OnProgress(on_progress), &abort).await
        };
        let model = load.await.map_err(failure)?;
        Ok(WasmImageModel(RefCell::new(Some(Rc::new(model)))))
    }

    fn model(&self) -> Result<Rc<ImageModel>> {
        self.0.borrow().clone().ok_or_else(|| Error::unsupported("the model has been disposed of: load it again"))
    }

    /// What is known of it.
    pub fn info(&self) -> std::result::Result<JsValue, JsValue> {
        self.model().and_then(|m| to_js(&m.info())).map_err(failure)
    }

    /// Paints; each step is heard.
    #[allow(clippy::too_many_arguments)] // JavaScript's side of it is one call
    pub async fn generate(
        &self,
        prompt: &str,
        options: JsValue,
        image: Option<Vec<u8>>,
        mask: Option<Vec<u8>>,
        latents: Option<Vec<f32>>,
        on_step: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<Array, JsValue> {
        let abort = abort.0.clone();
        let model = self.model();
        let prompt = prompt.to_string();
        let paint = async {
            let options = ImageOptions::from_json(from_js(&options)?)?;
            let inputs = ImageInputs { image, mask, latents };
            let around =
                Surroundings { clock: &js_sys::Date::now, random: (js_sys::Math::random() * 2f64.powi(32)) as u64 };
            let show = |s: ImageStep| {
                // What a listener throws is not ours to handle.
                let _ = on_step.call1(&JsValue::NULL, &step(s));
            };
            let pictures = model?.generate(&prompt, options, inputs, around, &show, &abort).await?;
            pictures.iter().map(picture).collect::<Result<Array>>()
        };
        paint.await.map_err(failure)
    }

    /// Frees everything on the GPU, as soon as no call uses it any more.
    pub fn dispose(&self) {
        self.0.replace(None);
    }
}
