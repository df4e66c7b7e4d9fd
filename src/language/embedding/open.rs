//! Opening the files of a model that makes vectors: a sentence-transformers or transformers folder, or a GGUF file.

use crate::config::language::embedding::EmbeddingFiles;
use crate::config::language::{EmbeddingConfig, Modules};
use crate::format::gguf::Gguf;
use crate::format::safetensors::SafeTensors;
use crate::language::open::{adopt, folder_tensors, read_rope_tensors, read_template};
use crate::load::{ByteSource, RowOrder, Stored, Tensors, header, is_gguf, small};
use crate::text::Tokenizer;
use crate::{Error, Result};

/// The headers of a model's files, read and checked. No weight has been read yet.
pub struct EmbeddingSource {
    /// Tensors by their canonical name; those of linear layers begin with their folder's name.
    pub tensors: Tensors,
    /// The model, and the vectors or scores it makes.
    pub config: EmbeddingConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
}

/// Names of the file that says how long a text may be: the first that is there counts.
const TRANSFORMER: [&str; 8] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
    "sentence_mpnet_config.json",
];

impl EmbeddingSource {
    /// Opens a `.gguf` file or a folder with `config.json`, `model.safetensors` or its shards and `tokenizer.json`, and
    /// with `modules.json` and what that names, if the folder is one of sentence-transformers.
    ///
    /// # Errors
    /// Whatever is wrong with the files, before any weight is read.
    pub async fn open(source: &dyn ByteSource) -> Result<Self> {
        let names = source.names();
        match names.iter().filter(|n| is_gguf(n)).collect::<Vec<_>>().as_slice() {
            [] => Self::open_folder(source, &names).await,
            [one] => Self::open_gguf(source, one).await,
            [first, ..] => Err(Error::unsupported(format!(
                "there are several GGUF files ({first} and others); name the one to load"
            ))),
        }
    }

    async fn open_gguf(source: &dyn ByteSource, name: &str) -> Result<Self> {
        let gguf = header(source, name, Gguf::parse).await?;
        let mut config = EmbeddingConfig::from_gguf(&gguf.metadata, &gguf.tensors)?;
        read_rope_tensors(source, name, &gguf.tensors, &mut config.model).await?;
        let tokenizer = Tokenizer::from_gguf(&gguf.metadata)?;
        let mut tensors = Tensors { files: vec![name.to_string()], ..Tensors::default() };
        let heads: Vec<_> = config.dense.iter().map(|d| d.name.clone()).collect();
        let of_heads = gguf.tensors.iter().filter(|t| heads.iter().any(|name| t.name.starts_with(name.as_str())));
        for info in of_heads.cloned().collect::<Vec<_>>() {
            let order = RowOrder::AsStored;
            tensors.by_name.insert(info.name.clone(), Stored { file: 0, info, order });
        }
        adopt(&mut tensors, &config.model, 0, gguf.tensors);
        Ok(EmbeddingSource { tensors, config, tokenizer })
    }

    async fn open_folder(source: &dyn ByteSource, names: &[String]) -> Result<Self> {
        const MODULES: &str = "modules.json";
        let modules = small(source, MODULES).await?.map(|text| Modules::from_json(&text, MODULES)).transpose()?;
        let folder = modules.as_ref().map_or("", |m| &m.model);
        let inside = |name: &str| format!("{folder}{name}");
        let config_name = inside("config.json");
        let Some(config) = small(source, &config_name).await? else {
            let found = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
            return Err(Error::unsupported(format!(
                "neither a .gguf file nor a folder with {config_name} ({found} found); give a GGUF file, or a folder \
                 with config.json, model.safetensors and tokenizer.json"
            )));
        };
        // The tokenizer's files may lie beside the model's or above.
        let tokenizer_name = inside("tokenizer.json");
        let (text, beside) = match small(source, &tokenizer_name).await? {
            Some(text) => (Some(text), folder),
            None if folder.is_empty() => (None, ""),
            None => (small(source, "tokenizer.json").await?, ""),
        };
        let what = "the model's folder has no tokenizer.json; add it";
        let text = text.ok_or_else(|| Error::format(&tokenizer_name, what))?;
        let settings_name = format!("{beside}tokenizer_config.json");
        let settings = small(source, &settings_name).await?;
        let mut tokenizer = Tokenizer::from_json(&text, settings.as_deref(), None)?;
        // Some models are asked about a pair of texts by way of it.
        read_template(source, beside, &mut tokenizer).await?;
        let mut transformer = None;
        for name in TRANSFORMER.map(inside) {
            if let Some(text) = small(source, &name).await? {
                transformer = Some((text, name));
                break;
            }
        }
        let of_module = |folder: &str| format!("{folder}config.json");
        let mut dense = Vec::new();
        for folder in modules.iter().flat_map(|m| &m.dense) {
            dense.push((needed(source, &of_module(folder)).await?, of_module(folder)));
        }
        let pooling = match modules.as_ref().and_then(|m| m.pooling.as_deref()) {
            Some(folder) => Some((needed(source, &of_module(folder)).await?, of_module(folder))),
            None => None,
        };
        let score = match modules.as_ref().and_then(|m| m.score.as_deref()) {
            Some(folder) => Some((needed(source, &of_module(folder)).await?, of_module(folder))),
            None => None,
        };
        const PROMPTS: &str = "config_sentence_transformers.json";
        let prompts = small(source, PROMPTS).await?;
        fn named(file: &Option<(Vec<u8>, String)>) -> Option<(&[u8], &str)> {
            file.as_ref().map(|(text, name)| (&text[..], name.as_str()))
        }
        let config = EmbeddingConfig::from_json(&EmbeddingFiles {
            config: (&config, &config_name),
            modules: modules.as_ref(),
            pooling: named(&pooling),
            score: named(&score),
            dense: &dense,
            transformer: named(&transformer),
            prompts: prompts.as_deref().map(|text| (text, PROMPTS)),
            tokenizer: settings.as_deref().map(|text| (text, settings_name.as_str())),
        })?;
        let mut tensors = folder_tensors(source, names, folder, &config.model).await?;
        for folder in modules.iter().flat_map(|m| &m.dense) {
            let name = format!("{folder}model.safetensors");
            let header = header(source, &name, SafeTensors::parse).await?;
            header.check_types(|_| true, &name)?;
            let file = tensors.files.len();
            tensors.files.push(name);
            for info in header.tensors {
                let order = RowOrder::AsStored;
                tensors.by_name.insert(format!("{folder}{}", info.name), Stored { file, info, order });
            }
        }
        Ok(EmbeddingSource { tensors, config, tokenizer })
    }
}

/// Reads a small file that must be there.
async fn needed(source: &dyn ByteSource, name: &str) -> Result<Vec<u8>> {
    let what = "modules.json names this file's folder, but it is missing; get the whole folder";
    small(source, name).await?.ok_or_else(|| Error::format(name, what))
}
