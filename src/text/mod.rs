//! Text to tokens and back: tokenizers, chat templates, stop strings.
//!
//! [`Tokenizer`] reads a published `tokenizer.json` or the vocabulary inside a GGUF file, [`Stream`] turns tokens into
//! text without ever showing half a character, [`ChatTemplate`] renders a conversation, [`StopStrings`] finds its end.
//!
//! A text passes these stations: added tokens are found (`added`), the rest is normalized (`normalize`, `charsmap`) and
//! cut into pieces (`pretokenize`, with the patterns of `regex`), and each piece becomes tokens (`model`, by `bpe`,
//! `unigram` or `wordpiece`); for an encoder one text or two are framed by special tokens (`encoding`). `spelling` is
//! the way back. `from_json`, with `special_tokens`, and `from_gguf` read the stations from a file, as
//! `tokenizer_parts`.
//!
//! Image models read a [`WeightedPrompt`]: text with weights, cut into [`Chunk`]s by a [`ClipTokenizer`].

mod added;
mod bpe;
mod charsmap;
mod clip_tokenizer;
mod encoding;
mod from_gguf;
mod from_json;
mod model;
mod normalize;
mod piece_index;
mod pretokenize;
mod regex;
mod scripts;
mod special_tokens;
mod spelling;
mod stop_strings;
mod template;
mod tokenizer;
mod tokenizer_parts;
mod unigram;
mod vocab;
mod weighted_prompt;
mod wordpiece;

pub use clip_tokenizer::ClipTokenizer;
pub use encoding::{Encoding, Padding, Truncation, TruncationStrategy};
pub use stop_strings::StopStrings;
pub use template::ChatTemplate;
pub use tokenizer::{Stream, Tokenizer};
pub use weighted_prompt::{Chunk, WeightedPrompt, pad_chunks};
