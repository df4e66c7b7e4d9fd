//! The LoRAs that a model was loaded with, and at which scales they are in its weights.

use crate::load::{ByteSource, LoraAdapter, Tensors};
use crate::{Error, Result};
use std::cell::RefCell;
use std::rc::Rc;

/// A LoRA to load a model with.
pub struct Lora {
    /// Its name in prompts, `<lora:name:0.8>`; if empty, that of its file.
    pub name: String,
    /// Its file.
    pub source: Rc<dyn ByteSource>,
    /// How strongly it is applied where a prompt does not say.
    pub scale: f32,
}

struct Named {
    name: String,
    adapter: LoraAdapter,
    scale: f32,
}

/// A model's LoRAs.
pub(super) struct Adapters {
    all: Vec<Named>,
    /// The scales at which they are in the weights; `None` if that is not known for sure.
    applied: RefCell<Option<Vec<f32>>>,
}

impl Adapters {
    /// Opens LoRAs for a model's tensors.
    pub async fn open(loras: Vec<Lora>, model: &Tensors) -> Result<Adapters> {
        let mut all: Vec<Named> = Vec::new();
        for Lora { name, source, scale } in loras {
            if !scale.is_finite() {
                return Err(Error::unsupported(format!("a LoRA's scale is {scale}; give a number")));
            }
            let adapter = LoraAdapter::open(source, model).await?;
            let name = if name.is_empty() { adapter.name().to_string() } else { name };
            if all.iter().any(|other| other.name == name) {
                return Err(Error::unsupported(format!("there are two LoRAs called `{name}`; rename a file")));
            }
            all.push(Named { name, adapter, scale });
        }
        Ok(Adapters { all, applied: RefCell::default() })
    }

    /// Lists their names in prompts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|a| a.name.as_str())
    }

    /// Lists the scales that they were loaded with.
    pub fn loaded(&self) -> Vec<f32> {
        self.all.iter().map(|a| a.scale).collect()
    }

    /// Finds the scales that a prompt's tags ask for; a LoRA without a tag has the scale that it was loaded with. Of
    /// two tags for the same LoRA the last one counts.
    pub fn wanted(&self, tags: &[(String, f32)]) -> Result<Vec<f32>> {
        let mut scales = self.loaded();
        for (name, scale) in tags {
            let Some(at) = self.names().position(|n| n == name) else {
                let known: Vec<_> = self.names().collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(Error::unsupported(format!(
                    "the prompt asks for the LoRA `{name}`, which was not loaded ({known} was): load the model with it, or \
                     leave the tag out"
                )));
            };
            scales[at] = *scale;
        }
        Ok(scales)
    }

    /// Pairs each with its scale.
    pub fn at(&self, scales: &[f32]) -> Vec<(&LoraAdapter, f32)> {
        self.all.iter().map(|a| &a.adapter).zip(scales.iter().copied()).collect()
    }

    /// Lists, by number, those that are in the weights at another scale than these.
    pub fn differing(&self, scales: &[f32]) -> Vec<usize> {
        let applied = self.applied.borrow();
        let same = |i: &usize| applied.as_ref().is_some_and(|now| now[*i] == scales[*i]);
        (0..self.all.len()).filter(|i| !same(i)).collect()
    }

    /// Says whether one of these changes the weight `name`.
    pub fn any_changes(&self, which: &[usize], name: &str) -> bool {
        which.iter().any(|&i| self.all[i].adapter.changes(name))
    }

    /// Says whether one of these changes a text encoder.
    pub fn any_changes_text(&self, which: &[usize]) -> bool {
        which.iter().any(|&i| self.all[i].adapter.changes_part("text_encoder"))
    }

    /// Notes that the weights are being changed: the scales are unknown until [`Adapters::set_applied`].
    pub fn forget_applied(&self) {
        self.applied.take();
    }

    /// Notes that the weights have them at these scales.
    pub fn set_applied(&self, scales: &[f32]) {
        self.applied.replace(Some(scales.to_vec()));
    }

    /// Closes their files until something is read again.
    pub fn release(&self) {
        self.all.iter().for_each(|a| a.adapter.release());
    }
}
