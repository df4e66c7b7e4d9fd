//! Chat templates: Jinja as models publish it, rendered as `transformers` renders it.

mod python;

use crate::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value as Jinja, ValueKind};
use minijinja::{Environment, ErrorKind, Output, State};
use python::{Layout, Style};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The name of the template in errors.
const FILE: &str = "chat template";
/// The steps a template may take, far more than the longest conversation needs: a template is a program by a stranger.
const FUEL: u64 = 20_000_000;

/// The names under which a message's reasoning is passed; templates read the first.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// A model's chat template: it turns a conversation into a prompt.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    /// Sources by name; `default`, and perhaps `tool_use` for when there are tools.
    sources: BTreeMap<String, String>,
    /// Variables such as `bos_token`.
    names: Map<String, Value>,
}

impl ChatTemplate {
    /// Makes a template without a source yet; `names` are the special tokens it may use.
    pub(super) fn new(names: &Map<String, Value>) -> Self {
        ChatTemplate { sources: BTreeMap::new(), names: names.clone() }
    }

    /// Reads `chat_template` of `tokenizer_config.json`: a string, or a list of `{name, template}`.
    pub(super) fn from_config(value: &Value, names: &Map<String, Value>) -> Option<Self> {
        let mut template = ChatTemplate::new(names);
        if let Some(source) = value.as_str() {
            template.add("default", source);
        }
        for entry in value.as_array().into_iter().flatten() {
            if let (Some(name), Some(source)) = (entry["name"].as_str(), entry["template"].as_str()) {
                template.add(name, source);
            }
        }
        (!template.sources.is_empty()).then_some(template)
    }

    /// Adds the source of a named template.
    pub(super) fn add(&mut self, name: &str, source: &str) {
        self.sources.insert(name.into(), source.into());
    }

    /// Returns the template's text; the one for tools if `tools` and there is one.
    pub fn source(&self, tools: bool) -> &str {
        let named = |name: &str| self.sources.get(name);
        let chosen = if tools { named("tool_use") } else { None };
        chosen.or_else(|| named("default")).or_else(|| self.sources.values().next()).map_or("", String::as_str)
    }

    /// Renders the prompt for `messages`, a list of objects with `role` and `content`.
    ///
    /// `tools` is a list of function schemas. `add_generation_prompt` opens the assistant's turn. `extra` are further
    /// variables (`enable_thinking`, ...); of these, `now`, the local time in seconds since 1970, is what
    /// `strftime_now` writes: without it, templates find that function undefined.
    ///
    /// # Errors
    /// [`Error::Format`] with the template's own words if it refuses the conversation (`raise_exception`), or if it is
    /// damaged, or if `messages` is not a list of at least one object.
    pub fn render(
        &self,
        messages: &Value,
        tools: Option<&Value>,
        add_generation_prompt: bool,
        extra: &Map<String, Value>,
    ) -> Result<String> {
        let list = messages
            .as_array()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| Error::format("messages", "there is no message to answer: pass a list with at least one"))?;
        if list.iter().any(|message| !message.is_object()) {
            return Err(Error::format("messages", "a message is not an object: pass {role, content} for each"));
        }
        let mut variables: BTreeMap<&str, Jinja> =
            self.names.iter().chain(extra).map(|(name, value)| (name.as_str(), jinja(value))).collect();
        let list: Vec<Jinja> = list.iter().map(|message| jinja(&with_reasoning(message))).collect();
        variables.insert("messages", list.into());
        variables.insert("tools", jinja(tools.unwrap_or(&Value::Null)));
        variables.insert("documents", Jinja::from(()));
        variables.insert("add_generation_prompt", add_generation_prompt.into());
        let source = self.source(tools.is_some_and(|tools| !tools.is_null()));
        let source = without_generation_tags(source);
        environment(extra.get("now").and_then(Value::as_f64).map(|seconds| seconds as i64))
            .render_str(&source, Jinja::from_pairs(variables))
            .map_err(|e| {
                let what = match (e.kind(), e.detail()) {
                    // The template's own words.
                    (ErrorKind::InvalidOperation, Some(detail)) => detail.to_string(),
                    (ErrorKind::OutOfFuel, _) => "it does not come to an end: use another model or template".into(),
                    _ => format!("{e}: the template is damaged or uses what is not supported"),
                };
                Error::format(FILE, what)
            })
    }
}

