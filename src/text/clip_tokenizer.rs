//! The tokenizer of CLIP's text encoders, from any of the files that picture models publish it in.

use super::bpe::{Bpe, Merging};
use super::from_json::{self, Merge, ModelFile};
use super::model::{Algorithm, TokenModel};
use super::normalize::Normalizer;
use super::pretokenize::{Find, Matched, Splitter};
use super::tokenizer::Tokenizer;
use super::tokenizer_parts::TokenizerParts;
use crate::{Error, Result};
use serde_json::Value;

/// CLIP's pattern of words; within them, written in bytes, GPT-2's pattern applies. (The pattern of `CLIPTokenizer` in
/// transformers.)
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

const BOS: &str = "<|startoftext|>";
const EOS: &str = "<|endoftext|>";

/// The length of every CLIP published so far, for files that name none or "no limit".
const LENGTH: usize = 77;

/// Longer ones are meant as "no limit".
const MOST: u64 = 4096;

/// Converts text to the tokens of a CLIP text encoder: lower case, all white space alike, every text
/// between a beginning and an end.
#[derive(Debug)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    bos: u32,
    eos: u32,
    pad: u32,
    max_length: usize,
}

impl ClipTokenizer {
    /// Reads `vocab.json` and `merges.txt` and, if they are there, the `tokenizer_config.json` and
    /// `special_tokens_map.json` beside them.
    ///
    /// # Errors
    /// [`Error::Format`] if a file is damaged, lacks the tokens that begin and end a text, or does not fit the others.
    pub fn from_files(
        vocab: &[u8],
        merges: &[u8],
        tokenizer_config: Option<&[u8]>,
        special_tokens_map: Option<&[u8]>,
    ) -> Result<Self> {
        let names = Names::new(tokenizer_config, special_tokens_map)?;
        let mut parts = TokenizerParts {
            normalizers: vec![
                Normalizer::Nfc,
                Normalizer::Replace { find: Find::Pattern(from_json::pattern(r"\s+")?), by: " ".into() },
                Normalizer::Lowercase,
            ],
            ..TokenizerParts::default()
        };
        parts.splitters.steps = vec![
            from_json::cut(WORDS, Matched::Removed, true)?,
            Splitter::ByteAlphabet { prefix_space: false, words: Some(from_json::pattern(from_json::GPT2_WORDS)?) },
        ];
        from_json::list_added(&names.config, &mut parts.added);
        let file = ModelFile {
            kind: Some("BPE".into()),
            vocab: serde_json::from_slice(vocab).map_err(|e| damaged("vocab.json", e))?,
            merges: read_merges(merges)?,
            unk_token: Some(names.text("unk_token").unwrap_or(EOS).into()),
            end_of_word_suffix: Some("</w>".into()),
            ..ModelFile::default()
        };
        let wanted = !file.merges.is_empty();
        let model = from_json::model("vocab.json", file, &parts.added, &parts.splitters)?;
        if wanted
            && let Algorithm::Bpe(Bpe { merging: Merging::Ranks { merges, .. }, .. }) = &model.algorithm
            && merges.is_empty()
        {
            let what = "none of its merges is of tokens of vocab.json: give the two files of the same model";
            return Err(Error::format("merges.txt", what));
        }
        parts.model = Some(model);
        ClipTokenizer::new("vocab.json", parts, &names)
    }

    /// Reads a `tokenizer.json` and, if they are there, the `tokenizer_config.json` and `special_tokens_map.json`
    /// beside it.
    ///
    /// # Errors
    /// [`Error::Format`] if a file is damaged or lacks the tokens that begin and end a text, [`Error::Unsupported`] if
    /// the tokenizer is not BPE or uses a step that is not known.
    pub fn from_json(
        tokenizer: &[u8],
        tokenizer_config: Option<&[u8]>,
        special_tokens_map: Option<&[u8]>,
    ) -> Result<Self> {
        let names = Names::new(tokenizer_config, special_tokens_map)?;
        let parts = from_json::parse(tokenizer, &names.config)?;
        if !parts.model.as_ref().is_some_and(|model| matches!(model.algorithm, Algorithm::Bpe(_))) {
            let what = "tokenizer.json is not of a CLIP text encoder, whose tokens are merged from pairs (BPE)";
            return Err(Error::unsupported(format!("{what}: use another model")));
        }
        ClipTokenizer::new(from_json::FILE, parts, &names)
    }

