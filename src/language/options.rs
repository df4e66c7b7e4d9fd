//! The options of a generation, checked.

use crate::format::{json::JsonObject, variants};
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One or several stop strings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Stop {
    /// None.
    #[default]
    None,
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Stop {
    /// Returns the strings that are not empty.
    pub fn strings(&self) -> Vec<String> {
        let all = match self {
            Stop::None => &[][..],
            Stop::One(s) => std::slice::from_ref(s),
            Stop::Many(many) => many,
        };
        all.iter().filter(|s| !s.is_empty()).cloned().collect()
    }
}

/// The way out when the context is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum OnOverflow {
    /// A prompt that does not fit is an error; an answer that does not ends with `"overflow"`.
    #[default]
    Error,
    /// The oldest messages (then the oldest tokens) of the prompt are left out; an answer still ends with `"overflow"`.
    TruncateOldest,
    /// As before, and a full context makes room by forgetting the older half of what follows its beginning.
    Shift,
}

/// Options of one generation, as in `GenerateOptions` of the JavaScript API.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct GenerateOptions {
    /// At most this many tokens; default: until the context is full.
    #[serde(deserialize_with = "count")]
    pub max_tokens: Option<usize>,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// Only the k likeliest; 0: all.
    pub top_k: u32,
    /// Only the likeliest that together have this probability.
    pub top_p: f32,
    /// Only those at least this fraction as likely as the likeliest.
    pub min_p: f32,
    /// Same seed, same tokens.
    pub seed: Option<u64>,
    /// Divides the logits of what was said (Keskar et al. 2019); 1: off.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of what was said in the answer.
    pub presence_penalty: f32,
    /// The same, times how often.
    pub frequency_penalty: f32,
    /// Added to the logits of these tokens.
    #[cfg_attr(test, ts(type = "Record<number, number>"))]
    pub logit_bias: BTreeMap<u32, f32>,
    /// Strings that end the answer and are not part of it.
    pub stop: Stop,
    /// Report each token's log-probability and those of this many alternatives.
    pub logprobs: Option<usize>,
    /// Continue a string as it stands, without the chat template.
    pub raw: bool,
    /// For templates that can think: whether to.
    pub reasoning: Option<bool>,
    /// Go on past stop tokens.
    pub ignore_eos: bool,
    /// When the context is full.
    #[serde(deserialize_with = "variants::read")]
    pub on_overflow: OnOverflow,
    /// Not supported yet: asking for it is an error, not a silent free text.
    #[cfg_attr(test, ts(skip))]
    pub tools: Option<serde_json::Value>,
    /// Not supported yet, likewise.
    #[cfg_attr(test, ts(skip))]
    pub response_format: Option<serde_json::Value>,
}

/// Reads a count that may be larger than 32 bits hold, for "no limit".
fn count<'de, D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Option<usize>, D::Error> {
    let n = Option::<u64>::deserialize(d)?;
    Ok(n.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions {
            max_tokens: None,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: None,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: BTreeMap::new(),
            stop: Stop::None,
            logprobs: None,
            raw: false,
            reasoning: None,
            ignore_eos: false,
            on_overflow: OnOverflow::Error,
            tools: None,
            response_format: None,
        }
    }
}

impl GenerateOptions {
    /// Reads options from their JSON form.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the option that is wrong.
    pub fn from_json(json: serde_json::Value) -> Result<Self> {
        let wrong = |what: &str| format!("an option of generate() is wrong ({what}); see GenerateOptions");
        let options: Self = JsonObject::options(&json.to_string(), wrong)?;
        options.check()?;
        Ok(options)
    }

    /// Checks that every number is one that sampling can use.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the option and its range.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("temperature", self.temperature, 0.0, 100.0),
            ("topP", self.top_p, 0.0, 1.0),
            ("minP", self.min_p, 0.0, 1.0),
            ("repetitionPenalty", self.repetition_penalty, 0.01, 100.0),
            ("presencePenalty", self.presence_penalty, -100.0, 100.0),
            ("frequencyPenalty", self.frequency_penalty, -100.0, 100.0),
        ];
        for (name, value, least, most) in ranges {
            // Written so that NaN fails.
            if !(least..=most).contains(&value) {
                return Err(Error::unsupported(format!("{name} is {value}; give a number from {least} to {most}")));
            }
        }
        if let Some((id, bias)) = self.logit_bias.iter().find(|(_, b)| !b.is_finite()) {
            return Err(Error::unsupported(format!("logitBias of token {id} is {bias}; give a finite number")));
        }
        if self.tools.as_ref().is_some_and(|t| t.as_array().is_none_or(|t| !t.is_empty())) {
            return Err(Error::unsupported("tools are not supported yet; describe them in the prompt"));
        }
        if self.response_format.is_some() {
            return Err(Error::unsupported("responseFormat is not supported yet; ask for the format in the prompt"));
        }
        Ok(())
    }

    /// Returns whether logits change before a token is picked.
    pub fn adjusts(&self) -> bool {
        self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
            || !self.logit_bias.is_empty()
    }
}
