//! Every variant of every kernel in naga, natively and Firefox's shader compiler: valid, and the same on the Rust side.
//! (tests/tint.test.mjs asks Chromium's.) The checks themselves are checked at the end: what they look for is put in.

mod shaders {
    pub mod reflect;
}

use inkstone::gpu::{Access, Field, Kernel, Part, Tier, Variant};
use inkstone::ops::{KERNELS, parts};
use shaders::reflect::faults;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use support::{gpu, variants};

fn all() -> BTreeMap<String, Variant> {
    let gpus = gpu::with_every_variant();
    variants::variants(&gpus)
}

/// The stems of the .wgsl files of a folder, with their lines.
fn files(folder: &str) -> BTreeMap<String, usize> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "wgsl") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.insert(path.file_stem().unwrap().to_str().unwrap().to_string(), text.lines().count());
        }
    }
    found
}

fn names<'a>(of: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    of.into_iter().map(str::to_string).collect()
}

#[test]
fn every_variant_is_valid_and_is_what_the_rust_side_says() {
    let all = all();
    let mut failures = Vec::new();
    for (label, variant) in &all {
        failures.extend(faults(variant).into_iter().map(|f| format!("{label}: {f}")));
    }
    println!("{} variants", all.len());
    failures.dedup();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_file_is_listed_and_in_some_variant() {
    let all = all();
    let kernels = names(KERNELS.iter().map(|k| k.name));
    let listed = names(parts().iter().map(|p| p.name));
    assert_eq!(kernels.len(), KERNELS.len(), "no kernel is listed twice");
    assert_eq!(listed.len(), parts().len(), "no part is listed twice");
    assert_eq!(files("shaders").into_keys().collect::<BTreeSet<_>>(), kernels, "shaders/*.wgsl and KERNELS");
    assert_eq!(files("shaders/parts").into_keys().collect::<BTreeSet<_>>(), listed, "shaders/parts/*.wgsl and parts()");
    assert_eq!(names(all.values().map(|v| v.kernel.name)), kernels, "kernels in variants");
    assert_eq!(names(all.values().flat_map(|v| &v.parts).map(|p| p.name)), listed, "parts in variants");
}

/// Over budget: split it.
#[test]
fn files_stay_small() {
    for (folder, budget) in [("shaders", 200), ("shaders/parts", 120)] {
        for (stem, lines) in files(folder) {
            assert!(lines <= budget, "{folder}/{stem}.wgsl has {lines} lines; the budget is {budget}");
        }
    }
}

/// Every shader as it is written, by its path.
fn texts() -> Vec<(String, String)> {
    let paths = ["shaders", "shaders/parts"]
        .into_iter()
        .flat_map(|folder| files(folder).into_keys().map(move |stem| format!("{folder}/{stem}.wgsl")));
    let read = |path: String| {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).unwrap();
        (path, text)
    };
    paths.map(read).collect()
}

/// Natively wgpu is told that every loop ends.
#[test]
fn loops_count_to_a_bound() {
    /// What does not count up by something or halve.
    fn endless(text: &str) -> Vec<String> {
        let counts = |header: &str| {
            let step = header.rsplit(';').next().unwrap_or_default();
            ["++)", "--)"].iter().any(|s| step.contains(s))
                || ["+= ", "*= 2u", "/= 2u"].iter().any(|s| step.contains(s))
        };
        let bounded = |header: &str| header.split(';').nth(1).is_some_and(|c| ["<", ">"].iter().any(|s| c.contains(s)));
        let code = |line: &str| line.split("//").next().unwrap_or_default().trim().to_string();
        let words =
            |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "while" || w == "loop");
        let bad = |line: &str| {
            let headers: Vec<_> =
                line.match_indices("for (").map(|(at, _)| line[at..].split(" {").next().unwrap()).collect();
            words(line) || headers.iter().any(|h| !counts(h) || !bounded(h))
        };
        text.lines().map(code).filter(|line| bad(line)).collect()
    }
    for (path, text) in texts() {
        assert_eq!(endless(&text), Vec::<String>::new(), "{path}");
    }
    for bad in ["while x {", "loop {", "for (;;) {", "for (var i = 0u; ; i++) {", "for (; a < b; a = f(a)) {"] {
        assert_eq!(endless(bad), [bad], "found");
    }
    assert_eq!(endless("for (var i = 0u; i < n; i += 4u) { x += 1u; } // while"), Vec::<String>::new());
}

