//! Converts text to token ids and back.

use super::added::{Added, Finder, Segment};
use super::encoding::{Encoding, Framing, Padding, Truncation};
use super::model::TokenModel;
use super::normalize::{Normalizer, normalize};
use super::pretokenize::Splitters;
use super::spelling::Spelling;
use super::template::ChatTemplate;
use super::tokenizer_parts::{TokenizerParts, ends_a_turn};
use super::{from_gguf, from_json, special_tokens};
use crate::format::gguf::Metadata;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Converts text to token ids and back, as the model was trained with.
#[derive(Debug)]
pub struct Tokenizer {
    model: TokenModel,
    /// Looked for in the raw text, and in the normalized text.
    raw: Finder,
    normalized: Finder,
    normalizers: Vec<Normalizer>,
    splitters: Splitters,
    spelling: Spelling,
    framing: Framing,
    /// The special tokens before and after one text.
    before: Vec<u32>,
    after: Vec<u32>,
    truncation: Option<Truncation>,
    padding: Option<Padding>,
    bos: Option<u32>,
    stops: Vec<u32>,
    special: HashSet<u32>,
    template: Option<ChatTemplate>,
    /// `bos_token` and the like, for templates.
    names: Map<String, Value>,
}

impl Tokenizer {
    /// Reads a published `tokenizer.json` and, if they are there, the `tokenizer_config.json` and
    /// `generation_config.json` beside it.
    ///
    /// # Errors
    /// [`Error::Format`] if a file is damaged, [`Error::Unsupported`] if the tokenizer is of a kind, uses a step or
    /// is written in a version of the format that is not known.
    pub fn from_json(tokenizer: &[u8], config: Option<&[u8]>, generation: Option<&[u8]>) -> Result<Self> {
        let read = |file: &str, bytes: Option<&[u8]>| -> Result<Value> {
            let damaged = |e| Error::format(file, format!("{e}: the file is damaged, download it again"));
            bytes.map_or(Ok(Value::Null), |bytes| serde_json::from_slice(bytes).map_err(damaged))
        };
        let config = read("tokenizer_config.json", config)?;
        let generation = read("generation_config.json", generation)?;
        let mut parts = from_json::parse(tokenizer, &config)?;
        special_tokens::configure(&mut parts, &config, &generation);
        let mut tokenizer = Tokenizer::new(from_json::FILE, parts)?;
        tokenizer.names.extend(special_tokens::names(&config));
        tokenizer.template = ChatTemplate::from_config(&config["chat_template"], &tokenizer.names);
        Ok(tokenizer)
    }

