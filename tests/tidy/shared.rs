//! The tests' own crate holds what several of them use, and nothing else.

use super::code::{code, without_tests, words};
use std::collections::BTreeSet;

/// The folder of the crate.
const CRATE: &str = "tests/support/";

/// The name of the function or constant that a line offers to other crates. Types come with their functions.
fn offered(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let mut words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    let mut kind = words.next()?;
    let mut name = words.next()?;
    if kind == "const" && name == "fn" {
        (kind, name) = (name, words.next()?);
    }
    ["fn", "const"].contains(&kind).then_some(name)
}

/// What the crate offers although no other file of tests, benchmarks or examples says its name.
pub fn unused<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<String> {
    let rust = files.into_iter().filter(|(path, _)| {
        ["tests/", "benches/", "examples/"].iter().any(|folder| path.starts_with(folder)) && path.ends_with(".rs")
    });
    let files: Vec<(&str, String)> = rust.map(|(path, text)| (path, code(text))).collect();
    let said: Vec<BTreeSet<&str>> = files.iter().map(|(_, code)| words(code).map(|(_, word)| word).collect()).collect();
    let mut found = Vec::new();
    for (at, (path, code)) in files.iter().enumerate().filter(|(_, (path, _))| path.starts_with(CRATE)) {
        for (i, line) in without_tests(code).lines().enumerate() {
            let Some(name) = offered(line) else { continue };
            if !said.iter().enumerate().any(|(other, said)| other != at && said.contains(name)) {
                found.push(format!("{path}:{}: no other file uses {name}", i + 1));
            }
        }
    }
    found
}
