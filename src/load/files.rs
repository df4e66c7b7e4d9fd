//! Opening a language model's files: what they are, which tensors they hold, how the model is configured.

use super::quantize::Quantize;
use super::source::ByteSource;
use crate::dtype::DType;
use crate::format::config::LanguageConfig;
use crate::format::gguf::Gguf;
use crate::format::names::{ROPE_FREQS, canonical};
use crate::format::safetensors::{SafeTensors, ShardIndex};
use crate::format::{Parsed, TensorInfo};
use crate::text::Tokenizer;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// A tensor and the file that holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Index into [`Tensors::files`].
    pub file: usize,
    /// Where in the file, and how encoded.
    pub info: TensorInfo,
    /// The file holds its rows as columns; `info.shape` is the shape it is wanted in.
    pub transposed: bool,
}

/// Tensors by name, and the files that hold them.
#[derive(Default)]
pub struct Tensors {
    /// The files.
    pub files: Vec<String>,
    /// Tensors by their canonical name.
    pub by_name: BTreeMap<String, Stored>,
}

impl Tensors {
    /// Bytes of all tensors in the files.
    pub fn bytes(&self) -> u64 {
        self.by_name.values().map(|t| t.info.bytes).sum()
    }

    /// Number of weights.
    pub fn parameters(&self) -> u64 {
        self.by_name.values().map(|t| elements(&t.info)).sum()
    }

    /// The encoding that holds the most weights once floats have been quantized.
    pub fn quantization(&self, quantize: Quantize) -> DType {
        let mut by_dtype: BTreeMap<_, u64> = BTreeMap::new();
        for (name, t) in &self.by_name {
            let dtype = match t.info.shape.as_slice() {
                [_, cols] => quantize.target(name, t.info.dtype, *cols),
                _ => t.info.dtype,
            };
            *by_dtype.entry(dtype).or_default() += elements(&t.info);
        }
        by_dtype.into_iter().max_by_key(|(_, bytes)| *bytes).map_or(DType::F32, |(dtype, _)| dtype)
    }
}

/// Whether a file's name is that of a GGUF file.
pub(super) fn is_gguf(name: &str) -> bool {
    name.to_lowercase().ends_with(".gguf")
}

fn elements(info: &TensorInfo) -> u64 {
    info.shape.iter().map(|&d| d as u64).product()
}

/// The headers of a language model's files, read and checked. No weight has been read yet.
pub struct LanguageFiles {
    /// Tensors by their canonical (GGUF) name.
    pub tensors: Tensors,
    /// The configuration.
    pub config: LanguageConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
}

const SMALL_FILE: u64 = 64 << 20;
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";

/// Reads a file that is small and may be missing.
pub(super) async fn small(source: &dyn ByteSource, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(len) = source.size(name).await? else { return Ok(None) };
    if len > SMALL_FILE {
        return Err(Error::format(
            name,
            format!("{len} bytes is too long for this file; check that it is the right one"),
        ));
    }
    source.read(name, 0, len as usize).await.map(Some)
}

/// Reads a file's header, asking for more until it is whole.
pub(super) async fn header<T>(
    source: &dyn ByteSource,
    name: &str,
    parse: impl Fn(&[u8], u64, &str) -> Result<Parsed<T>>,
) -> Result<T> {
    let len = source.size(name).await?.ok_or_else(|| missing_file(name))?;
    let mut head: Vec<u8> = Vec::new();
    loop {
        match parse(&head, len, name)? {
            Parsed::Done(t) => return Ok(t),
            Parsed::NeedMore(more) => {
                let have = head.len();
                let more = usize::try_from(more).unwrap_or(usize::MAX);
                head.extend(source.read(name, have as u64, more.saturating_sub(have)).await?);
            }
        }
    }
}

fn missing_file(name: &str) -> Error {
    Error::Fetch { url: name.into(), what: "there is no such file; check the address or the folder".into() }
}