    /// Reads the metadata of a GGUF file: byte-level BPE with a named pre-tokenizer (`gpt2`), SentencePiece pieces with
    /// scores (`llama`), merges over marked spaces (`gemma4`), BERT's word pieces (`bert`), or a Unigram model (`t5`).
    ///
    /// # Errors
    /// [`Error::Format`] if the metadata lacks a tokenizer or contradicts itself, [`Error::Unsupported`] if it is of
    /// another kind or its pre-tokenizer is not known.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let mut tokenizer = Tokenizer::new(metadata.file(), from_gguf::parse(metadata)?)?;
        if let Some(source) = metadata.str("tokenizer.chat_template")? {
            tokenizer.set_template(source);
        }
        if let Some(list) = metadata.strings("tokenizer.chat_templates")? {
            for name in list.iter() {
                if let Some(source) = metadata.str(&format!("tokenizer.chat_template.{name}"))? {
                    let names = &tokenizer.names;
                    tokenizer.template.get_or_insert_with(|| ChatTemplate::new(names)).add(name, source);
                }
            }
        }
        Ok(tokenizer)
    }

    /// Makes a tokenizer of the parts that `file` described.
    pub(super) fn new(file: &str, parts: TokenizerParts) -> Result<Self> {
        let model = parts.model.ok_or_else(|| Error::format(file, "it has no vocabulary: the file is incomplete"))?;
        let mut stops = parts.stops;
        stops.extend(parts.eos);
        stops.extend(parts.added.iter().filter(|t| t.special && ends_a_turn(&t.text)).map(|t| t.id));
        stops.sort_unstable();
        stops.dedup();
        let mut special: HashSet<u32> = parts.added.iter().filter(|t| t.special).map(|t| t.id).collect();
        special.extend(parts.bos);
        special.extend(&stops);
        let exists = |id: &u32| (*id as usize) < model.vocab.len();
        if let Some(id) = parts.framing.special().chain(stops.iter().copied()).find(|id| !exists(id)) {
            let what = format!("token {id} is named but not in the vocabulary: the file is damaged");
            return Err(Error::format(file, what));
        }
        let (before, after) = parts.framing.around();
        let mut names = Map::new();
        for (name, id) in [("bos_token", parts.bos), ("eos_token", parts.eos)] {
            if let Some(id) = id {
                names.insert(name.into(), String::from_utf8_lossy(model.vocab.bytes(id)).into());
            }
        }
        let (normalized, raw): (Vec<Added>, Vec<Added>) = parts.added.into_iter().partition(|t| t.normalized);
        let normalize = |token: Added| {
            let text = normalize(&parts.normalizers, &token.text).into_owned();
            Added { text, ..token }
        };
        Ok(Tokenizer {
            raw: Finder::new(raw),
            normalized: Finder::new(normalized.into_iter().map(normalize)),
            model,
            normalizers: parts.normalizers,
            splitters: parts.splitters,
            spelling: parts.spelling,
            framing: parts.framing,
            before,
            after,
            truncation: parts.truncation,
            padding: parts.padding,
            bos: parts.bos,
            stops,
            special,
            template: None,
            names,
        })
    }

    /// Uses the content of a `chat_template.jinja` file as the chat template, in place of an earlier one.
    pub fn set_template(&mut self, source: &str) {
        let mut template = ChatTemplate::new(&self.names);
        template.add("default", source);
        self.template = Some(template);
    }

    /// Returns the tokens of `text`. With `special`, special tokens written in the text are recognised and the tokens
    /// that the model wants before and after a text (BOS, EOS) are added; without, everything is plain text and nothing
    /// is added.
    pub fn encode(&self, text: &str, special: bool) -> Vec<u32> {
        let mut ids = Vec::new();
        if special {
            ids.extend(&self.before);
        }
        self.encode_into(text, special, &mut ids);
        if special {
            ids.extend(&self.after);
        }
        ids
    }

    /// Returns the tokens of a rendered chat: special tokens are recognised, and what the model wants before a text
    /// (BOS) is added unless the template has already written it. Nothing is added after it.
    pub fn encode_chat(&self, rendered: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_into(rendered, true, &mut ids);
        if !ids.starts_with(&self.before) {
            ids.splice(0..0, self.before.iter().copied());
        }
        ids
    }

    /// Returns the tokens of one text, or of two as a pair, as encoders and rerankers read them: with the special
    /// tokens that the model wants around them and with the texts' types. Special tokens written in the texts are
    /// recognised. With `max_length` it is at most so many tokens: the ends of the texts are cut off, of a pair the
    /// longer one's first, and all special tokens stay.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if `max_length` leaves no room for the special tokens.
    pub fn encode_pair(&self, first: &str, second: Option<&str>, max_length: Option<usize>) -> Result<Encoding> {
        let truncation = max_length.map(|max_length| Truncation { max_length, ..Truncation::default() });
        self.encode_cut(first, second, truncation.as_ref())
    }

    /// Does what [`Tokenizer::encode_pair`] does, but cuts in the way that `truncation` says.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the special tokens alone are too many, or the text to be cut has too few tokens.
    pub fn encode_cut(&self, first: &str, second: Option<&str>, truncation: Option<&Truncation>) -> Result<Encoding> {
        let text = |text: &str| {
            let mut ids = Vec::new();
            // No more is needed of a text whose end is cut off.
            let most = truncation.filter(|how| !how.left).map_or(usize::MAX, |how| how.max_length);
            self.encode_some(text, true, most, &mut ids);
            ids
        };
        self.framing.fill(text(first), second.map(text), truncation)
    }

    /// Returns how the file would have texts cut. Nothing is cut unless a caller asks for it.
    pub fn truncation(&self) -> Option<&Truncation> {
        self.truncation.as_ref()
    }

    /// Returns how the file would have texts padded, for [`Encoding::pad`]. Nothing is padded unless a caller asks.
    pub fn padding(&self) -> Option<&Padding> {
        self.padding.as_ref()
    }

    /// Appends the tokens of `text`, with special tokens recognised if `special`, and nothing before or after it.
    pub(super) fn encode_into(&self, text: &str, special: bool, ids: &mut Vec<u32>) {
        self.encode_some(text, special, usize::MAX, ids);
    }

    /// Appends tokens of `text` until there are `most` or all, a whole piece at a time.
    fn encode_some(&self, text: &str, special: bool, most: usize, ids: &mut Vec<u32>) {
        let most = most.saturating_add(ids.len());
        for part in self.raw.split(text, special) {
            let plain = match part {
                Segment::Token(id) => {
                    ids.push(id);
                    continue;
                }
                Segment::Plain(plain) => plain,
            };
            let start = std::ptr::eq(plain.as_ptr(), text.as_ptr());
            let clean = normalize(&self.normalizers, plain);
            for part in self.normalized.split(&clean, special) {
                match part {
                    Segment::Token(id) => ids.push(id),
                    Segment::Plain(plain) => {
                        let first = start && std::ptr::eq(plain.as_ptr(), clean.as_ptr());
                        let mut full = false;
                        self.splitters.each(plain, first, |piece| {
                            self.model.encode(piece, ids);
                            full = ids.len() >= most;
                            !full
                        });
                        if full {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Returns the text of `ids`, special tokens included. Ids that do not exist are left out; bytes that are not UTF-8
    /// become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let tokens = ids.iter().map(|&id| (self.model.vocab.bytes(id), self.special.contains(&id)));
        let bytes = self.spelling.join(tokens.filter(|(bytes, _)| !bytes.is_empty()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Appends the bytes that a token stands for.
    fn write(&self, id: u32, out: &mut Vec<u8>) {
        self.spelling.write(self.model.vocab.bytes(id), self.special.contains(&id), out);
    }

    /// Returns one more than the largest token id.
    pub fn vocab(&self) -> usize {
        self.model.vocab.len()
    }

    /// Returns the token that begins a text, if the model has one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Returns the tokens that end an answer, ascending: EOS, end of turn, and those of `generation_config.json`.
    pub fn stop_tokens(&self) -> &[u32] {
        &self.stops
    }

    /// Returns whether `id` is a special token, one that never stands for text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.contains(&id)
    }

    /// Returns a decoder for tokens that arrive one by one.
    pub fn stream(&self) -> Stream {
        Stream::default()
    }

    /// Returns the chat template, if the model has one.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }
}

/// Turns tokens into text one by one, never showing half a character.
///
/// Special tokens are left out. A leading space is kept: the text continues the prompt.
#[derive(Debug, Default, Clone)]
pub struct Stream {
    /// The beginning of a character whose other bytes have not come yet.
    held: Vec<u8>,
}

impl Stream {
    /// Returns the text that is complete now that `id` has come: often one word, sometimes nothing.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        if !tokenizer.is_special(id) {
            tokenizer.write(id, &mut self.held);
        }
        let mut text = String::new();
        loop {
            let (valid, broken) = match std::str::from_utf8(&self.held) {
                Ok(all) => (all.len(), Some(0)),
                Err(e) => (e.valid_up_to(), e.error_len()),
            };
            text.push_str(&String::from_utf8_lossy(&self.held[..valid]));
            self.held.drain(..valid);
            match broken {
                // Complete, or a character that may still be completed.
                Some(0) | None => return text,
                // No later byte can make this valid.
                Some(length) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.held.drain(..length);
                }
            }
        }
    }

    /// Returns the text that is left at the end: U+FFFD for a character that was never completed, or nothing.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}
