//! What an adapter chooses by measuring (`gpu/choice.rs`, `probe/tune.rs`), and the self-test of all that it may choose.

use inkstone::gpu::{Choice, Family, Gpu, Tier};
use inkstone::probe::{Probe, Suite, self_test, tune};
use pollster::block_on;
use std::rc::Rc;
use support::gpu::{each_setup, open};

fn generic() -> Rc<Gpu> {
    open(Some(Tier::Base), Some(Family::Generic))
}

/// What the self-test says of the kernels, in one text for each.
fn tested(gpu: &Rc<Gpu>) -> Vec<(String, String)> {
    let probe = block_on(Probe::run(gpu, None, true)).unwrap();
    for k in &probe.kernels {
        assert!(k.ok && k.error <= 1e-6, "{}: {k:?}", probe.adapter);
    }
    probe.kernels.into_iter().map(|k| (k.name, k.variant)).collect()
}

#[test]
fn the_self_test_passes_on_every_setup() {
    let names = [
        "rms_norm",
        "linear_tile F32",
        "linear_vec F32",
        "linear_tile Q8_0",
        "linear_vec Q8_0",
        "linear_tile Q4_0",
        "linear_vec Q4_0",
        "attention",
        "attention, one position",
        "conv2d F32",
        "conv2d F16",
        "layer_norm",
        "group_norm",
        "attend",
    ];
    each_setup(|name, gpu| {
        assert_eq!(tested(gpu).into_iter().map(|k| k.0).collect::<Vec<_>>(), names, "{name}");
        // Tested once: nothing is recorded or run any more.
        let runs = gpu.counters().submits.get();
        block_on(self_test(gpu, &[Suite::Linear, Suite::Language, Suite::Pictures])).unwrap();
        assert_eq!(gpu.counters().submits.get(), runs, "{name}");
    });
}

/// A choice that was made after the test is tested, too.
#[test]
fn the_self_test_covers_what_is_chosen() {
    for (choice, suite, kernels, before, after) in [
        (Choice::Winograd, Suite::Pictures, ["conv2d F32", "conv2d F16"], "conv2d+", "conv2d_winograd+"),
        (Choice::Int8Prompts, Suite::Linear, ["linear_tile Q8_0", "linear_tile Q4_0"], "+tile+", "+tile_int8+"),
        (Choice::Int8Tokens, Suite::Linear, ["linear_vec Q8_0", "linear_vec Q4_0"], "+dots+", "+dots_int8+"),
    ] {
        let gpu = generic();
        let all_have = |what: &str| {
            let found: Vec<_> = tested(&gpu).into_iter().filter(|k| kernels.contains(&k.0.as_str())).collect();
            assert_eq!(found.len(), 2, "{choice:?}");
            assert!(found.iter().all(|k| k.1.contains(what)), "{choice:?}: {found:?}");
        };
        all_have(before);
        gpu.choose(choice, true);
        let runs = gpu.counters().submits.get();
        block_on(self_test(&gpu, &[suite])).unwrap();
        assert!(gpu.counters().submits.get() > runs, "tested anew");
        all_have(after);
    }
}

#[test]
fn choices_have_names_and_are_made_one_by_one() {
    let gpu = generic();
    assert_eq!(gpu.choices(), Vec::<&str>::new(), "none by default");
    for choice in Choice::ALL {
        assert_eq!(Choice::from_name(choice.name()), Some(choice));
        gpu.choose(choice, true);
        gpu.choose(choice, true);
    }
    assert_eq!(gpu.choices(), Choice::ALL.map(Choice::name));
    gpu.choose(Choice::ShortTiles, false);
    assert_eq!(gpu.choices(), ["winograd", "short attention", "int8 prompts", "int8 tokens"]);
    assert_eq!(Choice::from_name("long tiles"), None);
}

/// Both ways are run, agree, and the quicker one is what is made from then on. (Which that is on a CPU says nothing.)
#[test]
fn measuring_makes_the_quicker_choice() {
    let gpu = generic();
    let all = block_on(tune(&gpu, f64::INFINITY, true)).unwrap();
    assert_eq!(all.iter().map(|t| t.choice).collect::<Vec<_>>(), Choice::ALL.map(Choice::name));
    for t in &all {
        println!("{t:?}");
        let [table, choice] = t.seconds;
        assert!(t.difference <= 1e-10 && table > 0.0 && choice > 0.0, "{t:?}");
        assert_eq!(t.chosen, choice <= 0.95 * table, "{t:?}");
    }
    let chosen: Vec<_> = all.iter().filter(|t| t.chosen).map(|t| t.choice).collect();
    assert_eq!(gpu.choices(), chosen);
    // Each is another program, or there would be nothing to choose.
    assert!(all[0].difference > 0.0, "{:?}", all[0]);
}

/// An adapter that is slow keeps to the table, whatever was chosen before, and is not kept waiting.
#[test]
fn a_slow_adapter_keeps_to_the_table() {
    let gpu = generic();
    gpu.choose(Choice::Winograd, true);
    assert_eq!(block_on(tune(&gpu, 0.0, false)).unwrap().len(), 0);
    assert_eq!(gpu.choices(), Vec::<&str>::new());
}

/// Kernels without barriers are others.
#[test]
fn adapters_that_compute_on_the_cpu_have_no_choice() {
    let gpu = open(Some(Tier::Base), Some(Family::Software));
    assert_eq!(block_on(tune(&gpu, f64::INFINITY, true)).unwrap().len(), 0);
    for choice in Choice::ALL {
        gpu.choose(choice, true);
        assert!(!gpu.chose(choice), "{choice:?}");
    }
}

/// What rounds is not even tried where that is not allowed.
#[test]
fn rounding_is_tried_where_it_is_allowed() {
    let gpu = generic();
    gpu.choose(Choice::Int8Tokens, true);
    let tried = block_on(tune(&gpu, f64::INFINITY, false)).unwrap();
    assert_eq!(tried.iter().map(|t| t.choice).collect::<Vec<_>>(), ["winograd", "short tiles", "short attention"]);
    assert!(!gpu.chose(Choice::Int8Tokens));
}
