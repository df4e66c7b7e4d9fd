//! Generations: what ends them, how they are sampled, what they reuse, and what happens when the context is full.

use inkstone::Error;
use inkstone::gpu::{Family, Gpu, GpuOptions};
use inkstone::language::{FinishReason, GenerateOptions, GenerationResult, LanguageModel, OnOverflow, Stop};
use inkstone::load::{Abort, MemoryFiles};
use pollster::block_on;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use support::models::case::Case;
use support::models::folder;
use support::models::run::{self, Bench, generate, logits};

const TEMPLATE: &str = "{% for m in messages %}{{ m.role | upper }}:{{ m.content }};{% endfor %}";

/// A small model with a chat template, with room for `context` tokens. Its vocabulary has capitals and no space.
fn model(bench: &Bench, context: usize) -> LanguageModel {
    let mut files = folder::whole(&Case::read("llama3_gqa"));
    files.insert("chat_template.jinja".into(), TEMPLATE.into());
    files.insert("tokenizer_config.json".into(), br#"{"eos_token": "</s>"}"#.into());
    bench.load_from(&MemoryFiles(files), context).unwrap()
}

fn raw(max_tokens: usize) -> GenerateOptions {
    GenerateOptions { max_tokens: Some(max_tokens), raw: true, ignore_eos: true, ..GenerateOptions::default() }
}

fn fails(model: &LanguageModel, input: &Value, options: &GenerateOptions) -> Error {
    match block_on(model.generate(input, options, &|_, _| (), &Abort::default())) {
        Ok(answer) => panic!("{input} was answered: {answer:?}"),
        Err(e) => e,
    }
}

fn say(model: &LanguageModel, text: &str, options: &GenerateOptions) -> GenerationResult {
    generate(model, &text.into(), options)
}

#[test]
fn an_answer_ends_where_it_should() {
    let bench = Bench::open();
    let model = model(&bench, 200);
    let whole = say(&model, "HELLO", &raw(20));
    assert_eq!((whole.finish_reason, whole.tokens.len()), (FinishReason::Length, 20));
    assert_eq!(whole.usage.completion_tokens, 20);
    assert_eq!(whole.text, model.tokenizer().decode(&whole.tokens));
    assert_eq!(say(&model, "HELLO", &raw(0)).finish_reason, FinishReason::Length);

    // A stop string ends it and is no part of it, wherever the pieces of text are cut.
    let text = &whole.text;
    let middle = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
    let stop: String = text[middle..].chars().take(3).collect();
    let options = GenerateOptions { stop: Stop::Many(vec!["never said".into(), stop.clone()]), ..raw(20) };
    let heard = RefCell::new(String::new());
    let hear = |text: &str, _: &str| heard.borrow_mut().push_str(text);
    let stopped = block_on(model.generate(&"HELLO".into(), &options, &hear, &Abort::default())).unwrap();
    assert_eq!(stopped.finish_reason, FinishReason::Stop);
    assert_eq!(stopped.text, text[..text.find(&stop).unwrap()]);
    assert_eq!(*heard.borrow(), stopped.text, "what was heard while it appeared is the answer");

    // A stop token ends it and is not counted; a bias makes the model say it at once.
    let eos = model.tokenizer().stop_tokens()[0];
    let bias = BTreeMap::from([(eos, 1000.0)]);
    let options = GenerateOptions { ignore_eos: false, logit_bias: bias.clone(), ..raw(20) };
    let silent = say(&model, "HELLO", &options);
    assert_eq!((silent.finish_reason, silent.tokens.len()), (FinishReason::Stop, 0));
    let options = GenerateOptions { logit_bias: bias, ..raw(4) };
    assert_eq!(say(&model, "HELLO", &options).tokens, [eos; 4], "ignoreEos goes on");
}

/// Tokens after the first, the stop token's step among them, by the time they took: whatever ends the answer.
#[test]
fn speed_counts_every_step_that_an_answer_waited_for() {
    let bench = Bench::open();
    let steps = |answer: &GenerationResult| answer.timings.tokens_per_second * answer.timings.decode_ms / 1e3;
    let close = |answer: &GenerationResult, want: usize| {
        assert!((steps(answer) - want as f64).abs() < 1e-6, "{} steps where {want} were: {answer:?}", steps(answer));
    };
    let endless = model(&bench, 200);
    let whole = say(&endless, "HELLO", &raw(20));
    close(&whole, 19);
    close(&say(&endless, "HELLO", &raw(1)), 0);
    close(&say(&endless, "HELLO", &raw(0)), 0);
    // The same model, to which a token that it says after some others means the end.
    let new = |i: &usize| !whole.tokens[..*i].contains(&whole.tokens[*i]);
    for at in (0..whole.tokens.len()).filter(new) {
        let mut files = folder::whole(&Case::read("llama3_gqa"));
        let config = json!({ "eos_token_id": whole.tokens[at] });
        files.insert("generation_config.json".into(), config.to_string().into_bytes());
        let ends = bench.load_from(&MemoryFiles(files), 200).unwrap();
        let answer = say(&ends, "HELLO", &GenerateOptions { ignore_eos: false, ..raw(20) });
        assert_eq!((answer.finish_reason, &answer.tokens[..]), (FinishReason::Stop, &whole.tokens[..at]));
        close(&answer, at);
    }
}

#[test]
fn the_same_seed_says_the_same_and_another_seed_something_else() {
    let bench = Bench::open();
    let model = model(&bench, 200);
    let hot = |seed| GenerateOptions { temperature: 2.0, seed: Some(seed), ..raw(30) };
    let first = say(&model, "HELLO", &hot(7)).tokens;
    assert_eq!(say(&model, "HELLO", &hot(7)).tokens, first);
    assert_ne!(say(&model, "HELLO", &hot(8)).tokens, first);
    let greedy = say(&model, "HELLO", &raw(30)).tokens;
    let cold = GenerateOptions { top_k: 1, ..hot(9) };
    assert_eq!(say(&model, "HELLO", &cold).tokens, greedy, "the likeliest of one is the likeliest");
    assert_ne!(first, greedy);
}

#[test]
fn penalties_and_bias_are_what_their_formulas_say() {
    let bench = Bench::open();
    let model = model(&bench, 200);
    let prompt = model.tokenizer().encode("HELLO", true);
    let plain = say(&model, "HELLO", &GenerateOptions { logprobs: Some(3), ..raw(1) });
    let row = &logits(&model, &prompt)[(prompt.len() - 1) * model.info().vocabulary..];
    let options = GenerateOptions {
        repetition_penalty: 1.5,
        presence_penalty: 0.7,
        frequency_penalty: 0.4,
        logit_bias: BTreeMap::from([(5, 2.5), (plain.tokens[0], -1.25)]),
        logprobs: Some(model.info().vocabulary),
        ..raw(6)
    };
    let answer = say(&model, "HELLO", &options);
    let all = logits(&model, &[&prompt[..], &answer.tokens].concat());
    let vocab = model.info().vocabulary;
    for (i, said) in answer.logprobs.as_ref().unwrap().iter().enumerate() {
        let at = prompt.len() - 1 + i;
        let mut want: Vec<f64> = all[at * vocab..(at + 1) * vocab].iter().map(|&l| l.into()).collect();
        for (id, l) in want.iter_mut().enumerate() {
            let said = answer.tokens[..i].iter().filter(|&&t| t as usize == id).count();
            if said > 0 || prompt.contains(&(id as u32)) {
                *l = if *l > 0.0 { *l / 1.5 } else { *l * 1.5 };
            }
            if said > 0 {
                *l -= 0.7 + 0.4 * said as f64;
            }
            *l += f64::from(options.logit_bias.get(&(id as u32)).copied().unwrap_or(0.0));
        }
        let sum: f64 = want.iter().map(|l| l.exp()).sum();
        for top in &said.top {
            let expected = want[top.token as usize] - sum.ln();
            assert!(
                (f64::from(top.logprob) - expected).abs() < 2e-3,
                "token {} after {i}: {top:?}, {expected}",
                top.token
            );
        }
    }
    assert_eq!(row.len(), vocab);
}

#[test]
fn reuse_follows_edits_and_branches() {
    let bench = Bench::open();
    let model = model(&bench, 200);
    let talk = |messages: Value| generate(&model, &messages, &GenerateOptions { raw: false, ..raw(5) });
    let first = talk(json!([{ "role": "user", "content": "ONE-TWO-THREE" }]));
    assert_eq!(first.usage.cached_tokens, 0);
    // The conversation goes on: everything but the answer's last token is there already.
    let answer = first.text.clone();
    let second = talk(json!([
        { "role": "user", "content": "ONE-TWO-THREE" },
        { "role": "assistant", "content": answer },
        { "role": "user", "content": "FOUR" }
    ]));
    assert!(second.usage.cached_tokens >= first.usage.prompt_tokens - 1, "{:?}", second.usage);
    // The first message is edited: what stands before the edit is reused.
    let edited = talk(json!([{ "role": "user", "content": "ONE-TWO-FOUR" }]));
    let shared = model.tokenizer().encode_chat("USER:ONE-TWO-").len();
    assert_eq!(edited.usage.cached_tokens, shared);
}

#[test]
fn a_full_context_is_met_as_asked() {
    let bench = Bench::open();
    let model = model(&bench, 64);
    let long: String = (0..100).map(|i| char::from(b'A' + (i * 7 % 26) as u8)).collect();
    // A prompt that does not fit.
    let Error::TooLarge { need, have, advice } = fails(&model, &long.as_str().into(), &raw(5)) else {
        panic!("a prompt longer than the context")
    };
    assert!(
        need.contains("context") && have.contains("64") && advice.contains("contextLength"),
        "{need} {have} {advice}"
    );
    let short = GenerateOptions { on_overflow: OnOverflow::TruncateOldest, ..raw(5) };
    let kept = say(&model, &long, &short);
    assert_eq!((kept.tokens.len(), kept.usage.prompt_tokens), (5, 64 - 5));
    // Old messages go before new ones, the system's stays, and a user speaks first.
    let messages = json!([
        { "role": "system", "content": "BE-KIND" },
        { "role": "user", "content": "A".repeat(40) },
        { "role": "assistant", "content": "B" },
        { "role": "user", "content": "C" }
    ]);
    let options = GenerateOptions { raw: false, ..short };
    let kept = generate(&model, &messages, &options);
    let want = model.tokenizer().encode_chat("SYSTEM:BE-KIND;USER:C;").len();
    assert_eq!(kept.usage.prompt_tokens, want);

    // An answer that does not fit.
    let endless = GenerateOptions { max_tokens: None, ..raw(0) };
    let full = say(&model, "HELLO", &endless);
    assert_eq!(full.finish_reason, FinishReason::Overflow);
    let prompt = full.usage.prompt_tokens;
    assert_eq!(full.tokens.len(), 64 - prompt + 1, "every position is used, and the last logits too");
    let shift = GenerateOptions { on_overflow: OnOverflow::Shift, ..raw(150) };
    let fitting: String = long.chars().take(60).collect();
    assert_eq!(say(&model, &fitting, &shift).usage.prompt_tokens, 60, "a prompt that fits stays whole");
    let shifted = say(&model, "HELLO", &shift);
    assert_eq!((shifted.finish_reason, shifted.tokens.len()), (FinishReason::Length, 150));
    assert_eq!(shifted.tokens[..full.tokens.len()], full.tokens, "the same until the context is full");
    // After the first shift the answer is what the shortened context says.
    let mut context = [&model.tokenizer().encode("HELLO", true)[..], &full.tokens].concat();
    let head = (64 / 8).min(prompt);
    context.drain(head..context.len() - (32 - head));
    let text = logits(&model, &context);
    let vocab = model.info().vocabulary;
    assert_eq!(run::best(&text[(context.len() - 1) * vocab..]), shifted.tokens[full.tokens.len()]);
    // And the model goes on as if nothing had been.
    assert_eq!(say(&model, "HELLO", &raw(20)).tokens, full.tokens[..20]);
}

#[test]
fn an_abort_ends_the_answer_and_nothing_else() {
    let bench = Bench::open();
    let model = model(&bench, 200);
    let whole = say(&model, "HELLO", &raw(40));
    let abort = Abort::default();
    let heard = Cell::new(0);
    let hear = |_: &str, _: &str| {
        heard.set(heard.get() + 1);
        if heard.get() == 5 {
            abort.abort();
        }
    };
    let stopped = block_on(model.generate(&"HELLO".into(), &raw(40), &hear, &abort)).unwrap();
    assert_eq!(stopped.finish_reason, FinishReason::Abort);
    assert!((5..40).contains(&stopped.tokens.len()), "{} tokens", stopped.tokens.len());
    assert_eq!(stopped.tokens, whole.tokens[..stopped.tokens.len()]);
    // Aborted before it began, with a prompt that shares a beginning with what is cached.
    let before = Abort::default();
    before.abort();
    let never = block_on(model.generate(&"HELLO,YOU-THERE".into(), &raw(5), &|_, _| (), &before)).unwrap();
    assert_eq!((never.finish_reason, never.tokens.len()), (FinishReason::Abort, 0));
    let after = say(&model, "HELLO,YOU-THERE", &raw(20));
    let fresh = bench.load(folder::whole(&Case::read("llama3_gqa"))).unwrap();
    assert_eq!(after.tokens, say(&fresh, "HELLO,YOU-THERE", &raw(20)).tokens);
    assert_eq!(say(&model, "HELLO", &raw(40)).tokens, whole.tokens);
}

#[test]
fn wrong_input_is_refused_and_the_next_call_works() {
    let bench = Bench::open();
    let model = model(&bench, 200);
    let chat = GenerateOptions { raw: false, ..raw(3) };
    for (input, code, word) in [
        (json!([]), "Unsupported", "empty"),
        (json!(""), "Unsupported", "empty"),
        (json!(5), "Unsupported", "neither"),
        (json!([{ "content": "no role" }]), "Unsupported", "role"),
        (json!(["text"]), "Unsupported", "message"),
        (json!([{ "role": "user", "content": [{ "type": "image", "image": "x" }] }]), "Unsupported", "text"),
    ] {
        let options = if input.is_string() { &raw(3) } else { &chat };
        let e = fails(&model, &input, options);
        assert!(e.code() == code && e.to_string().contains(word), "{input}: {e}");
    }
    for (options, word) in [
        (json!({ "temperature": -1 }), "temperature"),
        (json!({ "temperature": "hot" }), "option"),
        (json!({ "topP": 1.5 }), "topP"),
        (json!({ "minP": -0.1 }), "minP"),
        (json!({ "topK": -3 }), "option"),
        (json!({ "repetitionPenalty": 0 }), "repetitionPenalty"),
        (json!({ "maxTokens": -1 }), "option"),
        (json!({ "responseFormat": { "type": "regex", "pattern": "a" } }), "responseFormat"),
        (json!({ "tools": [{ "type": "function" }] }), "tools"),
        (json!({ "onOverflow": "explode" }), "option"),
    ] {
        let e = GenerateOptions::from_json(options.clone()).expect_err("an option out of its range");
        assert!(e.code() == "Unsupported" && e.to_string().contains(word), "{options}: {e}");
    }
    assert!(block_on(model.logits(&[9999])).is_err_and(|e| e.code() == "Unsupported"));
    assert!(block_on(model.logits(&[1; 201])).is_err_and(|e| e.code() == "TooLarge"));
    assert!(block_on(model.logits(&[])).unwrap().is_empty());
    assert_eq!(say(&model, "HELLO", &raw(3)).tokens.len(), 3);
    let parts =
        json!([{ "role": "user", "content": [{ "type": "text", "text": "HEL" }, { "type": "text", "text": "LO" }] }]);
    assert_eq!(generate(&model, &parts, &chat).tokens.len(), 3);
}

#[test]
fn a_template_that_raises_is_heard_and_the_model_goes_on() {
    let bench = Bench::open();
    let strict = format!(
        "{{% if messages[0].role == 'system' %}}{{{{ raise_exception('System role not supported') }}}}{{% endif %}}{TEMPLATE}"
    );
    let mut files = folder::whole(&Case::read("llama3_gqa"));
    files.insert("chat_template.jinja".into(), strict.into());
    let strict = bench.load_from(&MemoryFiles(files), 200).unwrap();
    let options = GenerateOptions { raw: false, ..raw(6) };
    let user = json!({ "role": "user", "content": "HELLO" });
    let want = generate(&model(&bench, 200), &json!([user]), &options).tokens;
    for overflow in [OnOverflow::Error, OnOverflow::TruncateOldest, OnOverflow::Shift] {
        let talk = json!([{ "role": "system", "content": "BE-KIND" }, user]);
        let options = GenerateOptions { on_overflow: overflow, ..options.clone() };
        let e = fails(&strict, &talk, &options);
        assert_eq!((e.code(), e.to_string().as_str()), ("Format", "chat template: System role not supported"));
        assert_eq!(generate(&strict, &json!([user]), &options).tokens, want, "the next conversation is answered");
    }
}

#[test]
fn weights_split_over_small_bindings_change_nothing() {
    let files = MemoryFiles(folder::whole(&Case::read("qwen2")));
    let tokens: Vec<u32> = (0..40).map(|i| i * 7 % 60 + 2).collect();
    for family in [Family::Software, Family::Generic] {
        let answers = [None, Some(24_000)].map(|max_binding| {
            let options = GpuOptions { family: Some(family), max_binding, ..GpuOptions::default() };
            let bench = Bench { gpu: block_on(Gpu::open(&options)).expect("a Vulkan driver is there") };
            let model = bench.load_from(&files, 64).unwrap();
            (logits(&model, &tokens), say(&model, "HELLO", &raw(12)).tokens, model.info().dispatches)
        });
        assert!(answers[1].2[0] > answers[0].2[0], "more dispatches: the weights were split");
        assert_eq!(answers[0].0, answers[1].0, "each row is computed by the same kernel");
        assert_eq!(answers[0].1, answers[1].1);
    }
}

#[test]
fn the_oldest_turns_go_until_a_user_speaks_first() {
    let bench = Bench::open();
    let strict = "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
                  {{ raise_exception('ROLES') }}{% endif %}{{ m.content }};{% endfor %}";
    let mut files = folder::whole(&Case::read("llama3_gqa"));
    files.insert("chat_template.jinja".into(), strict.into());
    let model = bench.load_from(&MemoryFiles(files), 40).unwrap();
    let say = |role: &str, content: &str| json!({ "role": role, "content": content });
    let talk = json!([say("user", &"A".repeat(36)), say("assistant", "B"), say("user", "C")]);
    let options = GenerateOptions { raw: false, on_overflow: OnOverflow::TruncateOldest, ..raw(3) };
    assert_eq!(generate(&model, &talk, &options).usage.prompt_tokens, model.tokenizer().encode_chat("C;").len());
}

#[test]
fn log_probabilities_follow_a_shift() {
    let bench = Bench::open();
    let model = model(&bench, 64);
    let options = GenerateOptions { on_overflow: OnOverflow::Shift, logprobs: Some(1), ..raw(90) };
    let answer = say(&model, "HELLO", &options);
    for (i, said) in answer.logprobs.as_ref().unwrap().iter().enumerate() {
        assert_eq!(said.token, said.top[0].token, "token {i} of a greedy answer is the likeliest");
    }
}
