//! Phrases and habits that no file has, and the registries that lock files name.

use super::code::{code, without_tests};

/// What may stand in no file: (phrase, why). Split, so that this file may stand.
const PHRASES: [(&str, &str); 6] = [
    (concat!("keep in ", "sync"), "a test compares, no comment promises"),
    (concat!("kept in ", "sync"), "a test compares, no comment promises"),
    (concat!("keep them in ", "sync"), "a test compares, no comment promises"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
];

pub fn phrases(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for (phrase, why) in PHRASES {
            if line.contains(phrase) {
                found.push(format!("{path}:{}: `{phrase}`: {why}", i + 1));
            }
        }
        let open = concat!("TO", "DO");
        if line.match_indices(open).any(|(at, _)| !line[at + open.len()..].starts_with('(')) && !path.ends_with(".lock")
        {
            found.push(format!("{path}:{}: say whose: {open}(name)", i + 1));
        }
    }
    found
}

/// What may not stand in code that people run: (what, why).
const HABITS: [(&str, &str); 7] = [
    (".unwrap()", "an error is handled, or `expect` says why there is none"),
    (".ok();", "an error is handled"),
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("dbg!", "remove it"),
    ("println!", "a library prints nothing"),
    ("unsafe ", "nothing here needs it, but for one place that says why"),
];

pub fn habits(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") || !path.ends_with(".rs") {
        return Vec::new();
    }
    let text = without_tests(&code(text));
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for (what, why) in HABITS {
            // A value that is passed on is not swallowed.
            let passed_on = what == ".ok();" && (line.contains(" = ") || line.trim_start().starts_with("return "));
            let justified = what == "unsafe " && path == "src/gpu/pipelines.rs" && text.matches(what).count() == 1;
            if line.contains(what) && !passed_on && !justified {
                found.push(format!("{path}:{}: `{}`: {why}", i + 1, what.trim()));
            }
        }
    }
    found
}

/// Lock files name the public registries and no other place.
pub fn sources(path: &str, text: &str) -> Vec<String> {
    let public = match path.rsplit('/').next() {
        Some("package-lock.json") => ["\"resolved\": \"https://registry.npmjs.org/", "\"resolved\": \""],
        Some("Cargo.lock") => ["source = \"registry+https://github.com/rust-lang/crates.io-index\"", "source = \""],
        _ => return Vec::new(),
    };
    let [good, any] = public;
    let lines = text.lines().enumerate().filter(|(_, l)| l.contains(any) && !l.contains(good));
    lines.map(|(i, l)| format!("{path}:{}: {}: not the public registry", i + 1, l.trim())).collect()
}
