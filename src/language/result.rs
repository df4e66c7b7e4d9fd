//! The result of a generation.

use serde::Serialize;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum FinishReason {
    /// A stop token or stop string.
    Stop,
    /// `maxTokens`.
    Length,
    /// The caller.
    Abort,
    /// The context is full.
    Overflow,
}

/// How many tokens went in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that an earlier call had already processed.
    pub cached_tokens: usize,
    /// Tokens of the answer, a stop token not counted.
    pub completion_tokens: usize,
}

/// How long it took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Timings {
    /// Processing the prompt.
    pub prefill_ms: f64,
    /// Everything after the first token.
    pub decode_ms: f64,
    /// From the call to the first token.
    pub first_token_ms: f64,
    /// Tokens that came after the first, a stop token counted because its step took as long, by `decode_ms`. Zero if
    /// none did.
    pub tokens_per_second: f64,
}

/// A token and its log-probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Logprob {
    /// The token.
    pub token: u32,
    /// Natural logarithm of its probability, penalties and bias applied, temperature not.
    pub logprob: f32,
}

/// A token of the answer with its likeliest alternatives.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// Its log-probability.
    pub logprob: f32,
    /// The likeliest tokens at its place.
    pub top: Vec<Logprob>,
}

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct GenerationResult {
    /// The answer.
    pub text: String,
    /// The thought before it, of a model that thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Its tokens, a stop token not included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Counts.
    pub usage: Usage,
    /// Times.
    pub timings: Timings,
    /// Log-probabilities, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprob>>,
}
