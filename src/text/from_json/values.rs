//! Reading the values of a tokenizer file, and what is said of wrong ones.

use crate::text::pretokenize::{Find, Matched, Splitter};
use crate::text::regex::Pattern;
use crate::{Error, Result};
use serde_json::Value;
use std::fmt;

/// The name of the file in errors.
pub(in crate::text) const FILE: &str = "tokenizer.json";

pub(super) fn unsupported(what: &str, kind: &str) -> Error {
    Error::unsupported(format!("tokenizer.json uses the {what} `{kind}`, which is not supported: use another model"))
}

pub(super) fn damaged(what: impl fmt::Display) -> Error {
    Error::format(FILE, format!("{what}: the file is damaged or of another format, download it again"))
}

/// Returns the string under `key`.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().ok_or_else(|| damaged(format!("`{key}` is missing in {}", value["type"])))
}

/// Returns the list under `key`.
pub(super) fn list<'v>(value: &'v Value, key: &str) -> Result<&'v [Value]> {
    let list = value[key].as_array().ok_or_else(|| damaged(format!("{} has no list `{key}`", value["type"])))?;
    Ok(list)
}

pub(super) fn flag(value: &Value, key: &str, default: bool) -> bool {
    value[key].as_bool().unwrap_or(default)
}

/// Returns the character under `key`.
pub(super) fn character(value: &Value, key: &str, default: char) -> char {
    value[key].as_str().and_then(|text| text.chars().next()).unwrap_or(default)
}

/// Returns the number under `key`, 0 if there is none.
pub(super) fn count(value: &Value, key: &str) -> usize {
    value[key].as_u64().map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// Returns the id of a token, or of a type of tokens.
pub(super) fn id(value: &Value) -> Result<u32> {
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| damaged("the post-processor names a token without an id"))
}

/// Compiles a pattern of a tokenizer file.
pub(in crate::text) fn pattern(source: &str) -> Result<Pattern> {
    let refuse = |why| Error::unsupported(format!("the tokenizer's pattern `{source}` {why}: it is not supported"));
    Pattern::new(source).map_err(refuse)
}

/// Reads `{"String": ..}`, `{"Regex": ..}` or, in old files, a bare string.
pub(super) fn find(value: &Value) -> Result<Find> {
    match (value["String"].as_str().or(value.as_str()), value["Regex"].as_str()) {
        (Some(literal), _) => Ok(Find::Literal(literal.into())),
        (None, Some(source)) => Ok(Find::Pattern(pattern(source)?)),
        _ => Err(damaged("a pattern is neither a string nor a regular expression")),
    }
}

/// Returns a splitter at the places where `source` matches.
pub(in crate::text) fn cut(source: &str, matched: Matched, invert: bool) -> Result<Splitter> {
    Ok(Splitter::Cut { find: Find::Pattern(pattern(source)?), matched, invert })
}
