//! What the compiler does not check of ARCHITECTURE.md: the ladder and its invariants, budgets, habits. Each rule is a
//! function from a file's path and text to what is wrong with it, so that it is shown here to find what it should.

mod tidy {
    pub mod circles;
    pub mod code;
    pub mod docs;
    pub mod english;
    pub mod habits;
    pub mod names;
    pub mod shared;
}

use std::collections::BTreeMap;
use std::path::Path;
use tidy::circles::Modules;
use tidy::code::{code, imports, words};
use tidy::habits::{habits, phrases, sources};
use tidy::{docs, english, names, shared};

/// Every text file of the project by its path, but for what is made or fetched, and for golden data.
fn files() -> BTreeMap<String, String> {
    const SKIPPED: [&str; 10] =
        ["target", "dist", "node_modules", ".git", ".cache", "out", "test-results", "golden", "quants", "conformance"];
    const KINDS: [&str; 13] =
        ["rs", "wgsl", "ts", "js", "mjs", "md", "toml", "json", "html", "css", "py", "lock", "yml"];
    fn visit(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                // Golden data lie under tests; the recipes that make them are text like any other.
                let data = ["golden", "quants", "conformance"].contains(&name) && !path.starts_with(root.join("tests"));
                if !SKIPPED.contains(&name) || data {
                    visit(&path, root, found);
                }
            } else if path.extension().is_some_and(|e| KINDS.contains(&e.to_str().unwrap_or_default())) {
                // What is not UTF-8 is no text of ours.
                if let Ok(text) = std::fs::read_to_string(&path) {
                    found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_string(), text);
                }
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    visit(root, root, &mut found);
    assert!(found.len() > 100, "the project has more files than {}", found.len());
    found
}