/// In Chromium on SwiftShader they keep what they were in the round before.
#[test]
fn variables_in_loops_begin_with_a_value() {
    fn bare(text: &str) -> Vec<&str> {
        let inner = |line: &&str| line.starts_with("        ");
        let bare = |line: &&str| line.split(';').any(|s| s.trim().starts_with("var ") && !s.contains('='));
        text.lines().filter(inner).filter(bare).collect()
    }
    for (path, text) in texts() {
        assert_eq!(bare(&text), Vec::<&str>::new(), "{path}");
    }
    let text =
        "    var a: u32;\n    for (var i = 0u; i < n; i++) {\n        var b = 0u; var c: S;\n        var d: u32 = 1u;";
    assert_eq!(bare(text), ["        var b = 0u; var c: S;"]);
}

#[test]
fn a_prologue_has_at_most_three_lines_and_the_files_follow_as_they_are() {
    for (label, variant) in all() {
        for web in [false, true] {
            let source = variant.source(web);
            let at =
                source.find(variant.kernel.source).unwrap_or_else(|| panic!("{label}: the kernel is not in its text"));
            let prologue = source[..at].lines().count();
            assert!(prologue <= 3, "{label}: {prologue} lines of prologue");
            let files = variant.kernel.source.to_string() + &variant.parts.iter().map(|p| p.source).collect::<String>();
            assert_eq!(source[at..], files, "{label}");
            let subgroups = source.contains("enable subgroups;");
            assert_eq!(subgroups, web && variant.tier() >= Tier::Subgroups, "{label}: what must be enabled");
            // A message about any line is sent to the file that holds it.
            let first = prologue + 1;
            assert_eq!(variant.locate(web, first), format!("{}.wgsl:1", variant.kernel.name), "{label}");
            let last = source.lines().count();
            let (file, text) = match variant.parts.last() {
                Some(part) => (format!("parts/{}.wgsl", part.name), part.source),
                None => (format!("{}.wgsl", variant.kernel.name), variant.kernel.source),
            };
            assert_eq!(variant.locate(web, last), format!("{file}:{}", text.lines().count()), "{label}");
        }
    }
}

/// Comments and indentation are for us, not for a download.
#[test]
fn kernels_hold_their_files_without_comments_line_by_line() {
    let kernels = KERNELS.iter().map(|k| ("shaders", k.name, k.source));
    for (folder, name, source) in kernels.chain(parts().iter().map(|p| ("shaders/parts", p.name, p.source))) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{name}.wgsl"));
        let file = std::fs::read_to_string(path).unwrap();
        let code = |line: &str| line.split("//").next().unwrap_or_default().trim().to_string();
        assert_eq!(
            source.lines().map(str::trim_end).collect::<Vec<_>>(),
            file.lines().map(code).collect::<Vec<_>>(),
            "{name}"
        );
        assert!(source.lines().all(|line| !line.starts_with(' ')), "{name}: indentation");
    }
}

#[test]
fn a_label_names_one_text() {
    let mut by_label: BTreeMap<String, (String, String)> = BTreeMap::new();
    for variant in [all(), all()].into_iter().flat_map(BTreeMap::into_values) {
        let now = (variant.source(true), format!("{:?}", variant.overrides));
        let before = by_label.entry(variant.label()).or_insert_with(|| now.clone());
        assert_eq!(*before, now, "{}: recorded twice, with two texts", variant.label());
    }
}

