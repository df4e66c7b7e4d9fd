//! The small files of a sentence-transformers folder: which modules follow each other, and their settings.

use super::head::{DenseConfig, HeadActivation, Pooling};
use super::keys::{Object, given};
use super::limits::wrong;
use crate::format::json;
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The modules that a folder lists, in their order: each one's own folder, with its slash, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modules {
    /// The one with the model.
    pub model: String,
    /// The one with the settings of pooling.
    pub pooling: Option<String>,
    /// The linear layers.
    pub dense: Vec<String>,
    /// Whether vectors are made of length one in the end.
    pub normalize: bool,
    /// The one that makes a score of the next token's logits, instead of all but the first.
    pub score: Option<String>,
}

impl Modules {
    /// Reads `modules.json`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for modules that there are no kernels for, [`Error::Format`] for what is no such file.
    pub fn from_json(text: &[u8], file: &str) -> Result<Modules> {
        let listed: Vec<Object<'_>> = serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
            .map_err(|e| Error::format(file, format!("this JSON cannot be used ({e}): download it again")))?;
        let mut modules = Modules::default();
        for (i, all) in listed.into_iter().enumerate() {
            let module = ModuleSettings { all, file };
            let folder = match module.text("path")?.unwrap_or_default().trim_matches('/') {
                "" => String::new(),
                path => format!("{path}/"),
            };
            let kind = module.text("type")?.unwrap_or_default();
            let kind = kind.rsplit('.').next().unwrap_or_default();
            let pooled = modules.pooling.is_some();
            match kind {
                "Transformer" if i == 0 => modules.model = folder,
                "LogitScore" if i == 1 => modules.score = Some(folder),
                "Pooling" if i > 0 && !pooled && modules.score.is_none() => modules.pooling = Some(folder),
                "Dense" if pooled && !modules.normalize => modules.dense.push(folder),
                "Normalize" if pooled => modules.normalize = true,
                "Dropout" => {}
                _ => {
                    return Err(Error::unsupported(format!(
                        "{file}: a module `{kind}` at this place is not supported; choose a model that is a \
                         Transformer, Pooling, and if need be Dense and Normalize"
                    )));
                }
            }
        }
        Ok(modules)
    }
}

/// The settings of one file, read when they are asked for.
pub(super) struct ModuleSettings<'a> {
    all: Object<'a>,
    file: &'a str,
}

impl<'a> ModuleSettings<'a> {
    /// Reads a file, which may be missing.
    pub fn read(file: Option<(&'a [u8], &'a str)>) -> Result<Self> {
        let (text, file) = file.unwrap_or((b"{}", ""));
        Ok(ModuleSettings { all: json::parse(text, file)?, file })
    }

    fn get<T: Deserialize<'a>>(&self, name: &str, wanted: &str) -> Result<Option<T>> {
        let what = || format!("this JSON cannot be used (`{name}` is not {wanted}): the file is damaged or incomplete");
        let read = |v: &'a RawValue| serde_json::from_str(v.get()).map_err(|_| Error::format(self.file, what()));
        given(&self.all, name).map(read).transpose()
    }

    /// Reads a whole number.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        self.get(name, "a whole number")
    }

    /// Reads a whole number that must be there.
    pub fn needed(&self, name: &str) -> Result<usize> {
        self.count(name)?.ok_or_else(|| wrong(self.file, &format!("`{name}` is missing")))
    }

    /// Reads a number.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.get(name, "a number")
    }

    /// Reads a truth value.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.get(name, "a truth value")
    }

    /// Reads a string.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        self.get(name, "a string")
    }

    /// Reads strings by name.
    pub fn texts(&self, name: &str) -> Result<BTreeMap<String, String>> {
        Ok(self.get(name, "an object of strings")?.unwrap_or_default())
    }
}

/// Reads the settings of pooling: the ways, and whether a prompt is pooled, too.
pub(super) fn pooling(text: &[u8], file: &str) -> Result<(Vec<Pooling>, bool)> {
    let said = ModuleSettings::read(Some((text, file)))?;
    let named = |name: &String| {
        let way = Pooling::ALL.into_iter().find(|way| way.name() == name);
        let known = Pooling::ALL.map(Pooling::name).join(", ");
        way.ok_or_else(|| Error::unsupported(format!("{file}: pooling `{name}` is not supported; {known} are")))
    };
    let mut ways = match given(&said.all, "pooling_mode").map(|v| v.get().starts_with('[')) {
        Some(true) => said.get("pooling_mode", "a list of strings")?.unwrap_or_default(),
        Some(false) => Vec::from_iter(said.text("pooling_mode")?),
        None => Vec::new(),
    }
    .iter()
    .map(named)
    .collect::<Result<Vec<_>>>()?;
    if ways.is_empty() {
        for (key, way) in OLD_KEYS.into_iter().zip(Pooling::ALL) {
            if said.flag(key)? == Some(true) {
                ways.push(way);
            }
        }
    }
    match ways.len() {
        0 => ways.push(Pooling::Mean),
        n if n > OLD_KEYS.len() => return Err(wrong(file, &format!("{n} ways of pooling"))),
        _ => {}
    }
    Ok((ways, said.flag("include_prompt")?.unwrap_or(true)))
}

/// The keys of older files for each of [`Pooling::ALL`].
const OLD_KEYS: [&str; 6] = [
    "pooling_mode_cls_token",
    "pooling_mode_max_tokens",
    "pooling_mode_mean_tokens",
    "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens",
    "pooling_mode_lasttoken",
];

/// Reads the settings of the linear layer in `folder`.
pub(super) fn dense(folder: &str, text: &[u8], file: &str) -> Result<DenseConfig> {
    let said = ModuleSettings::read(Some((text, file)))?;
    let function = said.text("activation_function")?;
    let function = function.as_deref().unwrap_or("torch.nn.modules.activation.Tanh");
    let activation = match function.rsplit('.').next().unwrap_or_default() {
        "Identity" => HeadActivation::None,
        "Tanh" => HeadActivation::Tanh,
        "ReLU" => HeadActivation::Relu,
        "GELU" => HeadActivation::Gelu,
        "SiLU" => HeadActivation::Silu,
        _ => {
            let what =
                format!("{file}: activation `{function}` is not supported; Identity, Tanh, ReLU, GELU, SiLU are");
            return Err(Error::unsupported(what));
        }
    };
    if said.flag("use_residual")? == Some(true) {
        return Err(Error::unsupported(format!("{file}: `use_residual` is not supported; choose another model")));
    }
    Ok(DenseConfig {
        name: format!("{folder}linear."),
        inputs: said.needed("in_features")?,
        outputs: said.needed("out_features")?,
        bias: said.flag("bias")?.unwrap_or(true),
        activation,
    })
}
