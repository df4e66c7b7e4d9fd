//! The post-processor of a tokenizer file, and how it would have texts cut and padded.

use super::values::{count, damaged, id, list, unsupported};
use crate::Result;
use crate::text::encoding::{Framing, Padding, Slot, Truncation, TruncationStrategy};
use serde_json::Value;

/// Reads the post-processor; `None` if it adds nothing.
pub(super) fn framing(value: &Value) -> Result<Option<Framing>> {
    let one = |id: u32, type_id: u32| Slot::Special(vec![id], type_id);
    match value["type"].as_str() {
        // This one is about places in the text, not about tokens.
        None | Some("ByteLevel") => Ok(None),
        Some("Sequence") => {
            let mut found = None;
            for step in list(value, "processors")? {
                match (framing(step)?, &found) {
                    (Some(_), Some(_)) => return Err(unsupported("post-processor", "Sequence of several templates")),
                    (Some(new), None) => found = Some(new),
                    (None, _) => {}
                }
            }
            Ok(found)
        }
        Some("TemplateProcessing") => {
            let single = template(value, "single")?;
            // Old files, and some made by hand, have no template for pairs.
            let pair = if value["pair"].is_null() { Framing::default().pair } else { template(value, "pair")? };
            Ok(Some(Framing { single, pair }))
        }
        Some("BertProcessing") => {
            let (cls, sep) = (id(&value["cls"][1])?, id(&value["sep"][1])?);
            let single = vec![one(cls, 0), Slot::First(0), one(sep, 0)];
            let pair = [single.clone(), vec![Slot::Second(1), one(sep, 1)]].concat();
            Ok(Some(Framing { single, pair }))
        }
        Some("RobertaProcessing") => {
            let (cls, sep) = (id(&value["cls"][1])?, id(&value["sep"][1])?);
            let single = vec![one(cls, 0), Slot::First(0), one(sep, 0)];
            let pair = [single.clone(), vec![one(sep, 0), Slot::Second(0), one(sep, 0)]].concat();
            Ok(Some(Framing { single, pair }))
        }
        Some(other) => Err(unsupported("post-processor", other)),
    }
}

/// Reads the template under `key`.
fn template(value: &Value, key: &str) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    for item in list(value, key)? {
        // Format 2.0 writes `{"seq": "A", "type_id": 0}` and `{"ids": [1]}`.
        let (text, special) = (&item["Sequence"], &item["SpecialToken"]);
        let type_id = [text, special, item].into_iter().find(|v| v.is_object()).map_or(&Value::Null, |v| &v["type_id"]);
        let type_id = if type_id.is_null() { 0 } else { id(type_id)? };
        let ids = match special["id"].as_str() {
            Some(name) => &value["special_tokens"][name]["ids"],
            None => &item["ids"],
        };
        slots.push(match (text["id"].as_str().or(item["seq"].as_str()), ids.as_array()) {
            (Some("A"), _) => Slot::First(type_id),
            (Some("B"), _) => Slot::Second(type_id),
            (None, Some(ids)) => Slot::Special(ids.iter().map(id).collect::<Result<_>>()?, type_id),
            _ => return Err(damaged("a template has a part that is neither text nor a token with an id")),
        });
    }
    Ok(slots)
}

/// Reads how the file would have texts cut, if it says so.
pub(super) fn truncation(value: &Value) -> Result<Option<Truncation>> {
    if value.is_null() {
        return Ok(None);
    }
    let max_length = value["max_length"].as_u64().and_then(|length| usize::try_from(length).ok());
    let strategy = match value["strategy"].as_str() {
        None | Some("LongestFirst" | "longest_first") => TruncationStrategy::LongestFirst,
        Some("OnlyFirst" | "only_first") => TruncationStrategy::OnlyFirst,
        Some("OnlySecond" | "only_second") => TruncationStrategy::OnlySecond,
        Some(other) => return Err(unsupported("truncation", other)),
    };
    let max_length = max_length.ok_or_else(|| damaged("`truncation` has no `max_length`"))?;
    Ok(Some(Truncation { max_length, strategy, left: is_left(value) }))
}

/// Reads how the file would have texts padded, if it says so.
pub(super) fn padding(value: &Value) -> Result<Option<Padding>> {
    if value.is_null() {
        return Ok(None);
    }
    let number = |key: &str| if value[key].is_null() { Ok(0) } else { id(&value[key]) };
    Ok(Some(Padding {
        id: number("pad_id")?,
        type_id: number("pad_type_id")?,
        left: is_left(value),
        multiple: count(value, "pad_to_multiple_of"),
        fixed: value["strategy"]["Fixed"].as_u64().and_then(|length| usize::try_from(length).ok()),
    }))
}

fn is_left(value: &Value) -> bool {
    value["direction"].as_str().is_some_and(|direction| direction.eq_ignore_ascii_case("left"))
}
