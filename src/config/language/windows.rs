//! Layers that differ from each other in a file's settings: types, and windows of attention.

use super::keys::Keys;
use super::limits::wrong;
use crate::format::metadata::Value;
use crate::{Error, Result};

impl Keys<'_> {
    /// Reads which of the first `n` layers are of which type, if a `config.json` lists it.
    pub fn layer_types(&self, n: usize) -> Result<Option<Vec<String>>> {
        let Some(mut types) = self.read::<Vec<String>>("layer_types", "a list of strings")? else { return Ok(None) };
        if types.len() < n {
            return Err(wrong(self.file, &format!("`layer_types` names {} of {n} layers", types.len())));
        }
        types.truncate(n);
        Ok(Some(types))
    }

    /// Returns the error for a layer of type `kind`, where those of `known` could be.
    pub fn unknown_layer(&self, kind: &str, known: &str) -> Error {
        self.unsupported(&format!("layer type `{kind}` is not supported; {known} are"))
    }

    /// Returns which of `n` layers slide, as the file lists them or gives their period; otherwise those that are
    /// `usual`.
    pub fn sliding(&self, n: usize, usual: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
        if let Some(types) = self.layer_types(n)? {
            let sliding = |kind: &String| match kind.as_str() {
                "full_attention" => Ok(false),
                "sliding_attention" => Ok(true),
                _ => Err(self.unknown_layer(kind, "full_attention and sliding_attention")),
            };
            return types.iter().map(sliding).collect();
        }
        if let Some((metadata, key)) = self.metadata("sliding_window_pattern")
            && let Some(Value::Array(_)) = metadata.get(&key)
        {
            let list = metadata.bools(&key)?.unwrap_or_default();
            if list.len() < n {
                return Err(wrong(self.file, &format!("`{key}` names {} layers", list.len())));
            }
            return Ok(list.into_iter().take(n).collect());
        }
        Ok(match self.count("sliding_window_pattern")? {
            // The writers of GGUF files mean by a period of one that all layers slide.
            Some(0 | 1) if self.is_gguf() => vec![true; n],
            Some(0) => return Err(wrong(self.file, "`sliding_window_pattern` is 0")),
            Some(period) => (1..=n).map(|i| !i.is_multiple_of(period)).collect(),
            None => (0..n).map(usual).collect(),
        })
    }

    /// Reads the window of those layers that have one.
    pub fn window(&self) -> Result<Option<usize>> {
        Ok(self.count("sliding_window")?.filter(|&w| w > 0 || !self.is_gguf()))
    }

    /// Returns each layer's window: `window` for those that slide.
    pub fn windows(
        &self,
        window: Option<usize>,
        n: usize,
        usual: impl Fn(usize) -> bool,
    ) -> Result<Vec<Option<usize>>> {
        if window.is_none() && self.is_gguf() {
            return Ok(vec![None; n]);
        }
        let listed = self.value("layer_types").is_some();
        let one = |on: bool| match (on, window) {
            (true, None) if listed => Err(wrong(self.file, "a layer is `sliding_attention` without a sliding window")),
            _ => Ok(window.filter(|_| on)),
        };
        self.sliding(n, usual)?.into_iter().map(one).collect()
    }
}
