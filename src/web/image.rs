//! Image models, as JavaScript sees them.

use super::convert::{self, failure, from_js, object, to_js};
use super::files::{FileSet, Files};
use super::options::Priority;
use super::{AbortFlag, OnProgress, device};
use crate::gpu::budget;
use crate::image::{ImageInputs, ImageLoadOptions, ImageModel, ImageOptions, ImageStep, Lora, Picture, Surroundings};
use crate::load::ByteSource;
use crate::probe::{Suite, self_test};
use crate::{Error, Result};
use js_sys::{Array, Float32Array, Function, Object, Uint8ClampedArray};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const INTERFACES: &str = r#"
/** A LoRA to add to the weights. */
export interface LoraFiles {
  files: FileSet;
  name: string;
  scale: number;
}

/** A step; the preview is RGBA. */
export interface WireStep extends ImageStep {
  preview?: Uint8ClampedArray<ArrayBuffer>;
  width?: number;
  height?: number;
}

/** A finished picture: `pixels` is [height, width, 3] in 0 to 1, `latents` [channels, h, w]. */
export interface WirePicture extends Picture {
  pixels: Float32Array;
  latents: Float32Array;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// The interface above.
    #[wasm_bindgen(typescript_type = "LoraFiles")]
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

/// Converts a step, with its preview as RGBA.
fn step(s: ImageStep) -> Result<Object> {
    let o = Object::from(to_js(&s)?);
    let preview = s.preview.map(|(width, height, rgba)| {
        let rgba = Uint8ClampedArray::from(&rgba[..]).into();
        [("width", (width as f64).into()), ("height", (height as f64).into()), ("preview", rgba)]
    });
    Ok(object(o, preview.into_iter().flatten()))
}

fn picture(p: &Picture) -> Result<JsValue> {
    let arrays = [("pixels", &p.pixels), ("latents", &p.latents)];
    let arrays = arrays.map(|(key, values)| (key, Float32Array::from(&values[..]).into()));
    Ok(object(Object::from(to_js(p)?), arrays).into())
}

#[wasm_bindgen]
impl WasmImageModel {
    /// Loads a model from its files, with adapters added to its weights.
    pub async fn load(
        files: FileSet,
        #[wasm_bindgen(unchecked_param_type = "RustLoadOptions")] options: JsValue,
        loras: Vec<LoraFiles>,
        #[wasm_bindgen(unchecked_param_type = "(progress: Progress) => void")] on_progress: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<WasmImageModel, JsValue> {
        let abort = abort.0.clone();
        let load = async {
            let options = convert::options(&options)?;
            let gpu = device(&options).await?;
            if options.self_test != Some(false) {
                abort.race(self_test(&gpu, &[Suite::Linear, Suite::Pictures])).await?;
            }
            let lora = |l: &LoraFiles| {
                let source: Rc<dyn ByteSource> = Rc::new(Files(l.files()));
                Lora { name: l.name(), source, scale: l.scale() as f32 }
            };
            let load = ImageLoadOptions {
                quantize: options.quantize,
                background: options.priority == Some(Priority::Background),
                vae: options.vae.unwrap_or_default(),
                text_encoder: options.text_encoder.unwrap_or_default(),
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

    /// Returns the metadata of the loaded model: its sizes, defaults, samplers and memory.
    #[wasm_bindgen(unchecked_return_type = "ImageInfo")]
    pub fn info(&self) -> std::result::Result<JsValue, JsValue> {
        self.model().and_then(|m| to_js(&m.info())).map_err(failure)
    }

    /// Paints pictures; `on_step` hears of each step.
    #[allow(clippy::too_many_arguments)] // JavaScript's side of it is one call
    #[wasm_bindgen(unchecked_return_type = "WirePicture[]")]
    pub async fn generate(
        &self,
        prompt: &str,
        #[wasm_bindgen(unchecked_param_type = "Partial<ImageOptions>")] options: JsValue,
        image: Option<Vec<u8>>,
        mask: Option<Vec<u8>>,
        latents: Option<Vec<f32>>,
        #[wasm_bindgen(unchecked_param_type = "(step: WireStep) => void")] on_step: Function,
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
                // A step always has a JSON form, and what a listener throws is not ours to handle.
                let _ = step(s).map(|s| on_step.call1(&JsValue::NULL, &s));
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
