//! What a model asks of the device, counted: for a token, for a prompt, for a load. The counts hold on every machine
//! with the kernels that a GPU gets; times do not, and are not asked about. `tests/web/counts.test.mjs` counts in a
//! browser.
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another.

use inkstone::gpu::{Family, Gpu, GpuOptions, Tier};
use inkstone::language::{GenerateOptions, GenerationResult, LanguageModel, LoadOptions};
use inkstone::load::{Abort, MemoryFiles, Phase, Progress, Quantize};
use pollster::block_on;
use std::cell::Cell;
use std::ops::Sub;
use std::rc::Rc;
use support::models::case::{Case, count};
use support::models::folder::{self, Files};
use support::models::gguf::{self, Without};

/// Positions of the caches.
const CONTEXT: usize = 1200;
/// Bytes of one read-back: the latest ids.
const READ: u64 = 64;
const MIB: u64 = 1 << 20;

/// How often the device was asked for something.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    /// Buffers, bind groups, pipelines, shader modules.
    created: [u64; 4],
    submits: u64,
    passes: u64,
    dispatches: u64,
    writes: u64,
    reads: u64,
    bytes_read: u64,
}

impl Counts {
    fn of(gpu: &Gpu) -> Counts {
        let c = gpu.counters();
        Counts {
            created: [&c.buffers, &c.bind_groups, &c.pipelines, &c.modules].map(Cell::get),
            submits: c.submits.get(),
            passes: c.passes.get(),
            dispatches: c.dispatches.get(),
            writes: c.writes.get(),
            reads: c.reads.get(),
            bytes_read: c.bytes_read.get(),
        }
    }
}

impl Sub for Counts {
    type Output = Counts;

    fn sub(self, before: Counts) -> Counts {
        Counts {
            created: std::array::from_fn(|i| self.created[i] - before.created[i]),
            submits: self.submits - before.submits,
            passes: self.passes - before.passes,
            dispatches: self.dispatches - before.dispatches,
            writes: self.writes - before.writes,
            reads: self.reads - before.reads,
            bytes_read: self.bytes_read - before.bytes_read,
        }
    }
}

/// Notes how many pipelines there were when the first bytes of weights were on their way.
#[derive(Default)]
struct Pipelines(Cell<Option<u64>>, Option<Rc<Gpu>>);

impl Progress for Pipelines {
    fn report(&self, phase: Phase, _: u64, _: u64, _: &str) {
        if let (Phase::Download, None, Some(gpu)) = (phase, self.0.get(), &self.1) {
            self.0.set(Some(gpu.counters().pipelines.get()));
        }
    }
}

/// A Llama-type model to count on.
struct Subject {
    name: &'static str,
    files: Files,
    layers: u64,
    /// Dispatches of a layer, for a token and for a chunk of a prompt.
    each: [u64; 2],
    /// Bytes of its tensors as the file has them.
    bytes: u64,
}

/// Four layers of f32 with a tied output, as a folder; two of Q8_0, as a GGUF file; and families whose layers have norms
/// behind them, windows, or convolutions.
fn subjects() -> [Subject; 6] {
    let plain = [5, 8];
    let subjects = [
        ("smollm2_tiny", plain),
        ("llama_q8_0", plain),
        ("qwen3", plain),
        ("gemma3", [7, 10]),
        ("olmo2", [7, 8]),
        ("lfm2", [5, 8]),
    ];
    subjects.map(|(name, each)| {
        let case = Case::read(name);
        let files = match name {
            "llama_q8_0" => Files::from([("model.gguf".into(), gguf::file(&case, case.stored, Without::default()))]),
            _ => folder::whole(&case),
        };
        let bytes = case.tensors().iter().map(|t| t.bytes(case.stored).len() as u64).sum();
        Subject { name, files, layers: count(&case.config, "num_hidden_layers") as u64, each, bytes }
    })
}

/// The device with the kernels of a GPU that has no row of its own, at its lowest and at its highest tier.
fn devices() -> Vec<Rc<Gpu>> {
    let open = |tier| {
        let options = GpuOptions { tier, family: Some(Family::Generic), ..GpuOptions::default() };
        block_on(Gpu::open(&options)).expect("these tests need a GPU adapter, for example Mesa's lavapipe")
    };
    let (base, best) = (open(Some(Tier::Base)), open(None));
    if best.adapter().tier == Tier::Base { vec![base] } else { vec![base, best] }
}

