//! The key-value part of a GGUF file, held compactly and read with conversion.

use crate::{Error, Result};
use std::collections::BTreeMap;

/// A metadata value. Arrays are typed, so that a vocabulary of 150,000 pieces stays compact.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the names are the GGUF format's own
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    String(String),
    Array(Array),
}

/// An array of metadata values, all of one type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the names are the GGUF format's own
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    Strings(Strings),
    Nested(Vec<Array>),
}

/// Many strings in one buffer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strings {
    text: String,
    /// Where each string ends in `text`; 32 bits suffice since a header is far shorter.
    ends: Vec<u32>,
}

impl Strings {
    /// Returns an empty list with room for `count` strings of `bytes` bytes together.
    pub(super) fn with_capacity(count: usize, bytes: usize) -> Self {
        Strings { text: String::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Appends a string.
    pub(super) fn push(&mut self, string: &str) {
        self.text.push_str(string);
        self.ends.push(u32::try_from(self.text.len()).expect("the strings of one header fit 32 bits"));
    }

    /// Returns how many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the string at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        Some(&self.text[start..end])
    }

    /// Returns all of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }
}

impl<S: AsRef<str>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut list = Strings::default();
        strings.into_iter().for_each(|s| list.push(s.as_ref()));
        list
    }
}

/// The key-value part of a GGUF file.
///
/// The getters convert between number types where the value fits, because writers differ in which they use. `Ok(None)`
/// means that the key is absent; a key that is there with an unfitting value is an [`Error::Format`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    file: String,
    values: BTreeMap<String, Value>,
}

/// Returns an iterator over the whole numbers of an array as `i128`, which holds every integer type; `None` for other
/// arrays.
fn integers(array: &Array) -> Option<Box<dyn Iterator<Item = i128> + '_>> {
    Some(match array {
        Array::U8(v) => Box::new(v.iter().map(|&x| x.into())),
        Array::I8(v) => Box::new(v.iter().map(|&x| x.into())),
        Array::U16(v) => Box::new(v.iter().map(|&x| x.into())),
        Array::I16(v) => Box::new(v.iter().map(|&x| x.into())),
        Array::U32(v) => Box::new(v.iter().map(|&x| x.into())),
        Array::I32(v) => Box::new(v.iter().map(|&x| x.into())),
        Array::U64(v) => Box::new(v.iter().map(|&x| x.into())),
        Array::I64(v) => Box::new(v.iter().map(|&x| x.into())),
        _ => return None,
    })
}

impl Value {
    fn integer(&self) -> Option<i128> {
        Some(match *self {
            Value::U8(x) => x.into(),
            Value::I8(x) => x.into(),
            Value::U16(x) => x.into(),
            Value::I16(x) => x.into(),
            Value::U32(x) => x.into(),
            Value::I32(x) => x.into(),
            Value::U64(x) => x.into(),
            Value::I64(x) => x.into(),
            _ => return None,
        })
    }

    fn float(&self) -> Option<f64> {
        match *self {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => self.integer().map(|x| x as f64),
        }
    }
}

impl Metadata {
    /// Makes metadata of `values`; `file` names their origin in errors.
    pub fn new(file: impl Into<String>, values: BTreeMap<String, Value>) -> Self {
        Metadata { file: file.into(), values }
    }

    /// Returns the file that these values came from, for errors.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Returns every key with its value, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// Returns the value under `key` as `read` sees it; `wanted` says in the error what that would have been.
    fn read<'a, T>(&'a self, key: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        let fit = || Error::format(&self.file, format!("metadata `{key}` is not {wanted}: the file is damaged"));
        read(value).map(Some).ok_or_else(fit)
    }

    /// Returns a whole number that 32 bits hold.
    pub fn u32(&self, key: &str) -> Result<Option<u32>> {
        self.read(key, "a whole number of 32 bits", |v| u32::try_from(v.integer()?).ok())
    }

    /// Returns a whole number that is not negative.
    pub fn u64(&self, key: &str) -> Result<Option<u64>> {
        self.read(key, "a whole number from zero up", |v| u64::try_from(v.integer()?).ok())
    }

    /// Returns a number, rounded to single precision.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        self.read(key, "a number", |v| Some(v.float()? as f32))
    }

    /// Returns a truth value, which some writers store as 0 or 1.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "a truth value", |v| match (v, v.integer()) {
            (Value::Bool(b), _) => Some(*b),
            (_, Some(n @ 0..=1)) => Some(n == 1),
            _ => None,
        })
    }

    /// Returns a string.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        self.read(key, "a string", |v| if let Value::String(s) = v { Some(s.as_str()) } else { None })
    }

    /// Returns an array of strings.
    pub fn strings(&self, key: &str) -> Result<Option<&Strings>> {
        self.read(key, "an array of strings", |v| if let Value::Array(Array::Strings(s)) = v { Some(s) } else { None })
    }

    /// Returns an array of numbers, each rounded to single precision.
    pub fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.read(key, "an array of numbers", |v| match v {
            Value::Array(Array::F32(v)) => Some(v.clone()),
            Value::Array(Array::F64(v)) => Some(v.iter().map(|&x| x as f32).collect()),
            Value::Array(a) => Some(integers(a)?.map(|x| x as f32).collect()),
            _ => None,
        })
    }

    /// Returns an array of whole numbers that 32 bits with a sign hold.
    pub fn i32s(&self, key: &str) -> Result<Option<Vec<i32>>> {
        self.read(key, "an array of whole numbers of 32 bits", |v| match v {
            Value::Array(Array::I32(v)) => Some(v.clone()),
            Value::Array(a) => integers(a)?.map(|x| i32::try_from(x).ok()).collect(),
            _ => None,
        })
    }

    /// Returns an array of whole numbers that 32 bits without a sign hold.
    pub fn u32s(&self, key: &str) -> Result<Option<Vec<u32>>> {
        self.read(key, "an array of whole numbers from zero up", |v| match v {
            Value::Array(Array::U32(v)) => Some(v.clone()),
            Value::Array(a) => integers(a)?.map(|x| u32::try_from(x).ok()).collect(),
            _ => None,
        })
    }

    /// Returns an array of truth values, which some writers store as 0 and 1.
    pub fn bools(&self, key: &str) -> Result<Option<Vec<bool>>> {
        self.read(key, "an array of truth values", |v| match v {
            Value::Array(Array::Bool(v)) => Some(v.clone()),
            Value::Array(a) => integers(a)?.map(|x| (0..=1).contains(&x).then_some(x == 1)).collect(),
            _ => None,
        })
    }
}