/// Returns a JSON value as the template engine's.
pub(super) fn jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => list.iter().map(jinja).collect::<Vec<_>>().into(),
        Value::Object(pairs) => Jinja::from_pairs(pairs.iter().map(|(key, value)| (key.as_str(), jinja(value)))),
    }
}

/// Returns a message whose reasoning, under whatever name, is also under the name that templates read.
fn with_reasoning(message: &Value) -> Cow<'_, Value> {
    let found = REASONING.iter().filter_map(|&name| message.get(name)).find(|value| !value.is_null());
    let (Some(reasoning), Some(object)) = (found, message.as_object()) else { return Cow::Borrowed(message) };
    let mut object = object.clone();
    object.insert("reasoning_content".into(), reasoning.clone());
    object.entry("thinking").or_insert_with(|| reasoning.clone());
    Cow::Owned(Value::Object(object))
}

/// Replaces `{% generation %}` and `{% endgeneration %}`, which only matter for training, by a condition that always
/// holds.
fn without_generation_tags(source: &str) -> Cow<'_, str> {
    if !source.contains("generation") {
        return source.into();
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let Some(end) = rest[at..].find("%}").map(|end| at + end) else { break };
        let tag = &rest[at + 2..end];
        let word = match tag.trim_matches(['-', '+']).trim() {
            "generation" => Some(("generation", "if true")),
            "endgeneration" => Some(("endgeneration", "endif")),
            _ => None,
        };
        out.push_str(&rest[..at + 2]);
        match word {
            Some((word, instead)) => out.push_str(&tag.replace(word, instead)),
            None => out.push_str(tag),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.into()
}

fn invalid(what: impl Into<Cow<'static, str>>) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, what)
}

/// Sets Jinja up as `transformers` does.
fn environment(now: Option<i64>) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default());
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.set_formatter(print);
    env.add_filter("tojson", tojson);
    // Templates ask this of `tools` to see whether there are any; for Python, None is not iterable.
    env.add_test("iterable", |value: &Jinja| {
        use ValueKind::{Bytes, Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), Bytes | Iterable | Map | Seq | String | Undefined)
    });
    env.add_function("raise_exception", |message: Jinja| -> std::result::Result<Jinja, minijinja::Error> {
        Err(invalid(message.to_string()))
    });
    if let Some(now) = now {
        env.add_function("strftime_now", move |format: String| python::strftime(&format, now));
    }
    env
}

/// Prints lists, objects and numbers as Python does.
fn print(out: &mut Output, state: &mut State, value: &Jinja) -> std::result::Result<(), minijinja::Error> {
    match value.kind() {
        ValueKind::Map | ValueKind::Seq | ValueKind::Number => {
            let mut text = String::new();
            python::write(value, Style::Repr, &Layout::default(), 0, &mut text).map_err(invalid)?;
            out.write_str(&text).map_err(|_| invalid("the prompt cannot be written"))
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// Implements `tojson` with the options that `transformers` gives it.
fn tojson(value: &Jinja, indent: Option<Jinja>, options: Kwargs) -> std::result::Result<Jinja, minijinja::Error> {
    let indent = match indent {
        None => options.get::<Option<Jinja>>("indent")?,
        some => some,
    };
    let indent = indent.filter(|indent| !indent.is_none() && !indent.is_undefined());
    let indent = match indent.as_ref().map(|indent| (indent.as_str(), indent.as_usize())) {
        Some((Some(text), _)) => Some(text.to_string()),
        Some((None, Some(spaces))) => Some(" ".repeat(spaces.min(16))),
        _ => None,
    };
    let separators = options.get::<Option<Jinja>>("separators")?.filter(|s| s.len() == Some(2));
    let separators = separators.map(|pair| {
        let text = |i: usize| pair.get_item_by_index(i).map(|part| part.to_string()).unwrap_or_default();
        (text(0), text(1))
    });
    let sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    options.assert_all_used()?;
    let mut text = String::new();
    let layout = Layout { indent, separators, sort_keys, ascii };
    python::write(value, Style::Json, &layout, 0, &mut text).map_err(invalid)?;
    Ok(text.into())
}