/// Applies a rule to every file and fails with all that it finds.
fn hold(rule: impl Fn(&str, &str) -> Vec<String>) {
    let found: Vec<String> = files().iter().flat_map(|(path, text)| rule(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The ladder as src/lib.rs draws it: a rung's name and its floor. Those on one floor (`|`) are siblings.
fn rungs() -> Vec<(String, usize)> {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let drawn: Vec<&str> = lib.lines().filter(|l| l.starts_with("//!") && l.contains("  <  ")).collect();
    let [line] = drawn[..] else { panic!("src/lib.rs draws the ladder once, not {} times", drawn.len()) };
    let floors = line.trim_start_matches("//!").replace(" | ", "|");
    let floors = floors.split([' ', '<']).filter(|floor| !floor.is_empty()).enumerate();
    floors
        .flat_map(|(at, floor)| floor.split('|').map(move |rung| (rung.to_string(), at)).collect::<Vec<_>>())
        .collect()
}

/// The module of the crate that a file of src belongs to.
fn module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    inside.split('/').next()?.split('.').next()
}

/// A rung imports only itself and those to its left.
fn ladder(path: &str, text: &str, rungs: &[(String, usize)]) -> Vec<String> {
    let Some(here) = module(path).filter(|m| *m != "lib") else { return Vec::new() };
    let Some((_, place)) = rungs.iter().find(|r| r.0 == here) else {
        return vec![format!("{path}: {here} is not on the ladder that src/lib.rs draws")];
    };
    let text = code(text);
    let mut found = Vec::new();
    for (line, module) in imports(&text) {
        // The crate's root has the error type, and the macros that are written `crate::name!`.
        let module = if module == "Error" || module == "Result" { "error".to_string() } else { module };
        match rungs.iter().find(|r| r.0 == module) {
            Some((name, at)) if at < place || name == here => {}
            Some((_, at)) if at == place => {
                found.push(format!("{path}:{line}: {here} may not import {module}, which is its sibling"));
            }
            Some(_) => found.push(format!("{path}:{line}: {here} may not import {module}, which is to its right")),
            None => found.push(format!("{path}:{line}: crate::{module} is not a rung")),
        }
    }
    if text.contains("super::super") {
        found.push(format!("{path}: modules are named from the crate's root, not by super::super"));
    }
    found
}

/// Words that only some modules may say: (words, where, why).
const PRIVATE: [(&[&str], &[&str], &str); 2] = [
    (&["wgpu"], &["src/gpu/"], "only gpu names wgpu"),
    (
        &["wasm_bindgen", "wasm_bindgen_futures", "js_sys", "web_sys", "JsValue"],
        &["src/web/"],
        "only web names the browser's crates",
    ),
];

/// Words that a module may not say: (where, words, why).
const FOREIGN: [(&str, &[&str], &str); 1] = [(
    "src/models/",
    &["DType", "dtype", "ByteSource", "MemoryFiles", "DiskFiles", "LanguageFiles", "gguf", "safetensors", "fs", "u8"],
    "models never see bytes, files or dtypes",
)];

fn invariants(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") {
        return Vec::new();
    }
    let text = code(text);
    let mut found = Vec::new();
    for (line, word) in words(&text) {
        for (private, places, why) in PRIVATE {
            if private.contains(&word) && !places.iter().any(|p| path.starts_with(p)) {
                found.push(format!("{path}:{line}: {word}: {why}"));
            }
        }
        for (place, foreign, why) in FOREIGN {
            if path.starts_with(place) && foreign.contains(&word) {
                found.push(format!("{path}:{line}: {word}: {why}"));
            }
        }
    }
    found
}

/// The lines that a file should not exceed, by where it is. Over it: split, or say near the top why it is long.
const BUDGETS: [(&str, &str, usize); 7] = [
    ("src/models/", ".rs", 200),
    ("src/ops/", ".rs", 200),
    ("shaders/parts/", ".wgsl", 120),
    ("shaders/", ".wgsl", 200),
    ("src/", ".rs", 400),
    ("tests/", ".rs", 500),
    ("examples/", ".rs", 200),
];
/// How a file says why it is longer, in one of its first 40 lines.
const REASON: &str = "// Long because: ";

fn budgets(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let excused = |line: &str| line.trim().strip_prefix(REASON).is_some_and(|reason| reason.len() >= 20);
    match BUDGETS.iter().find(|(folder, end, _)| path.starts_with(folder) && path.ends_with(end)) {
        Some((_, _, budget)) if lines > *budget && !text.lines().take(40).any(excused) => {
            vec![format!("{path} has {lines} lines, over {budget}: split it, or begin with `{REASON}...`")]
        }
        _ => Vec::new(),
    }
}

#[test]
fn rungs_import_only_those_to_their_left() {
    let rungs = rungs();
    assert_eq!(rungs.first().map(|r| r.0.as_str()), Some("error"));
    assert!(rungs.contains(&("language".to_string(), 11)) && rungs.contains(&("image".to_string(), 11)), "{rungs:?}");
    hold(|path, text| ladder(path, text, &rungs));
}

/// Circles of files that are there still. An entry goes once its circle is broken.
const KNOWN_CIRCLES: [&[&str]; 0] = [];

#[test]
fn no_two_files_import_each_other() {
    let files = files();
    let modules = Modules::new(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let found = modules.circles(&KNOWN_CIRCLES);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn modules_say_only_what_they_may() {
    hold(invariants);
}

#[test]
fn documentation_is_in_plain_english() {
    hold(english::openings);
    hold(english::columns);
}

#[test]
fn types_have_names_of_their_own() {
    let files = files();
    let found = names::repeated(files.iter().map(|(path, text)| (path.as_str(), text.as_str())), &names::SHARED);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_stay_within_their_budgets() {
    let files = files();
    let rust: usize = files.iter().filter(|(p, _)| p.starts_with("src/")).map(|(_, t)| t.lines().count()).sum();
    let shaders: usize = files.iter().filter(|(p, _)| p.starts_with("shaders/")).map(|(_, t)| t.lines().count()).sum();
    println!("{rust} lines in src, {shaders} in shaders");
    hold(budgets);
}

#[test]
fn no_file_says_what_none_should() {
    hold(phrases);
}

#[test]
fn code_keeps_the_habits() {
    hold(habits);
}

#[test]
fn locks_name_public_registries_alone() {
    hold(sources);
}

/// The compiler warns of what a test binary does not use, but not of what a crate offers and nobody takes.
#[test]
fn what_tests_share_is_used() {
    let files = files();
    let found = shared::unused(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// `linear_vec` is tested in tests/ops/linear_vec.rs or in tests/ops/linear.rs.
#[test]
fn every_kernel_has_its_cases() {
    let files = files();
    for kernel in inkstone::ops::KERNELS {
        let stems = kernel.name.match_indices('_').map(|(at, _)| &kernel.name[..at]).chain([kernel.name]);
        let cases: Vec<&str> = stems.filter(|s| files.contains_key(&format!("tests/ops/{s}.rs"))).collect();
        assert!(!cases.is_empty(), "{} has no cases in tests/ops", kernel.name);
        let listed = cases.iter().any(|s| files["tests/ops.rs"].contains(&format!("    mod {s};\n")));
        assert!(listed, "tests/ops.rs runs none of {cases:?}");
    }
}

/// The table of slots names every kernel and every part.
#[test]
fn the_readme_of_shaders_names_them_all() {
    let readme = &files()["shaders/README.md"];
    for kernel in inkstone::ops::KERNELS {
        assert!(readme.contains(&format!("`{}`", kernel.name)), "shaders/README.md does not name {}", kernel.name);
    }
    for part in inkstone::ops::parts() {
        let named = [part.name, part.name.split('_').next().unwrap_or_default()];
        let named = named.iter().any(|n| readme.contains(&format!("`{n}`")) || readme.contains(&format!("`{n}_*`")));
        assert!(named, "shaders/README.md does not name {}", part.name);
    }
}

/// The documents: every Markdown file but the one about the past.
fn documents() -> BTreeMap<String, String> {
    files().into_iter().filter(|(path, _)| path.ends_with(".md") && path != "CHANGELOG.md").collect()
}

#[test]
fn documents_are_short_and_name_what_is_there() {
    let (root, documents) = (Path::new(env!("CARGO_MANIFEST_DIR")), documents());
    let lines = documents["ARCHITECTURE.md"].lines().count();
    println!("ARCHITECTURE.md has {lines} lines");
    assert!(lines <= docs::ARCHITECTURE_LINES, "ARCHITECTURE.md has {lines} lines");
    let missing = |(path, text): (&String, &String)| docs::missing_files(path, text, |file| root.join(file).exists());
    let found: Vec<String> = documents.iter().flat_map(missing).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// `git apply` would take them: whoever follows docs/ADDING_*.md begins with that.
#[test]
fn diffs_of_documents_still_apply() {
    let (root, documents) = (Path::new(env!("CARGO_MANIFEST_DIR")), documents());
    for name in ["docs/ADDING_AN_OP.md", "docs/ADDING_A_MODEL.md"] {
        assert!(documents[name].contains("```diff\ndiff --git"), "{name} has a diff");
    }
    let read = |file: &str| std::fs::read_to_string(root.join(file)).ok();
    let found: Vec<String> = documents.iter().flat_map(|(path, text)| docs::diffs(path, text, read)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_rules_find_what_they_should() {
    let order = rungs();
    let wrong = |found: Vec<String>, what: &str| assert!(!found.is_empty(), "not found: {what}");
    let right = |found: Vec<String>, what: &str| assert!(found.is_empty(), "{what}: {found:?}");
    for (path, text) in [
        ("src/format/gguf.rs", "use crate::gpu::Gpu;"),
        ("src/format/gguf.rs", "use crate::text::Tokenizer;"),
        ("src/gpu/plan.rs", "use crate::{Error, ops::Linear};"),
        ("src/gpu/plan.rs", "fn f() { crate::models::f() }"),
        ("src/models/x.rs", "use crate::{\n    Result,\n    language::{A, B},\n};"),
        ("src/image/x.rs", "use crate::language::LanguageModel;"),
        ("src/language/x.rs", "use crate::image::ImageModel;"),
        ("src/probe/x.rs", "use crate::language::LanguageModel;"),
        ("src/config/x.rs", "use crate::text::Tokenizer;"),
        ("src/shape.rs", "use crate::format::x;"),
        ("src/gpu/a.rs", "use super::super::web::x;"),
        ("src/tricks/a.rs", ""),
        ("src/ops/a.rs", "use crate::nowhere::x;"),
    ] {
        wrong(ladder(path, text, &order), text);
    }
    for (path, text) in [
        ("src/models/x.rs", "use crate::{Error, Result, load::{Part, Weights}, gpu::Gpu};"),
        ("src/text/x.rs", "// crate::gpu is far away\nuse crate::format::Metadata;\nconst X: &str = \"crate::gpu\";"),
        ("src/web/x.rs", "use crate::language::A;"),
        ("src/image/x.rs", "use crate::image::A;"),
        ("tests/x.rs", "use crate::web::A;"),
    ] {
        right(ladder(path, text, &order), text);
    }
    let modules = |files: &[(&'static str, &'static str)]| {
        Modules::new([("src/lib.rs", ""), ("src/a/mod.rs", "")].into_iter().chain(files.iter().copied()))
    };
    let circles = |files: &[(&'static str, &'static str)]| modules(files).circles(&[]);
    for files in [
        [("src/a/b.rs", "use super::c::C;"), ("src/a/c.rs", "use crate::a::b::B;")].as_slice(),
        &[("src/a/b.rs", "use crate::{Error, a::c::{self, C}};"), ("src/a/c.rs", "fn f() { super::b::f() }")],
        // By way of a re-export, and of a module that is named before its item.
        &[("src/a/mod.rs", "pub use b::B;"), ("src/a/b.rs", "use super::c;"), ("src/a/c.rs", "use crate::a::B;")],
        &[
            ("src/a/mod.rs", "pub use b::*;"),
            ("src/a/b.rs", "pub struct B(super::c::C);"),
            ("src/a/c.rs", "use super::B;"),
        ],
        &[
            ("src/a/mod.rs", "pub use b::B;"),
            ("src/a/b.rs", "use crate::d::D;"),
            ("src/d.rs", "use crate::a;\nfn f() { a::B }"),
        ],
        // A folder's own file uses its child, which uses what stands there.
        &[("src/a/mod.rs", "use b::B; pub struct A(B);"), ("src/a/b.rs", "use super::A;")],
        &[("src/a/mod.rs", "pub use b::B; pub struct A(B);"), ("src/a/b.rs", "use super::A;")],
        &[("src/d.rs", "use crate::b::B;"), ("src/b.rs", "use crate::c::C;"), ("src/c.rs", "use crate::d::D;")],
    ] {
        wrong(circles(files), &format!("{files:?}"));
    }
    for files in [
        [("src/a/b.rs", "use super::c::C;"), ("src/a/c.rs", "// use super::b::B;")].as_slice(),
        &[
            ("src/a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
            ("src/a/b.rs", "use super::C;"),
            ("src/a/c.rs", ""),
        ],
        &[("src/a/b.rs", "use super::c::C;"), ("src/a/c.rs", "#[cfg(test)]\nmod tests { use crate::a::b::B; }")],
        &[("src/a/b.rs", "use std::c::C; use d::E;"), ("src/c.rs", "use crate::a::b::B;")],
    ] {
        right(circles(files), &format!("{files:?}"));
    }
    let two = modules(&[("src/b.rs", "use crate::c::C;"), ("src/c.rs", "use crate::b::B;")]);
    right(two.circles(&[&["src/b.rs", "src/c.rs"]]), "a known circle");
    wrong(two.circles(&[&["src/b.rs", "src/c.rs"], &["src/b.rs", "src/d.rs"]]), "a known circle that is none");
    wrong(invariants("src/ops/x.rs", "let b: wgpu::Buffer = x;"), "wgpu outside gpu");
    wrong(invariants("src/language/x.rs", "use js_sys::Array;"), "JavaScript outside web");
    wrong(invariants("src/models/x.rs", "fn f(d: DType) {}"), "a dtype in a model");
    wrong(invariants("src/models/x.rs", "let f = std::fs::read(p);"), "a file in a model");
    right(invariants("src/gpu/x.rs", "use wgpu::Buffer;"), "wgpu in gpu");
    right(
        invariants("src/ops/x.rs", "//! wgpu\nlet s = \"wgpu\"; let c = '\"'; let r = r#\"wgpu\"#; /* wgpu */"),
        "no code",
    );
    wrong(budgets("src/models/x.rs", &"\n".repeat(201)), "a long model");
    right(budgets("src/load/x.rs", &"\n".repeat(400)), "a file at its budget");
    let long = |reason: &str| format!("//! A table.\n{REASON}{reason}\n{}", "\n".repeat(500));
    right(budgets("src/load/x.rs", &long("the table is one thing, and long.")), "a long file with its reason");
    wrong(budgets("src/load/x.rs", &long("it is.")), "a long file without a reason");
    for text in [
        "/// What it is.\nstruct A;",
        "//! What it does.",
        "    /// What it takes.\n    #[must_use]\n    pub fn f() {}",
        "/// The size.\npub fn f() {}",
        "/// The size.\n#[inline]\npub(super) async fn f() {}",
        "/// Size of it.\nconst unsafe fn f() {}",
    ] {
        wrong(english::openings("src/text/x.rs", text), text);
        right(english::openings("tests/x.rs", text), text);
    }
    for text in
        ["/// The size.\npub struct A;", "/// Returns the size.\n///\n/// What for.\nfn f() {}", "// What\nfn f() {}"]
    {
        right(english::openings("src/text/x.rs", text), text);
    }
    wrong(english::columns("src/text/x.rs", &format!("// {}", "x".repeat(118))), "a long comment");
    wrong(english::columns("src/text/x.rs", &"x".repeat(121)), "a long line");
    right(english::columns("src/text/x.rs", &format!("const X: &str = \"{}\";", "x".repeat(120))), "a long string");
    let named = |files: &[(&'static str, &'static str)]| names::repeated(files.iter().copied(), &["S"]);
    let shared = ("src/s.rs", "pub struct S;\nmod s {\n    pub enum S {}\n}");
    for text in ["pub struct A;", "pub(crate) enum A {}", "    pub trait A {}", "pub type A = B;"] {
        wrong(named(&[("src/a.rs", text), ("src/b/c.rs", "pub(super) struct A<T>(T);"), shared]), text);
    }
    right(
        named(&[("src/a.rs", "pub struct A;"), ("src/b.rs", "struct A;\n// pub struct A;"), shared]),
        "a private one",
    );
    wrong(named(&[("src/a.rs", "pub struct S;")]), "a shared name that is not");
    let used = |text: &'static str, by: &'static str| {
        shared::unused([("tests/support/a.rs", text), ("tests/support/b.rs", ""), ("tests/ops/c.rs", by)])
    };
    for text in
        ["pub fn one() {}\nfn f() { one() }", "impl A {\n    pub const fn one() {}\n}", "pub const ONE: u32 = 1;"]
    {
        wrong(used(text, "// one ONE"), text);
        right(used(text, "use support::a::{ONE, one};"), text);
    }
    right(used("pub mod one;\npub struct Two;\npub(super) fn two() {}\nfn three() {}", ""), "nothing for others");
    wrong(phrases("a.md", concat!("these are kept in ", "sync")), "a promise");
    wrong(phrases("a.json", concat!("see /wo", "rk/main")), "a path");
    wrong(phrases("a.rs", concat!("// TO", "DO: later")), "nobody's task");
    right(phrases("a.rs", concat!("// TO", "DO(ada): later")), "somebody's task");
    for what in ["x.unwrap()", "x.ok();", "todo!()", "unsafe { f() }"] {
        wrong(habits("src/x.rs", &format!("fn f() {{ {what} }}")), what);
        wrong(habits("src/x.rs", &format!("#[cfg(test)]\nmod tests {{ fn g() {{}} }}\nfn f() {{ {what} }}")), what);
        right(habits("src/x.rs", &format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{ fn f() {{ {what} }} }}")), what);
        right(habits("tests/x.rs", what), what);
        right(habits("src/x.rs", &format!("/// {what}\nconst X: &str = \"{what}\";")), what);
    }
    right(habits("src/gpu/pipelines.rs", "fn f() { unsafe { f() } }"), "the one place");
    wrong(habits("src/gpu/pipelines.rs", "fn f() { unsafe { f() } }\nfn g() { unsafe { f() } }"), "a second one");
    let read = |file: &str| (file == "src/a.rs").then(|| "one\ntwo\nthree\n".to_string());
    let diff = |body: &str| format!("```diff\ndiff --git a/src/{body}\n```\n");
    right(
        docs::diffs("a.md", &diff("a.rs b/src/a.rs\n@@ -2,2 +2,3 @@\n two\n+new\n three"), read),
        "a diff that applies",
    );
    right(docs::diffs("a.md", &diff("b.rs b/src/b.rs\nnew file mode 100644\n@@ -0,0 +1 @@\n+new"), read), "a new file");
    wrong(
        docs::diffs("a.md", &diff("a.rs b/src/a.rs\n@@ -1,2 +1,3 @@\n one\n+new\n three"), read),
        "lines that are gone",
    );
    wrong(docs::diffs("a.md", &diff("a.rs b/src/a.rs\n@@ -1,2 +1,2 @@\n one\n+new\n two"), read), "a wrong count");
    wrong(docs::diffs("a.md", &diff("b.rs b/src/b.rs\n@@ -1 +1,2 @@\n one\n+new"), read), "a file that is gone");
    wrong(
        docs::diffs("a.md", &diff("a.rs b/src/a.rs\nnew file mode\n@@ -0,0 +1 @@\n+new"), read),
        "a file that is there",
    );
    let exists = |file: &str| ["src", "src/a", "src/a/b.rs", "docs", "docs/c.md", "docs/./c.md"].contains(&file);
    for named in
        ["`src/a/b.rs`,", "`a/b.rs`", "[c](docs/c.md).", "`src/a/*.rs`", "https://x.org/a/c.rs", "/a/d.rs", "x/y.py"]
    {
        right(docs::missing_files("README.md", named, exists), named);
    }
    right(docs::missing_files("docs/d.md", "[c](./c.md)", exists), "beside it");
    for named in ["`src/a/c.rs`", "see a/c.rs.", "[c](docs/d.md)"] {
        wrong(docs::missing_files("README.md", named, exists), named);
    }
    wrong(sources("package-lock.json", "\"resolved\": \"https://mirror.example/a.tgz\""), "a mirror");
    wrong(sources("a/Cargo.lock", "source = \"registry+https://mirror.example/index\""), "a mirror");
    right(sources("package-lock.json", "\"resolved\": \"https://registry.npmjs.org/a.tgz\""), "the registry");
}
