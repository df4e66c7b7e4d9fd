//! Reading JSON that came from elsewhere.

use super::impostor;
use crate::{Error, Result};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::de::SliceRead;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};
use std::{fmt, marker::PhantomData};

/// Parses `text` as a `T`, which is made of an object; `file` names it in the error.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], file: &str) -> Result<T> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut whole = serde_json::Deserializer::new(SliceRead::new(text));
    let read = T::deserialize(Whole(&mut whole)).and_then(|read| whole.end().map(|()| read));
    read.map_err(|e| impostor(text, file).unwrap_or_else(|| damaged(file, &e)))
}

/// Returns `text` with something else in the place of each of these numbers, which Python writes though they are no
/// JSON: `Infinity`, say.
pub(crate) fn replaced<'t>(text: &'t [u8], numbers: &[(&str, &str)]) -> Cow<'t, [u8]> {
    let (mut out, mut copied, mut at, mut quoted) = (Vec::new(), 0, 0, false);
    while at < text.len() {
        let number = numbers.iter().find(|(number, _)| !quoted && text[at..].starts_with(number.as_bytes()));
        if let Some((number, instead)) = number {
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(instead.as_bytes());
            at += number.len();
            copied = at;
            continue;
        }
        match text[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return text.into();
    }
    out.extend_from_slice(&text[copied..]);
    out.into()
}

fn damaged(file: &str, e: &serde_json::Error) -> Error {
    Error::format(file, format!("this JSON cannot be used ({e}): the file is damaged or incomplete"))
}

/// A text whose structs are objects: without this, serde has code for each that reads it from a list, too.
struct Whole<'a, 'de>(&'a mut serde_json::Deserializer<SliceRead<'de>>);

impl<'de> Deserializer<'de> for Whole<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A JSON object with its values as text: only those that somebody asks for take more memory than that. Of two equal
/// keys the last counts, as in Python and JavaScript.
pub(crate) struct JsonObject(BTreeMap<String, Box<RawValue>>);

impl JsonObject {
    /// Reads the options of a call, given as JSON; `wrong` makes a sentence of what is wrong with which.
    ///
    /// [`Error::Unsupported`].
    pub fn options<T: DeserializeOwned>(text: &str, wrong: impl Fn(&str) -> String) -> Result<T> {
        let all: serde_json::Result<JsonObject> = serde_json::from_slice(text.as_bytes()).map(JsonObject);
        let all = all.map_err(|e| Error::unsupported(wrong(&e.to_string())))?;
        all.read(true).map_err(|(key, e)| {
            let what = e.to_string();
            Error::unsupported(wrong(&format!("`{key}`: {}", unplaced(&what))))
        })
    }

    /// Reads the text of `file`.
    ///
    /// [`Error::Format`] for what is not a JSON object.
    pub fn parse(text: &[u8], file: &str) -> Result<Self> {
        let object = JsonObject(parse(text, file)?);
        // As text a number may also be one that no f64 holds.
        for text in object.0.values().map(|value| value.get()) {
            if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                serde_json::from_slice::<f64>(text.as_bytes()).map_err(|e| damaged(file, &e))?;
            }
        }
        Ok(object)
    }

    /// Returns the text of a value.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.get())
    }

    /// Lists keys and the texts of their values, sorted.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.get()))
    }

    /// Reads it as a `T`, with or without what is null; an error comes with the name of the field that it is about.
    pub fn read<T: DeserializeOwned>(&self, nulls: bool) -> std::result::Result<T, (&str, serde_json::Error)> {
        let mut reading = Reading { rest: self.0.iter(), at: ("", "null"), nulls };
        let read = T::deserialize(MapAccessDeserializer::new(&mut reading));
        read.map_err(|e| (reading.at.0, e))
    }
}

/// Returns what an error says, without line and column: they mean nothing to who has the whole text or none.
pub(crate) fn unplaced(what: &str) -> &str {
    what.split(" at line ").next().unwrap_or_default()
}

/// An object's entries while they are read.
struct Reading<'a> {
    rest: btree_map::Iter<'a, String, Box<RawValue>>,
    at: (&'a str, &'a str),
    nulls: bool,
}

impl<'de> MapAccess<'de> for &mut Reading<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> serde_json::Result<Option<K::Value>> {
        for (key, value) in self.rest.by_ref() {
            if self.nulls || value.get() != "null" {
                self.at = (key, value.get());
                return seed.deserialize(StrDeserializer::new(key)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> serde_json::Result<V::Value> {
        seed.deserialize(&mut serde_json::Deserializer::new(SliceRead::new(self.at.1.as_bytes())))
    }
}

/// One value, or a list of them.
pub(crate) struct OneOrMore<T> {
    pub is_one: bool,
    pub all: Vec<T>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(d)?;
        let text = value.get().as_bytes();
        let is_one = !text.starts_with(b"[");
        let all = if is_one { serde_json::from_slice(text).map(|one| vec![one]) } else { serde_json::from_slice(text) };
        Ok(OneOrMore { is_one, all: all.map_err(D::Error::custom)? })
    }
}

/// A JSON object as its entries in order; a key that comes twice is there twice, so that it can be refused.
pub(crate) struct Entries<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Entries<T>, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        d.deserialize_map(Visit(PhantomData))
    }
}