    fn new(file: &str, mut parts: TokenizerParts, names: &Names) -> Result<Self> {
        // Named tokens are found in text, even OpenCLIP's "!" for padding: so the models' own pipelines do it.
        let [bos, eos, _, pad] =
            [("bos_token", Some(BOS)), ("eos_token", Some(EOS)), ("unk_token", None), ("pad_token", None)]
                .map(|(key, otherwise)| named(&mut parts, names.get(key), otherwise));
        let needed = |id: Option<u32>, key: &str| {
            let what = || format!("it has no `{key}`: it is not the vocabulary of a CLIP text encoder, or is damaged");
            id.ok_or_else(|| Error::format(file, what()))
        };
        let (bos, eos) = (needed(bos, "bos_token")?, needed(eos, "eos_token")?);
        // A file that names a padding token has to have it; one that names none pads with the end.
        let pad = if names.text("pad_token").is_some() { needed(pad, "pad_token")? } else { eos };
        let max_length = match names.config["model_max_length"].as_u64() {
            Some(length @ 0..3) => {
                let what =
                    format!("`model_max_length` is {length}, which leaves no room for text: the file is damaged");
                return Err(Error::format("tokenizer_config.json", what));
            }
            Some(length) if length <= MOST => length as usize,
            _ => LENGTH,
        };
        let tokenizer = Tokenizer::new(file, parts)?;
        Ok(ClipTokenizer { tokenizer, bos, eos, pad, max_length })
    }

    /// Appends the tokens of `text` alone: nothing before or after it, and as many as there are.
    pub fn encode_into(&self, text: &str, ids: &mut Vec<u32>) {
        self.tokenizer.encode_into(text, true, ids);
    }

    /// Returns how many tokens the encoder takes at once, with the first and the last.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Sets the most tokens that the encoder has positions for, if it is fewer than the tokenizer's own.
    pub fn limit(&mut self, positions: usize) {
        self.max_length = self.max_length.min(positions.max(3));
    }

    /// Returns one more than the largest token id.
    pub fn vocab(&self) -> usize {
        self.tokenizer.vocab()
    }

    /// Returns the token that begins a text.
    pub fn bos(&self) -> u32 {
        self.bos
    }

    /// Returns the token that ends a text.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// Returns the token that follows the end up to [`ClipTokenizer::max_length`].
    pub fn pad(&self) -> u32 {
        self.pad
    }

    /// Pads with another token: checkpoints without a tokenizer share one vocabulary, but not this.
    pub fn set_pad(&mut self, pad: u32) {
        self.pad = pad;
    }
}

/// The special tokens of the two small files.
struct Names {
    config: Value,
    map: Value,
}

impl Names {
    fn new(config: Option<&[u8]>, map: Option<&[u8]>) -> Result<Self> {
        let read = |file: &str, bytes: Option<&[u8]>| -> Result<Value> {
            bytes.map_or(Ok(Value::Null), |bytes| serde_json::from_slice(bytes).map_err(|e| damaged(file, e)))
        };
        Ok(Names { config: read("tokenizer_config.json", config)?, map: read("special_tokens_map.json", map)? })
    }

    /// Returns the description of a special token. A config that lists its tokens has the last word; one written before
    /// there were such lists gives way to the map.
    fn get(&self, key: &str) -> &Value {
        match self.config["added_tokens_decoder"].is_object() || self.map[key].is_null() {
            true => &self.config[key],
            false => &self.map[key],
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        let value = self.get(key);
        value.as_str().or(value["content"].as_str())
    }
}

/// Adds a special token to those that are found in text and returns its id; `None` if there is no such token.
fn named(parts: &mut TokenizerParts, value: &Value, otherwise: Option<&str>) -> Option<u32> {
    let mut token = from_json::describe(0, value, true).or_else(|| from_json::describe(0, &otherwise?.into(), true))?;
    if let Some(known) = parts.added.iter().find(|known| known.text == token.text) {
        return Some(known.id);
    }
    token.id = parts.model.as_ref().and_then(|model: &TokenModel| model.vocab.id(token.text.as_bytes()))?;
    let id = token.id;
    parts.added.push(token);
    Some(id)
}

/// Parses the lines of `merges.txt`, each two tokens, behind a line with the version of the format.
fn read_merges(bytes: &[u8]) -> Result<Vec<Merge>> {
    let text = std::str::from_utf8(bytes).map_err(|e| damaged("merges.txt", e))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    lines
        .map(|(i, line)| match line.split_once(' ') {
            Some((a, b)) if !a.is_empty() && !b.is_empty() && !b.contains(' ') => Ok(Merge(a.into(), b.into())),
            _ => Err(damaged("merges.txt", format_args!("line {} is not two tokens", i + 1))),
        })
        .collect()
}

fn damaged(file: &str, what: impl std::fmt::Display) -> Error {
    Error::format(file, format!("{what}: the file is damaged, download it again"))
}
