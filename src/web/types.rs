//! The TypeScript side of what crosses the boundary, written from the Rust types: nothing is declared twice by hand.

#[path = "options.rs"]
#[expect(dead_code)] // what is read in browsers alone
mod options;

use crate::error::Error;
use crate::format::variants;
use crate::gpu::{Estimate, Tier};
use crate::image::{Autoencoder, ImageInfo, ImageOptions, ImageStep, Picture};
use crate::language::embedding::{EmbedOptions, EmbeddingInfo};
use crate::language::{GenerateOptions, GenerationResult, LanguageInfo};
use crate::probe::{Probe, Roofline, TuningResult};
use options::{Options, Report};
use std::collections::BTreeMap;
use ts_rs::{Config, TS, TypeVisitor};

/// Where the declarations are.
const FILE: &str = "www/src/internal/generated.ts";

/// The declarations so far, by name: ts-rs tells what a type is made of in an order that changes with each build.
struct Declarations {
    config: Config,
    types: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        let name = T::ident(&self.config);
        if T::output_path().is_none() || self.types.contains_key(&name) {
            return;
        }
        let declared = format!("\n{}export {}\n", T::docs().unwrap_or_default(), T::decl(&self.config));
        self.types.insert(name, laid_out(&declared));
        T::visit_dependencies(self);
    }
}

/// Puts fields and comments on lines of their own, indented, and comments of one line on one.
fn laid_out(declared: &str) -> String {
    let declared = declared.replace("/**\n * ", "/** ").replace(" = { ", " = {\n").replace(", };", ",\n};");
    let mut text = String::new();
    let mut inside = false;
    for line in declared.lines().map(str::trim_end) {
        inside &= line != "};";
        if line == " */" && !text.trim_end().ends_with("*/") && text.lines().last().is_some_and(|l| l.contains("/** "))
        {
            text.truncate(text.trim_end().len());
            text.push_str(" */\n");
            continue;
        }
        text.push_str(if inside && !line.is_empty() { "  " } else { "" });
        text.push_str(line);
        text.push('\n');
        inside |= line.ends_with(" = {");
    }
    text
}

fn declarations() -> String {
    let head = "// Written by `INKSTONE_WRITE=1 cargo test --lib types` from the Rust types: change those.\n";
    let codes = format!("{:?}", variants::names::<Error>());
    let codes = format!("/** The variants of Rust's `Error`. */\nexport const ERROR_CODES = {codes} as const;\n");
    let mut all = Declarations { config: Config::new().with_large_int("number"), types: BTreeMap::new() };
    all.visit::<Report>();
    all.visit::<Options>();
    all.visit::<GenerateOptions>();
    all.visit::<GenerationResult>();
    all.visit::<LanguageInfo>();
    all.visit::<EmbedOptions>();
    all.visit::<EmbeddingInfo>();
    all.visit::<ImageOptions>();
    all.visit::<ImageInfo>();
    all.visit::<ImageStep>();
    all.visit::<Picture>();
    all.visit::<Probe>();
    all.visit::<Roofline>();
    all.visit::<TuningResult>();
    all.visit::<Estimate>();
    let types: String = all.types.into_values().collect();
    [head, "\n", &codes, &types].concat()
}

#[test]
fn the_declarations_are_those_of_the_types() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let text = declarations();
    if std::env::var_os("INKSTONE_WRITE").is_some() {
        std::fs::write(&path, &text).expect("the checkout can be written to");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{FILE} is out of date: run INKSTONE_WRITE=1 cargo test --lib types");
}

/// Tests that one error of each kind says the name that serde, and so JavaScript, knows its variant by.
#[test]
fn codes_are_the_variants() {
    let text = String::new;
    let all = [
        Error::format("", ""),
        Error::Missing { tensor: text() },
        Error::Shape { tensor: text(), want: vec![], got: vec![] },
        Error::unsupported(""),
        Error::TooLarge { need: text(), have: text(), advice: text() },
        Error::gpu(""),
        Error::Fetch { url: text(), what: text() },
        Error::Cancelled,
    ];
    assert_eq!(all.map(|e| e.code()), variants::names::<Error>());
}

#[test]
fn an_option_that_is_wrong_is_named_with_what_it_may_be() {
    let read = |text: &str| Options::from_json(text);
    let wrong = |text: &str| {
        let error = read(text).expect_err(text);
        assert_eq!(error.code(), "Unsupported");
        error.to_string()
    };
    let options = read(r#"{"quantize":"auto","tier":"f16","family":null,"vae":"tiny","selfTest":false,"cache":true}"#);
    let options = options.expect("options");
    assert_eq!((options.quantize, options.tier, options.family), (None, Some(Tier::F16), None));
    assert_eq!((options.vae, options.self_test), (Some(Autoencoder::Tiny), Some(false)));
    assert!(
        wrong(r#"{"tier":"base","quantize":"q5"}"#).contains("(`quantize`: unknown name `q5`; known are none, q8, q4)")
    );
    assert!(wrong(r#"{"family":"voodoo"}"#).contains("software, generic, apple"));
    assert!(wrong(r#"{"contextLength":"long"}"#).contains("`contextLength`"));
}
