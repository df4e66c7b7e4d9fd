//! Low-rank adapters (Hu et al. 2021), added to the weights while these stream: `W + scale * alpha / rank * up down`.

use super::repack;
use super::source::ByteSource;
use super::tensors::{RowOrder, Stored, Tensors, header};
use crate::config::diffusion::lora::{LoraPair, LoraPairs};
use crate::format::TensorInfo;
use crate::format::safetensors::SafeTensors;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::rc::Rc;

/// An adapter's file, opened: which weights it changes.
pub struct LoraAdapter {
    source: Rc<dyn ByteSource>,
    file: String,
    tensors: BTreeMap<String, Stored>,
    pairs: BTreeMap<String, LoraPair>,
}

/// The matrices that an adapter adds to one weight: `up` [O, rank] times `down` [rank, I], the scale already in `up`.
pub(super) struct Delta {
    up: Vec<f32>,
    down: Vec<f32>,
    rank: usize,
}

impl LoraAdapter {
    /// Opens the adapter in `source` for a model's tensors.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if none of its weights is the model's, or it is of another kind.
    pub async fn open(source: Rc<dyn ByteSource>, model: &Tensors) -> Result<LoraAdapter> {
        let names = source.names();
        let file = names.iter().find(|n| n.ends_with(".safetensors"));
        let file = file.ok_or_else(|| Error::unsupported("a LoRA is one .safetensors file: give its address"))?.clone();
        let header = header(&*source, &file, SafeTensors::parse).await?;
        let lora = LoraPairs::parse(&header, model.by_name.keys().map(String::as_str), &file)?;
        let stored = |info: TensorInfo| (info.name.clone(), Stored { file: 0, info, order: RowOrder::AsStored });
        let tensors: BTreeMap<_, _> = header.tensors.into_iter().map(stored).collect();
        let shape = |name: &str| tensors.get(name).map_or(&[][..], |t: &Stored| &t.info.shape[..]);
        for pair in &lora.pairs {
            let Some(weight) = model.by_name.get(&pair.target) else { continue };
            let [rows, cols] = [0, 1].map(|i| weight.info.shape.iter().skip(i));
            let want = [rows.take(1).product::<usize>(), cols.product()];
            let (up, down) = (shape(&pair.up), shape(&pair.down));
            let got = [up.first().copied().unwrap_or(0), down.iter().skip(1).product()];
            if got != want {
                return Err(Error::unsupported(format!(
                    "{file} is a LoRA for another model: what it adds to `{}` has the shape {got:?} instead of {want:?}; choose \
                     one that was made for this model",
                    pair.target
                )));
            }
        }
        let pairs = lora.pairs.into_iter().map(|p| (p.target.clone(), p)).collect();
        Ok(LoraAdapter { source, file, tensors, pairs })
    }

    /// Returns whether it changes the weight `name`.
    pub fn changes(&self, name: &str) -> bool {
        self.pairs.contains_key(name)
    }

    /// Returns whether it changes any weight whose name begins with `part`.
    pub fn changes_part(&self, part: &str) -> bool {
        self.pairs.keys().any(|name| name.starts_with(part))
    }

    /// Returns its name, unless its owner gives it another: that of its file, without the ending.
    pub fn name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or_default().trim_end_matches(".safetensors")
    }

    /// Closes open files of its source. A later read reopens them.
    pub fn release(&self) {
        self.source.release();
    }

    async fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let stored = self.tensors.get(name).ok_or_else(|| Error::Missing { tensor: name.into() })?;
        let bytes = self.source.read(&self.file, stored.info.offset, stored.info.bytes as usize).await?;
        let floats = repack::to_f32(stored.info.dtype, &bytes);
        floats.ok_or_else(|| Error::unsupported(format!("`{name}` of the LoRA is quantized")))
    }

    /// Reads the matrices that it adds to the weight `name` at this scale; `None` if it does not change that weight.
    pub(super) async fn delta(&self, name: &str, scale: f32) -> Result<Option<Delta>> {
        let Some(pair) = self.pairs.get(name) else { return Ok(None) };
        let (mut up, down) = (self.floats(&pair.up).await?, self.floats(&pair.down).await?);
        // The file was refused unless both halves have it.
        let rank = self.tensors.get(&pair.down).map_or(1, |t| t.info.shape[0]);
        let alpha = match &pair.alpha {
            Some(name) => self.floats(name).await?.first().copied().unwrap_or(rank as f32),
            None => pair.alpha_value.unwrap_or(rank as f32),
        };
        let scale = scale * alpha / rank as f32;
        up.iter_mut().for_each(|v| *v *= scale);
        Ok(Some(Delta { up, down, rank }))
    }
}

impl Delta {
    /// Adds its rows from `first` on to `rows`, each of `cols` elements.
    pub fn add_to(&self, rows: &mut [f32], first: usize, cols: usize) {
        for (r, row) in rows.chunks_exact_mut(cols).enumerate() {
            let ups = self.up.iter().skip((first + r) * self.rank).take(self.rank);
            for (up, down) in ups.zip(self.down.chunks_exact(cols)) {
                row.iter_mut().zip(down).for_each(|(w, d)| *w += up * d);
            }
        }
    }
}
