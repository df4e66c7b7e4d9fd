//! Our tokenizers beside Hugging Face's `tokenizers`: what loading takes in time and memory, and how quick encoding is.
//!
//! `cargo bench --bench text`. Both are compiled alike, and both get the same file as text; times are the
//! least of several runs. Memory is what is held at most while a file is read, beside its text, and what is kept.

use inkstone::format::Parsed;
use inkstone::format::gguf::Gguf;
use inkstone::text::Tokenizer;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::assets::asset;
use support::vocabulary;

/// The system's allocator, which counts what is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What loading and encoding took.
struct Row {
    load: Duration,
    peak: usize,
    kept: usize,
    first: Duration,
    best: Duration,
    tokens: usize,
}

/// Measures one of the two: `load` makes a tokenizer, `encode` counts the tokens of a text.
fn measure<T>(load: impl Fn() -> T, encode: impl Fn(&T, &str) -> usize, text: &str) -> Row {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let start = Instant::now();
    let tokenizer = load();
    let mut took = start.elapsed();
    let (peak, kept) = (MOST.load(Relaxed) - before, HELD.load(Relaxed).saturating_sub(before));
    let start = Instant::now();
    let tokens = encode(&tokenizer, text);
    let first = start.elapsed();
    let mut best = first;
    for _ in 0..5 {
        let start = Instant::now();
        black_box(encode(&tokenizer, text));
        best = best.min(start.elapsed());
    }
    drop(tokenizer);
    for _ in 0..2 {
        let start = Instant::now();
        drop(black_box(load()));
        took = took.min(start.elapsed());
    }
    Row { load: took, peak, kept, first, best, tokens }
}

/// Returns the tokenizer.json that does what a GGUF vocabulary says.
fn equivalent(name: &str) -> Vec<u8> {
    let bytes = std::fs::read(asset("vocabs").join(format!("ggml-vocab-{name}.gguf"))).expect("the asset is fetched");
    let Ok(Parsed::Done(gguf)) = Gguf::parse(&bytes, bytes.len() as u64, name) else { panic!("{name} is damaged") };
    let ours = Tokenizer::from_gguf(&gguf.metadata).expect("a supported vocabulary");
    vocabulary::file(&gguf.metadata, |id| ours.is_special(id)).to_string().into_bytes()
}

fn main() {
    // Documents, code, and a dozen scripts.
    let scripts =
        std::fs::read_to_string(asset("vocabs").join("ggml-vocab-gpt-2.gguf.inp")).expect("the asset is fetched");
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |file: &str| std::fs::read_to_string(format!("{root}/{file}")).expect("a file of this project");
    let mut text = String::new();
    while text.len() < 90_000 {
        text += &read("ARCHITECTURE.md");
        text += &read("src/text/tokenizer.rs");
        text += &scripts;
    }
    println!("Encoding {} bytes; times in ms, memory in MB: ours / tokenizers 0.23.2.\n", text.len());
    println!("| file | load | most held | kept | first text | again | tokens |\n|---|---|---|---|---|---|---|");
    let published = ["llama3", "qwen3", "gemma3"].map(|name| {
        let path = asset("tokenizers-npm").join(name).join("tokenizer.json");
        (name, std::fs::read(path).expect("the asset is fetched"))
    });
    let encoders = ["bert-bge", "nomic-bert-moe"].map(|name| (name, equivalent(name)));
    for (name, file) in published.into_iter().chain(encoders) {
        let ours = measure(
            || Tokenizer::from_json(&file, None, None).expect("a supported file"),
            |tokenizer, text| tokenizer.encode(text, false).len(),
            &text,
        );
        let theirs = measure(
            || {
                let mut tokenizer = tokenizers::Tokenizer::from_bytes(&file).expect("a supported file");
                tokenizer.set_encode_special_tokens(true);
                tokenizer
            },
            |tokenizer, text| tokenizer.encode_fast(text, false).expect("any text").len(),
            &text,
        );
        let ms = |time: fn(&Row) -> Duration| {
            format!("{:.0} / {:.0}", time(&ours).as_secs_f64() * 1e3, time(&theirs).as_secs_f64() * 1e3)
        };
        let mb =
            |size: fn(&Row) -> usize| format!("{:.0} / {:.0}", size(&ours) as f64 / 1e6, size(&theirs) as f64 / 1e6);
        println!(
            "| {name} | {} | {} | {} | {} | {} | {}{} |",
            ms(|row| row.load),
            mb(|row| row.peak),
            mb(|row| row.kept),
            ms(|row| row.first),
            ms(|row| row.best),
            ours.tokens,
            if ours.tokens == theirs.tokens { String::new() } else { format!(" / {}", theirs.tokens) },
        );
    }
}
