//! Names of types: one meaning each.

use super::code::{code, without_tests};
use std::collections::BTreeMap;

/// Names that several types have still. An entry goes once one type has the name.
pub const SHARED: [&str; 0] = [];

/// The name of the type that a line declares for more than its own module.
fn declared(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = if rest.starts_with('(') { rest.split_once(')')?.1 } else { rest };
    let mut words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    let kind = words.next()?;
    ["struct", "enum", "union", "trait", "type"].contains(&kind).then(|| words.next()).flatten()
}

/// Names that more than one type of src has, but for those that are `shared` still; and shared ones that are no more.
pub fn repeated<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>, shared: &[&str]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in files.into_iter().filter(|(path, _)| path.starts_with("src/") && path.ends_with(".rs")) {
        let code = without_tests(&code(text));
        for (i, name) in code.lines().enumerate().filter_map(|(i, line)| Some((i, declared(line)?))) {
            places.entry(name.to_string()).or_default().push(format!("{path}:{}", i + 1));
        }
    }
    places.retain(|_, places| places.len() > 1);
    let several = places.iter().filter(|(name, _)| !shared.contains(&name.as_str()));
    let several = several.map(|(name, places)| format!("several types are named {name}: {}", places.join(", ")));
    let single = shared.iter().filter(|name| !places.contains_key(**name));
    several.chain(single.map(|name| format!("one type alone is named {name}: take it from the list"))).collect()
}