impl LanguageFiles {
    /// Opens a `.gguf` file or a transformers folder (`config.json`, `model.safetensors` or its shards, `tokenizer.json`).
    ///
    /// # Errors
    /// Whatever is wrong with the files, before any weight is read.
    pub async fn open(source: &dyn ByteSource) -> Result<Self> {
        let names = source.names();
        let ggufs: Vec<_> = names.iter().filter(|n| is_gguf(n)).collect();
        match ggufs.as_slice() {
            [] => Self::open_folder(source, &names).await,
            [one] => Self::open_gguf(source, one).await,
            [first, ..] => Err(Error::unsupported(format!(
                "there are {} GGUF files ({first} and others); name the one to load",
                ggufs.len()
            ))),
        }
    }

    async fn open_gguf(source: &dyn ByteSource, name: &str) -> Result<Self> {
        let gguf = header(source, name, Gguf::parse).await?;
        let mut config = LanguageConfig::from_gguf(&gguf.metadata, &gguf.tensors)?;
        if let Some(t) = gguf.tensors.iter().find(|t| t.name == ROPE_FREQS) {
            let bytes = source.read(name, t.offset, t.bytes as usize).await?;
            let divisors = super::repack::to_f32(t.dtype, &bytes)
                .ok_or_else(|| Error::format(name, "rope_freqs.weight is quantized; choose another conversion"))?;
            config.rope.set_factors(divisors, name)?;
        }
        let tokenizer = Tokenizer::from_gguf(&gguf.metadata)?;
        let tensors = Tensors { files: vec![name.to_string()], ..Tensors::default() };
        let mut files = LanguageFiles { tensors, config, tokenizer };
        files.add(0, gguf.tensors);
        Ok(files.tied())
    }

    async fn open_folder(source: &dyn ByteSource, names: &[String]) -> Result<Self> {
        let config = match small(source, CONFIG).await? {
            Some(text) => LanguageConfig::from_json(&text, CONFIG)?,
            None => {
                let found = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
                return Err(Error::unsupported(format!(
                    "neither a .gguf file nor a folder with config.json ({found} found); give a GGUF file, or a folder \
                     with config.json, model.safetensors and tokenizer.json"
                )));
            }
        };
        let text = small(source, TOKENIZER).await?;
        let text = text.ok_or_else(|| Error::format(TOKENIZER, "the model's folder has no tokenizer.json; add it"))?;
        let (tokenizer_config, generation) =
            (small(source, "tokenizer_config.json").await?, small(source, "generation_config.json").await?);
        let mut tokenizer = Tokenizer::from_json(&text, tokenizer_config.as_deref(), generation.as_deref())?;
        if let Some(template) = small(source, "chat_template.jinja").await? {
            let template = String::from_utf8(template)
                .map_err(|_| Error::format("chat_template.jinja", "it is not UTF-8 text; download it again"))?;
            tokenizer.set_template(&template);
        }
        const INDEX: &str = "model.safetensors.index.json";
        const SINGLE: &str = "model.safetensors";
        let shards: Vec<String> = match small(source, INDEX).await? {
            Some(text) => ShardIndex::parse(&text, INDEX)?.files().into_iter().map(String::from).collect(),
            None if names.iter().any(|n| n == SINGLE) => vec![SINGLE.to_string()],
            None => vec![names.iter().find(|n| n.ends_with(".safetensors")).map_or(SINGLE, String::as_str).to_string()],
        };
        let tensors = Tensors { files: shards.clone(), ..Tensors::default() };
        let mut files = LanguageFiles { tensors, config, tokenizer };
        for (i, shard) in shards.iter().enumerate() {
            files.add(i, header(source, shard, SafeTensors::parse).await?.tensors);
        }
        Ok(files.tied())
    }

    fn add(&mut self, file: usize, tensors: Vec<TensorInfo>) {
        for info in tensors {
            if let Some(name) = canonical(&info.name) {
                self.tensors.by_name.insert(name, Stored { file, info, transposed: false });
            }
        }
    }

    /// A checkpoint may hold an output matrix although its configuration says that it is the embedding table.
    fn tied(mut self) -> Self {
        if self.config.tied == Some(true) {
            self.tensors.by_name.remove("output.weight");
        }
        self
    }
}
