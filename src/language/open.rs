//! Opening a language model's files: a GGUF file, or a folder as transformers writes it.

use crate::config::language::{LanguageConfig, MixerConfig, TensorLayout};
use crate::format::TensorInfo;
use crate::format::gguf::Gguf;
use crate::format::safetensors::{SafeTensors, ShardIndex};
use crate::load::{ByteSource, RowOrder, Stored, Tensors, header, is_gguf, repack, small};
use crate::text::Tokenizer;
use crate::{Error, Result};

/// The headers of a language model's files, read and checked. No weight has been read yet.
pub struct LanguageFiles {
    /// Tensors by their canonical (GGUF) name.
    pub tensors: Tensors,
    /// The configuration.
    pub config: LanguageConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
}

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";

impl LanguageFiles {
    /// Opens a `.gguf` file or a transformers folder (`config.json`, `model.safetensors` or its shards,
    /// `tokenizer.json`).
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
        read_rope_tensors(source, name, &gguf.tensors, &mut config).await?;
        let tokenizer = Tokenizer::from_gguf(&gguf.metadata)?;
        let mut tensors = Tensors { files: vec![name.to_string()], ..Tensors::default() };
        adopt(&mut tensors, &config, 0, gguf.tensors);
        Ok(LanguageFiles { tensors, config, tokenizer }.tied())
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
        read_template(source, "", &mut tokenizer).await?;
        let tensors = folder_tensors(source, names, "", &config).await?;
        Ok(LanguageFiles { tensors, config, tokenizer }.tied())
    }

    /// Decides whether the output matrix is the embedding table: a checkpoint may hold one although its configuration
    /// says so.
    fn tied(mut self) -> Self {
        if self.config.tied == Some(true) {
            self.tensors.by_name.remove("output.weight");
        }
        self
    }
}

/// Reads the template that lies in `folder` by itself, if one does.
pub(super) async fn read_template(source: &dyn ByteSource, folder: &str, tokenizer: &mut Tokenizer) -> Result<()> {
    let name = format!("{folder}chat_template.jinja");
    let Some(template) = small(source, &name).await? else { return Ok(()) };
    let template =
        String::from_utf8(template).map_err(|_| Error::format(&name, "it is not UTF-8 text; download it again"))?;
    tokenizer.set_template(&template);
    Ok(())
}

/// Reads the tensors of numbers about rotation that a GGUF file has.
pub(super) async fn read_rope_tensors(
    source: &dyn ByteSource,
    name: &str,
    tensors: &[TensorInfo],
    config: &mut LanguageConfig,
) -> Result<()> {
    for rope in config.rope_tensors().to_vec() {
        let Some(t) = tensors.iter().find(|t| t.name == rope) else { continue };
        let bytes = source.read(name, t.offset, t.bytes as usize).await?;
        let values = repack::to_f32(t.dtype, &bytes)
            .ok_or_else(|| Error::format(name, format!("{rope} is quantized; choose another conversion")))?;
        config.set_rope_tensor(rope, values, name)?;
    }
    Ok(())
}

/// Reads the headers of `model.safetensors` or its shards in `folder`, which is nothing or ends in a slash.
pub(super) async fn folder_tensors(
    source: &dyn ByteSource,
    names: &[String],
    folder: &str,
    config: &LanguageConfig,
) -> Result<Tensors> {
    let (index, single) = (format!("{folder}model.safetensors.index.json"), format!("{folder}model.safetensors"));
    let other = |n: &&String| n.strip_prefix(folder).is_some_and(|n| !n.contains('/')) && n.ends_with(".safetensors");
    let files: Vec<String> = match small(source, &index).await? {
        Some(text) => ShardIndex::parse(&text, &index)?.files().into_iter().map(|f| format!("{folder}{f}")).collect(),
        None if names.contains(&single) => vec![single],
        None => vec![names.iter().find(other).map_or(single, String::clone)],
    };
    let mut tensors = Tensors { files: files.clone(), ..Tensors::default() };
    for (i, shard) in files.iter().enumerate() {
        let header = header(source, shard, SafeTensors::parse).await?;
        header.check_types(|name| config.canonical(name).is_some(), shard)?;
        adopt(&mut tensors, config, i, header.tensors);
    }
    Ok(tensors)
}

/// Takes over those tensors of a file that models ask for, by their canonical names.
pub(super) fn adopt(tensors: &mut Tensors, config: &LanguageConfig, file: usize, infos: Vec<TensorInfo>) {
    let heads = heads(config);
    for mut info in infos {
        let Some((name, layout)) = config.canonical(&info.name) else { continue };
        let order = match layout {
            TensorLayout::AsIs => RowOrder::AsStored,
            TensorLayout::Transposed if info.shape.len() == 2 => {
                info.shape.reverse();
                RowOrder::Transposed
            }
            TensorLayout::Transposed => RowOrder::AsStored,
            TensorLayout::QkvByHead => RowOrder::QkvByHead(heads),
        };
        tensors.by_name.insert(name, Stored { file, info, order });
    }
}

/// Counts the query heads of the first layer that attends.
fn heads(config: &LanguageConfig) -> usize {
    let heads = |mixer: &MixerConfig| match mixer {
        MixerConfig::Attention(a) => Some(a.heads),
        MixerConfig::ShortConv(_) => None,
    };
    config.layers.iter().find_map(|layer| heads(&layer.mixer)).unwrap_or(1)
}