fn load(gpu: &Rc<Gpu>, subject: &Subject, progress: &dyn Progress) -> LanguageModel {
    let options = LoadOptions { quantize: Some(Quantize::None), context_length: Some(CONTEXT), background: false };
    let files = MemoryFiles(subject.files.clone());
    let model = block_on(LanguageModel::load(gpu, &files, &options, progress, &Abort::default()));
    model.unwrap_or_else(|e| panic!("{}: {e}", subject.name))
}

/// Runs `body` on every model on every device.
fn each(body: impl Fn(&str, &Subject, &LanguageModel)) {
    for gpu in devices() {
        for subject in subjects() {
            let model = load(&gpu, &subject, &());
            let name = format!("{} on {}, {}", subject.name, gpu.adapter().name, gpu.adapter().tier.name());
            body(&name, &subject, &model);
        }
    }
}

/// So many tokens of prompt (every model's vocabulary has the capitals), others for each `seed`.
fn prompt(tokens: usize, seed: usize) -> String {
    (0..tokens).map(|i| char::from(b'A' + ((i * i + 7 * i + seed) % 26) as u8)).collect()
}

/// Ways to pick tokens: greedily, at random, at random with what was said before counting.
fn ways() -> [(&'static str, GenerateOptions); 3] {
    let greedy = GenerateOptions { raw: true, ignore_eos: true, seed: Some(7), ..GenerateOptions::default() };
    let sampled = GenerateOptions { temperature: 0.8, top_k: 20, top_p: 0.9, ..greedy.clone() };
    let penalised = GenerateOptions { repetition_penalty: 1.1, frequency_penalty: 0.1, ..sampled.clone() };
    [("greedy", greedy), ("sampled", sampled), ("penalised", penalised)]
}

/// Answers with exactly `tokens` tokens, and what that took.
fn answer(model: &LanguageModel, text: &str, options: &GenerateOptions, tokens: usize) -> (Counts, GenerationResult) {
    let options = GenerateOptions { max_tokens: Some(tokens), ..options.clone() };
    let before = Counts::of(model.gpu());
    let result = block_on(model.generate(&text.into(), &options, &|_, _| (), &Abort::default()));
    let result = result.unwrap_or_else(|e| panic!("an answer of {tokens} tokens: {e}"));
    assert_eq!(result.tokens.len(), tokens, "tokens of an answer without an end");
    (Counts::of(model.gpu()) - before, result)
}

#[test]
fn a_decoded_token_takes_few_dispatches_and_creates_nothing() {
    const MORE: usize = 48;
    each(|name, subject, model| {
        let text = prompt(12, 0);
        for (way, options) in ways() {
            answer(model, &text, &options, 3);
            let (short, _) = answer(model, &text, &options, 1);
            let (long, _) = answer(model, &text, &options, 1 + MORE);
            let (again, _) = answer(model, &text, &options, 1 + MORE);
            let what = format!("{name}, {way}");
            for counts in [short, long, again] {
                assert_eq!(counts.created, [0; 4], "{what}: buffers, bind groups, pipelines, modules created");
                assert_eq!(counts.bytes_read, counts.reads * READ, "{what}: bytes of {} read-backs", counts.reads);
                assert_eq!(counts.reads, counts.submits, "{what}: every submit brings the ids of its tokens");
                assert_eq!(counts.passes, counts.submits, "{what}: one pass to a submit");
                assert!((2..=4).contains(&counts.writes), "{what}: {} writes in one call", counts.writes);
            }
            let tokens = long - short;
            let each = tokens.dispatches / MORE as u64;
            assert_eq!(tokens.dispatches, each * MORE as u64, "{what}: not every token takes as many dispatches");
            assert_eq!(each, model.info().dispatches[0] as u64, "{what}: info.dispatches");
            assert_eq!(again.dispatches, long.dispatches, "{what}: the same answer once more");
            assert_eq!(
                each,
                subject.each[0] * subject.layers + 4,
                "{what}: dispatches a token, {} layers",
                subject.layers
            );
            assert!(tokens.submits <= MORE as u64, "{what}: {} submits for {MORE} tokens", tokens.submits);
            assert_eq!(tokens.writes, 0, "{what}: a token that is decoded needs nothing from the host");
            println!("{what:60} {each} dispatches, {:.2} submits a token", tokens.submits as f64 / MORE as f64);
        }
    });
}

/// A batch doubles whenever the host waited for the last one less than 20 ms: eight tokens of 1 ms come at once.
#[test]
fn quick_tokens_are_read_in_batches() {
    const TOKENS: usize = 200;
    each(|name, _, model| {
        let [(_, options), ..] = ways();
        let mut tries = Vec::new();
        // A machine that is busy with something else as well may be too slow to tell, every time.
        let told = (0..5).any(|_| {
            let (counts, result) = answer(model, &prompt(3, 1), &options, TOKENS);
            let (batch, ms) = (TOKENS as f64 / counts.reads as f64, result.timings.decode_ms / TOKENS as f64);
            tries.push((batch, ms));
            batch >= 4.0 || ms > 2.0
        });
        println!("{name:60} (tokens to a read-back, ms a token): {tries:.2?}");
        assert!(told, "{name}: at least four tokens to a read-back, where they are quick: {tries:.2?}");
    });
}

#[test]
fn a_prompt_takes_few_dispatches_for_each_chunk_and_reads_once() {
    each(|name, subject, model| {
        // How a token is picked matters at the end alone: the smaller model shows it.
        let some = if subject.layers == 2 { 3 } else { 1 };
        for (seed, (way, options)) in ways().into_iter().take(some).enumerate() {
            let what = format!("{name}, {way}");
            let (counts, result) = answer(model, &prompt(512, seed), &options, 1);
            let new = result.usage.prompt_tokens - result.usage.cached_tokens;
            assert!(new >= 500, "{what}: only {new} tokens are new");
            assert_eq!(counts.created, [0; 4], "{what}: buffers, bind groups, pipelines, modules created");
            assert_eq!((counts.reads, counts.bytes_read), (1, READ), "{what}: read-backs up to the first token");
            let (chunks, each) = (counts.submits, model.info().dispatches[1] as u64);
            assert_eq!(counts.passes, chunks, "{what}: one pass to a chunk");
            assert!(counts.writes <= chunks + 2, "{what}: {} writes for {chunks} chunks", counts.writes);
            // Layers that convolve take one less than those that attend.
            let layer = (each - 1).div_ceil(subject.layers);
            assert_eq!(layer, subject.each[1], "{what}: {each} dispatches a chunk, {} layers", subject.layers);
            let head = counts.dispatches - chunks * each;
            assert!((1..=5).contains(&head), "{what}: {head} dispatches from the last row to its token");
            println!("{what:60} {chunks} chunks of {each} dispatches, {head} for the first token");
        }
    });
}

#[test]
fn weights_are_on_the_gpu_once_and_every_pipeline_is_made_before_they_come() {
    for gpu in devices() {
        let c = gpu.counters();
        // Rows of the other subjects are padded to whole blocks of 32, a third more.
        for subject in subjects().into_iter().take(2) {
            let name = subject.name;
            let before = c.live_bytes.get();
            c.peak_bytes.set(before);
            let seen = Pipelines(Cell::new(None), Some(gpu.clone()));
            let model = load(&gpu, &subject, &seen);
            let (live, peak) = (c.live_bytes.get() - before, c.peak_bytes.get() - before);
            assert!(c.pipelines.get() > 0);
            assert_eq!(seen.0.get(), Some(c.pipelines.get()), "{name}: pipelines when the first weights came");

            let bytes = model.info().bytes;
            let known = bytes.weights + bytes.cache + bytes.scratch;
            assert!(bytes.weights <= subject.bytes * 105 / 100, "{name}: {bytes:?} of a file of {}", subject.bytes);
            assert!(peak <= subject.bytes * 105 / 100 + bytes.cache + 32 * MIB, "{name}: {peak} bytes, {bytes:?}");
            // Much less than any part of the model: nothing is there twice, not even while loading.
            assert!((known..known + MIB / 16).contains(&peak), "{name}: {peak} bytes at the most, {bytes:?}");

            for (_, options) in ways() {
                answer(&model, &prompt(40, 3), &options, 20);
            }
            answer(&model, &prompt(400, 4), &ways()[2].1, 200);
            assert_eq!(c.live_bytes.get() - before, live, "{name}: bytes after many tokens");
            assert_eq!(c.peak_bytes.get() - before, peak, "{name}: the most bytes, after many tokens");
            drop(model);
            assert_eq!(c.live_bytes.get(), before, "{name}: bytes that a dropped model leaves");

            let made = Counts::of(&gpu).created;
            drop(load(&gpu, &subject, &()));
            assert_eq!(Counts::of(&gpu).created[2..], made[2..], "{name}: what was compiled is used again");
            println!("{name:16} {bytes:?}, at most {peak} bytes");
        }
    }
}
