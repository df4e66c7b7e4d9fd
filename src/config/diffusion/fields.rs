//! Settings of image models as JSON has them, read key by key: much less code than a struct for each class.

use crate::format::json::{self, Entries};
use crate::{Error, Result};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;

/// No list of a configuration is longer; the rest of one that is would only take memory.
const LONGEST: usize = 4096;
/// No count of a configuration is larger.
const LARGEST: f64 = (1u64 << 30) as f64;

/// What configurations are made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    /// An object with so many entries, or a list that is too long.
    Other(usize),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Value;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> std::result::Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, v: bool) -> std::result::Result<Value, E> {
                Ok(Value::Flag(v))
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Value, E> {
                Ok(Value::Number(v as f64))
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Value, E> {
                Ok(Value::Number(v as f64))
            }

            fn visit_f64<E>(self, v: f64) -> std::result::Result<Value, E> {
                Ok(Value::Number(v))
            }

            fn visit_str<E>(self, v: &str) -> std::result::Result<Value, E> {
                Ok(Value::Text(v.to_string()))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> std::result::Result<Value, S::Error> {
                let mut list = Vec::new();
                while list.len() < LONGEST {
                    match seq.next_element()? {
                        Some(value) => list.push(value),
                        None => return Ok(Value::List(list)),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other(LONGEST))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Value, M::Error> {
                let mut n = 0;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    n += 1;
                }
                Ok(Value::Other(n))
            }
        }
        d.deserialize_any(Visit)
    }
}

impl Value {
    /// As a person would write it.
    fn show(&self) -> Cow<'_, str> {
        match self {
            Value::Null => "null".into(),
            Value::Flag(v) => if *v { "true" } else { "false" }.into(),
            Value::Number(v) => v.to_string().into(),
            Value::Text(v) => v.as_str().into(),
            Value::List(_) => "a list".into(),
            Value::Other(_) => "an object".into(),
        }
    }

    /// Whether it says no more than `plain` does: a list, if each of its values does; an object, if it is empty.
    fn is_plain(&self, plain: &str) -> bool {
        match self {
            Value::Null | Value::Other(0) => true,
            Value::List(list) => list.iter().all(|v| v.is_plain(plain)),
            other => other.show() == plain,
        }
    }

    fn count(&self) -> Option<usize> {
        match self {
            Value::Number(n) if (0.0..=LARGEST).contains(n) && n.fract() == 0.0 => Some(*n as usize),
            _ => None,
        }
    }
}

/// A configuration: keys and values. Of a key that comes twice the last counts, as in Python.
pub(super) struct Fields<'a> {
    entries: Vec<(String, Value)>,
    file: &'a str,
}

impl<'a> Fields<'a> {
    /// Of the text of `file`.
    pub fn parse(text: &[u8], file: &'a str) -> Result<Self> {
        let Entries(entries) = json::parse(&without_infinities(text), file)?;
        Ok(Fields { entries, file })
    }

    /// The name that errors begin with.
    pub fn file(&self) -> &'a str {
        self.file
    }

    /// Everything, in the order written.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// What stands under `key`, even if it is null.
    pub fn given(&self, key: &str) -> Option<&Value> {
        self.entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// What stands under `key`, unless that is null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.given(key).filter(|v| **v != Value::Null)
    }

    fn read<'s, T>(&'s self, key: &str, wanted: &str, read: impl Fn(&'s Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let error = || {
            let found = value.show();
            Error::format(
                self.file,
                format!("`{key}` is {found}, not {wanted}: the file is damaged, download it again"),
            )
        };
        read(value).map(Some).ok_or_else(error)
    }

    /// A whole number from zero up.
    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        self.read(key, "a whole number", Value::count)
    }

    /// A number.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.read(key, "a number", |v| if let Value::Number(n) = v { Some(*n) } else { None })
    }

    /// A truth value.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "true or false", |v| if let Value::Flag(b) = v { Some(*b) } else { None })
    }

    /// A string.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.read(key, "a string", |v| if let Value::Text(s) = v { Some(s.as_str()) } else { None })
    }

    /// A list of strings.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        fn text(v: &Value) -> Option<&str> {
            if let Value::Text(s) = v { Some(s) } else { None }
        }
        self.read(key, "a list of strings", |v| match v {
            Value::List(list) => list.iter().map(text).collect(),
            _ => None,
        })
    }

    /// A list of numbers.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        let number = |v: &Value| if let Value::Number(n) = v { Some(*n) } else { None };
        self.read(key, "a list of numbers", |v| match v {
            Value::List(list) => list.iter().map(number).collect(),
            _ => None,
        })
    }

    /// A list of counts.
    pub fn counts(&self, key: &str) -> Result<Option<Vec<usize>>> {
        self.read(key, "a list of whole numbers", |v| match v {
            Value::List(list) => list.iter().map(Value::count).collect(),
            _ => None,
        })
    }

    /// A count for each of `n` blocks, given as a list of them or as one for all.
    ///
    /// [`Error::Format`] for a list of another length. A list within the list holds a count for each layer of a block;
    /// [`Error::Unsupported`] if they differ.
    pub fn each(&self, key: &str, n: usize, default: usize) -> Result<Vec<usize>> {
        let list = match self.get(key) {
            Some(Value::List(list)) => list,
            _ => return Ok(vec![self.count(key)?.unwrap_or(default); n]),
        };
        if list.len() != n {
            let what = format!("`{key}` has {} values for {n} blocks: the configuration is damaged", list.len());
            return Err(Error::format(self.file, what));
        }
        let block = |value: &Value| match value {
            Value::List(layers) if layers.windows(2).any(|w| w[0] != w[1]) => {
                Err(self.unsupported(key, value, "one each"))
            }
            Value::List(layers) => self.some(key, layers.first().and_then(Value::count)),
            value => self.some(key, value.count()),
        };
        list.iter().map(block).collect()
    }

    fn some(&self, key: &str, value: Option<usize>) -> Result<usize> {
        let what =
            || format!("`{key}` holds something that is no whole number: the file is damaged, download it again");
        value.ok_or_else(|| Error::format(self.file, what()))
    }

    fn unsupported(&self, key: &str, value: &Value, plain: &str) -> Error {
        let (file, found) = (self.file, value.show());
        let instead = if plain == "null" { "leaves it out".to_string() } else { format!("has `{plain}`") };
        Error::unsupported(format!("{file}: `{key}` {found} is not supported; choose a model that {instead}"))
    }

    /// [`Error::Unsupported`] if one of the keys says something else than the value beside it, which is what it means to
    /// leave it out (`null` allows nothing).
    pub fn refuse(&self, plain: &[(&str, &str)]) -> Result<()> {
        for (key, plain) in plain {
            match self.get(key) {
                Some(value) if !value.is_plain(plain) => return Err(self.unsupported(key, value, plain)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Python writes numbers that JSON has not, such as the `-Infinity` in settings of multistep solvers. Wherever one may
/// stand it means no bound, as `null` does.
fn without_infinities(text: &[u8]) -> Cow<'_, [u8]> {
    const NUMBERS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut plain = Vec::new();
    let (mut copied, mut at, mut quoted) = (0, 0, false);
    while at < text.len() {
        match text[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b'-' | b'I' | b'N' if !quoted => {
                if let Some(number) = NUMBERS.iter().find(|n| text[at..].starts_with(n)) {
                    plain.extend_from_slice(&text[copied..at]);
                    plain.extend_from_slice(b"null");
                    at += number.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return text.into();
    }
    plain.extend_from_slice(&text[copied..]);
    plain.into()
}
