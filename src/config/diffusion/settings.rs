//! Settings of image models, as Python's programs write them into JSON files.

use crate::format::json::{JsonObject, replaced, unplaced};
use crate::format::variants;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Bytes of a value that is compared with the one it must have: no such value is longer.
const LONGEST: usize = 1024;

/// Numbers in settings of multistep solvers: wherever one may stand it means no bound, as `null` does.
const NO_BOUND: [(&str, &str); 3] = [("-Infinity", "null"), ("Infinity", "null"), ("NaN", "null")];

/// The settings of a file.
pub(super) struct Settings<'a> {
    object: JsonObject,
    file: &'a str,
}

impl<'a> Settings<'a> {
    /// Reads the text of `file`.
    ///
    /// [`Error::Format`] for what is not a JSON object.
    pub fn parse(text: &[u8], file: &'a str) -> Result<Self> {
        Ok(Settings { object: JsonObject::parse(&replaced(text, &NO_BOUND), file)?, file })
    }

    /// Returns the name that errors begin with.
    pub fn file(&self) -> &'a str {
        self.file
    }

    /// Reads all that is not null as a `T`, whose fields have defaults.
    ///
    /// [`Error::Format`] for a value of another kind, [`Error::Unsupported`] for a name that `T` does not know.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.object.read(false).map_err(|(key, e)| self.wrong(key, &e))
    }

    /// Reads one value; `None` if it is null or absent.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.object.text(key) else { return Ok(None) };
        serde_json::from_slice(text.as_bytes()).map_err(|e| self.wrong(key, &e))
    }

    /// Returns whether a key is there with nothing under it.
    pub fn is_null(&self, key: &str) -> bool {
        self.object.text(key) == Some("null")
    }

    /// Lists the entries that hold a list of two strings, and the second of these.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, String)> {
        let second = |text: &str| match &serde_json::from_slice::<Vec<String>>(text.as_bytes()).ok()?[..] {
            [_, second] => Some(second.clone()),
            _ => None,
        };
        self.object.entries().filter_map(move |(key, text)| Some((key, second(text)?)))
    }

    fn wrong(&self, key: &str, e: &serde_json::Error) -> Error {
        let (file, what) = (self.file, e.to_string());
        let what = unplaced(&what);
        match what.starts_with(variants::UNKNOWN) {
            true => Error::unsupported(format!("{file}: `{key}` is not supported ({what}); choose another model")),
            false => Error::format(file, format!("`{key}` is wrong ({what}): the file is damaged, download it again")),
        }
    }

    /// Returns the [`Error::Unsupported`] for a value that is not `plain`.
    pub fn unsupported(&self, key: &str, plain: &str) -> Error {
        let (file, found) = (self.file, self.short(key).map_or("a long list".into(), |value| show(&value)));
        let instead = if plain == "null" { "leaves it out".to_string() } else { format!("has `{plain}`") };
        Error::unsupported(format!("{file}: `{key}` {found} is not supported; choose a model that {instead}"))
    }

    /// Fails with [`Error::Unsupported`] if one of the keys says something else than the value beside it, which is what
    /// it means to leave it out (`null` allows nothing).
    pub fn refuse(&self, plain: &[(&str, &str)]) -> Result<()> {
        for (key, plain) in plain {
            if self.object.text(key).is_some() && !self.short(key).is_some_and(|value| is_plain(&value, plain)) {
                return Err(self.unsupported(key, plain));
            }
        }
        Ok(())
    }

    /// Returns a value in full; `None` if it is longer or deeper than any that is compared.
    fn short(&self, key: &str) -> Option<Value> {
        let text = self.object.text(key).filter(|text| text.len() <= LONGEST)?;
        serde_json::from_slice(text.as_bytes()).ok()
    }
}

/// Writes a value as a person would.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // 1.0 is 1.
        Value::Number(n) => n.as_f64().unwrap_or(f64::NAN).to_string(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => other.to_string(),
    }
}

/// Returns whether a value says no more than `plain`: a list, if each of its values does; an object, if it is empty.
fn is_plain(value: &Value, plain: &str) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.iter().all(|v| is_plain(v, plain)),
        other => show(other) == plain,
    }
}