/// A kernel to spoil.
fn sound() -> Variant {
    const SOURCE: &str = "override N: u32 = 64u;
struct Params { rows: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;
var<workgroup> sums: array<f32, N>;
@compute @workgroup_size(N) fn main(@builtin(local_invocation_index) i: u32) {
    sums[i] = x[i] * p.scale;
    workgroupBarrier();
    if i < p.rows { y[i] = sums[N - 1u - i]; }
}
";
    spoiled(SOURCE, &[Access::Read, Access::Write], &[("rows", 0), ("scale", 4)], &[("N", 32.0)])
}

fn spoiled(text: &str, bindings: &[Access], fields: &[Field], overrides: &[(&'static str, f64)]) -> Variant {
    let kernel = Kernel {
        name: "spoiled",
        source: text.to_string().leak(),
        bindings: bindings.to_vec().leak(),
        fields: fields.to_vec().leak(),
    };
    Variant { overrides: overrides.to_vec(), ..Variant::new(Box::leak(Box::new(kernel))) }
}

#[test]
fn the_check_finds_what_is_wrong() {
    let good = sound();
    assert_eq!(faults(&good), Vec::<String>::new());
    let (text, bindings, fields, overrides) =
        (good.kernel.source, good.kernel.bindings, good.kernel.fields, &good.overrides[..]);
    let expect = |what: &str, variant: Variant, word: &str| {
        let found = faults(&variant);
        assert!(found.iter().any(|f| f.contains(word)), "{what}: expected `{word}` in {found:?}");
    };
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        spoiled(&text.replace(from, to), bindings, fields, overrides)
    };
    // The Rust side is wrong.
    let swapped: &[Field] = &[("scale", 0), ("rows", 4)];
    expect("fields swapped", spoiled(text, bindings, swapped, overrides), "Params");
    expect("a field renamed", spoiled(text, bindings, &[("row", 0), ("scale", 4)], overrides), "Params");
    expect("a field moved", spoiled(text, bindings, &[("rows", 0), ("scale", 8)], overrides), "Params");
    expect("a field less", spoiled(text, bindings, &fields[..1], overrides), "Params");
    expect("no fields", spoiled(text, bindings, &[], overrides), "Params");
    expect("accesses swapped", spoiled(text, &[Access::Write, Access::Read], fields, overrides), "bindings");
    expect("a binding less", spoiled(text, &bindings[..1], fields, overrides), "bindings");
    expect(
        "a binding more",
        spoiled(text, &[Access::Read, Access::Write, Access::Read], fields, overrides),
        "bindings",
    );
    expect("an override that is not there", spoiled(text, bindings, fields, &[("M", 1.0)]), "override M");
    expect("too many invocations", spoiled(text, bindings, fields, &[("N", 257.0)]), "invocations");
    // The WGSL is wrong.
    expect("fields swapped", changed("rows: u32, scale: f32", "scale: f32, rows: u32"), "Params");
    expect("another type's size", changed("rows: u32", "rows: vec2u"), "");
    expect("a binding twice", changed("@binding(1)", "@binding(0)"), "");
    expect("a binding moved", changed("@binding(1)", "@binding(2)"), "bindings");
    expect("a binding in another group", changed("@group(1)", "@group(2)"), "group 2");
    expect("a reserved word", spoiled(&text.replace("sums", "from"), bindings, fields, overrides), "reserved");
    expect("an unknown name", changed("sums[i] =", "sum[i] ="), "sum");
    expect("another type", changed("i < p.rows", "i < p.scale"), "");
    expect("no main", changed("fn main", "fn other"), "main");
    let greedy = changed("sums:", "more: array<f32, 4100>; var<workgroup> sums:").kernel.source;
    let greedy = greedy.replace("x[i] *", "more[i] *");
    expect("too much workgroup memory", spoiled(&greedy, bindings, fields, overrides), "workgroup memory");
    expect("subgroups unannounced", changed("x[i] * p.scale", "subgroupAdd(x[i])"), "");
    let part = Part { name: "wide", source: "fn wide(v: f32) -> f32 { return subgroupAdd(v); }\n", subgroups: true };
    let mut with_part = changed("x[i] * p.scale", "wide(x[i]) * p.scale");
    with_part.parts.push(Box::leak(Box::new(part)));
    assert_eq!(faults(&with_part), Vec::<String>::new(), "subgroups announced");
}
