//! Text to tokens and back: tokenizers, chat templates, stop strings.
//!
//! [`Tokenizer`] reads a published `tokenizer.json` or the vocabulary inside a GGUF file, [`Stream`] turns tokens into
//! text without ever showing half a character, [`ChatTemplate`] renders a conversation, [`StopStrings`] finds its end.
//!
//! A text passes these stations: added tokens are found (`added`), the rest is normalized and cut into pieces
//! (`steps`, with the patterns of `pattern`, `parse`, `compile` and `class`), and each piece becomes tokens (`model`, `vocab`).
//! `json`, with `config`, and `gguf` read the stations from a file.
//!
//! What picture models read is a [`Prompt`]: text with weights, cut into [`Chunk`]s by a [`ClipTokenizer`].

mod added;
mod class;
mod clip;
mod compile;
mod config;
mod gguf;
mod json;
mod model;
mod parse;
mod pattern;
mod prompt;
mod python;
mod steps;
mod stops;
mod template;
mod tokenizer;
mod vocab;

pub use clip::ClipTokenizer;
pub use prompt::{Chunk, Prompt, pad_chunks};
pub use stops::StopStrings;
pub use template::ChatTemplate;
pub use tokenizer::{Stream, Tokenizer};
