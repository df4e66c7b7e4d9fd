//! From messages to a prompt, and from an answer to its parts.

use super::options::{GenerateOptions, OnOverflow};
use crate::text::Tokenizer;
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use web_time::{SystemTime, UNIX_EPOCH};

/// What is answered: a string or a list of messages, as JSON.
pub(super) struct Prompt {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Whether the template left the model in the middle of thinking.
    pub thinking: bool,
}

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

impl Prompt {
    /// Tokens of `input`, at most `capacity - 1` of them, so that there is room for an answer.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it does not fit and `onOverflow` does not allow to shorten it; whatever the template says.
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

/// A message whose content is one string: templates expect no parts.
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

/// Separates what a model thought from what it answers, as the text arrives.
pub(super) struct Reasoning {
    thinking: bool,
    begun: bool,
    held: String,
    /// What was thought.
    pub thought: Option<String>,
    /// What was answered.
    pub text: String,
}

impl Reasoning {
    pub fn new(thinking: bool) -> Self {
        Reasoning {
            thinking,
            begun: thinking,
            held: String::new(),
            thought: thinking.then(String::new),
            text: String::new(),
        }
    }

    /// Takes more text; returns what may be shown: answer, thought.
    pub fn push(&mut self, more: &str) -> (String, String) {
        self.held.push_str(more);
        let mut shown = (String::new(), String::new());
        if !self.begun {
            let start = self.held.trim_start();
            if let Some(rest) = start.strip_prefix(OPEN) {
                self.held = rest.to_string();
                (self.begun, self.thinking, self.thought) = (true, true, Some(String::new()));
            } else if !OPEN.starts_with(start) {
                self.begun = true;
            } else {
                return shown;
            }
        }
        if self.thinking {
            let (thought, rest) = match self.held.split_once(CLOSE) {
                Some((thought, rest)) => {
                    self.thinking = false;
                    (thought.to_string(), rest.trim_start().to_string())
                }
                None => {
                    let keep = (1..CLOSE.len()).rev().find(|&n| self.held.ends_with(&CLOSE[..n])).unwrap_or(0);
                    let (thought, rest) = self.held.split_at(self.held.len() - keep);
                    (thought.to_string(), rest.to_string())
                }
            };
            self.thought.get_or_insert_default().push_str(&thought);
            (shown.1, self.held) = (thought, rest);
        }
        if !self.thinking {
            // White space between thought and answer belongs to neither.
            let lead = self.thought.is_some() && self.text.is_empty();
            let text = std::mem::take(&mut self.held);
            shown.0 = if lead { text.trim_start().to_string() } else { text };
            self.text.push_str(&shown.0);
        }
        shown
    }

    /// The end: what was held back is what it looks like.
    pub fn finish(&mut self) -> (String, String) {
        let rest = std::mem::take(&mut self.held);
        if self.thinking {
            self.thought.get_or_insert_default().push_str(&rest);
            (String::new(), rest)
        } else {
            self.text.push_str(&rest);
            (rest, String::new())
        }
    }
}
