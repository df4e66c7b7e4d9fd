//! From messages to a prompt.

use super::options::{GenerateOptions, OnOverflow};
use super::reasoning::OPEN;
use crate::text::Tokenizer;
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use web_time::{SystemTime, UNIX_EPOCH};

/// The prompt to answer: a string or a list of messages, as JSON.
pub(super) struct Prompt {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Whether the template left the model in the middle of thinking.
    pub thinking: bool,
}

impl Prompt {
    /// Makes tokens of `input`, at most `capacity - 1` of them, so that there is room for an answer.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it does not fit and `onOverflow` does not allow to shorten it; whatever the template
    /// says.
    pub fn new(t: &Tokenizer, input: &Value, o: &GenerateOptions, capacity: usize) -> Result<Self> {
        let most = match o.on_overflow {
            // A shift makes room while the answer grows.
            OnOverflow::Error | OnOverflow::Shift => capacity - 1,
            // Room for the answer, but never more than half the context for it.
            OnOverflow::TruncateOldest => {
                capacity - o.max_tokens.unwrap_or(capacity / 4).clamp(1, (capacity / 2).max(1))
            }
        };
        let mut messages = match input {
            Value::String(text) if o.raw || t.template().is_none() => {
                return Prompt { tokens: t.encode(text, true), thinking: false }.fitted(t.bos(), o, most, capacity);
            }
            Value::String(text) => vec![json!({ "role": "user", "content": text })],
            Value::Array(list) => list.iter().map(plain).collect::<Result<_>>()?,
            _ => return Err(Error::unsupported("the input is neither a string nor a list of messages")),
        };
        if messages.is_empty() {
            return Err(Error::unsupported("the list of messages is empty; give at least one message"));
        }
        loop {
            let prompt = render(t, &messages, o)?;
            // The oldest message that is not a system message goes first; the last one stays.
            let oldest = messages.iter().position(|m| m["role"] != "system");
            match oldest {
                Some(i)
                    if prompt.tokens.len() > most && o.on_overflow != OnOverflow::Error && i + 1 < messages.len() =>
                {
                    messages.remove(i);
                    // Many templates insist that a user speaks first.
                    while i + 1 < messages.len() && messages[i]["role"] != "user" {
                        messages.remove(i);
                    }
                }
                _ => return prompt.fitted(t.bos(), o, most, capacity),
            }
        }
    }

    fn fitted(mut self, bos: Option<u32>, o: &GenerateOptions, most: usize, capacity: usize) -> Result<Self> {
        if self.tokens.is_empty() {
            return Err(Error::unsupported("the prompt is empty; write something"));
        }
        if self.tokens.len() > most {
            if o.on_overflow == OnOverflow::Error {
                return Err(Error::TooLarge {
                    need: format!("a context of {} tokens", self.tokens.len() + 1),
                    have: format!("{capacity} tokens"),
                    advice: "shorten the prompt, load the model with a larger contextLength, or set onOverflow".into(),
                });
            }
            // Models need what a text begins with.
            let head = usize::from(most > 1 && bos.is_some() && self.tokens.first().copied() == bos);
            self.tokens.drain(head..head + self.tokens.len() - most);
        }
        Ok(self)
    }
}

/// Makes the content of a message one string: templates expect no parts.
fn plain(message: &Value) -> Result<Value> {
    let mut message = message.clone();
    let Some(fields) = message.as_object_mut() else {
        return Err(Error::unsupported("a message is not an object with role and content"));
    };
    if !fields.get("role").is_some_and(Value::is_string) {
        return Err(Error::unsupported("a message has no role; give \"system\", \"user\", \"assistant\" or \"tool\""));
    }
    match fields.get("content") {
        None | Some(Value::Null) => {
            fields.insert("content".into(), json!(""));
        }
        Some(Value::Array(parts)) => {
            let text = parts.iter().map(|p| match (&p["type"], &p["text"]) {
                (Value::String(kind), Value::String(text)) if kind == "text" => Ok(text.as_str()),
                _ => Err(Error::unsupported("a message has a part that is not text; this model reads only text")),
            });
            let text = text.collect::<Result<Vec<_>>>()?.concat();
            fields.insert("content".into(), json!(text));
        }
        Some(Value::String(_)) => {}
        Some(_) => return Err(Error::unsupported("a message's content is neither a string nor a list of parts")),
    }
    Ok(message)
}

fn render(t: &Tokenizer, messages: &[Value], o: &GenerateOptions) -> Result<Prompt> {
    let Some(template) = t.template() else {
        return Err(Error::unsupported(
            "this model has no chat template, so it cannot answer messages; give a string to continue, or an instruct model",
        ));
    };
    let mut extra = Map::new();
    if let Some(on) = o.reasoning {
        extra.insert("enable_thinking".into(), json!(on));
    }
    // For templates that state the date.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    extra.insert("now".into(), json!(now));
    let text = template.render(&Value::Array(messages.to_vec()), None, true, &extra)?;
    Ok(Prompt { tokens: t.encode_chat(&text), thinking: text.trim_end().ends_with(OPEN) })
}
