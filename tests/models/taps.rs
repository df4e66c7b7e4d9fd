//! A decoder that begins with rows instead of ids, and hands out hidden states of chosen layers, against `transformers`.

use inkstone::gpu::{Batch, Buffer, Graph, Plan};
use inkstone::language::LanguageFiles;
use inkstone::load::{Abort, MemoryFiles, Quantize, Weights};
use inkstone::models::{Decoder, DecoderState, Start, StateSize, Step};
use pollster::block_on;
use support::models::case::{Case, count, folder as golden};
use support::models::folder;
use support::models::run::{Bench, tolerance};
use support::tolerance::check;

#[test]
fn hidden_states_of_chosen_layers_are_those_of_transformers() {
    let bench = Bench::open();
    let gpu = &bench.gpu;
    let case = Case::read("smollm2_tiny");
    let (dim, layers) = (count(&case.config, "hidden_size"), count(&case.config, "num_hidden_layers"));
    let bytes = std::fs::read(golden().join("smollm2_tiny.taps")).unwrap();
    let states: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let t = states.len() / (dim * layers);
    let states: Vec<&[f32]> = states.chunks(t * dim).collect();
    assert_eq!((states.len(), t), (layers, 12), "embeddings and all layers but the last");

    let source = MemoryFiles(folder::whole(&case));
    let files = block_on(LanguageFiles::open(&source)).unwrap();
    let weights = Weights::new(gpu, &files.tensors, Quantize::None);
    let decoder = Decoder::bind(&weights, &files.config, gpu).unwrap();
    block_on(weights.commit()).unwrap();
    let size = StateSize { capacity: 64, chunk: 64, exact: true };
    let kept = block_on(DecoderState::new(gpu, &files.config, size)).unwrap();
    let _weights = block_on(weights.upload(&source, &(), &Abort::default())).unwrap();
    let inputs = Buffer::storage(gpu, "inputs", 1024);
    let (state, ids) = (inputs.region().sub(0, 256), inputs.region().sub(256, 768));
    state.write(0, bytemuck::cast_slice(&[0u32, t as u32]));
    ids.write(0, bytemuck::cast_slice(&case.tokens[..t]));
    let embedded = Buffer::storage(gpu, "rows", (t * dim * 4) as u64).region();
    embedded.write(0, bytemuck::cast_slice(states[0]));

    let step = Step { state: &state, kept: kept.layers(), packed: None };
    let taps: Vec<usize> = (0..layers - 1).collect();
    for from_ids in [true, false] {
        let graph = Graph::new(gpu);
        let start = if from_ids { Start::Ids(&ids, t) } else { Start::Rows(graph.given(&embedded, [t, dim])) };
        let (last, tapped) = decoder.run(&graph, start, &step, &taps);
        let logits = decoder.logits(last, Some(&state)).kept();
        let tapped: Vec<_> = tapped.into_iter().map(|x| x.kept()).collect();
        let plan = block_on(Plan::new(graph)).unwrap();
        let mut batch = Batch::new(gpu);
        batch.run(&plan);
        batch.submit();
        for (layer, (want, got)) in states[1..].iter().zip(&tapped).enumerate() {
            let got = block_on(gpu.read_rows(plan.region(*got), t, dim)).unwrap();
            check(&format!("after layer {layer}, from ids: {from_ids}"), want, &got, tolerance(&case));
        }
        let got = block_on(gpu.read_rows(plan.region(logits), t, case.vocab())).unwrap();
        check(&format!("logits, from ids: {from_ids}"), &case.logits[..t * case.vocab()], &got, tolerance(&case));
    }
}
