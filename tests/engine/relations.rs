//! What must hold between vectors of one model, whatever its weights.

use std::ops::ControlFlow;
use std::path::PathBuf;

use embed_bench::embed::{Encoder, Resolved, Row};
use embed_bench::embeddings::Embeddings;
use embed_bench::spec::{DType, Pooling};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::random_models::{VOCABULARY, random_model, random_models};
use crate::support::{all_readouts, assert_same, encode, fixture, open, readout, relative_error};

/// Largest difference between two ways to compute one vector. candle's own kernels give the same bits; other libraries
/// may sum in another order.
const SAME: f64 = if cfg!(any(feature = "mkl", feature = "accelerate")) { 1e-5 } else { 0.0 };

/// Models with random weights, and those of the fixtures that attend or add up in another way.
fn encoders(seed: u64, dtype: DType) -> Vec<Box<dyn Encoder>> {
    let random = random_models(seed);
    let fixtures =
        ["mistral", "qwen3", "phi3", "phi3_long", "gemma2", "gemma3_text", "gpt_neox", "opt_post", "xlm_roberta"].map(fixture);
    random.iter().map(TempDir::path).chain(fixtures.iter().map(PathBuf::as_path)).map(|folder| open(folder, dtype)).collect()
}

/// Rows that begin with the same `prefix` ids.
fn rows_of(generator: &mut ChaCha8Rng, prefix: usize, lengths: &[usize]) -> Vec<Vec<u32>> {
    let begin: Vec<u32> = (0..prefix).map(|_| generator.random_range(0..VOCABULARY)).collect();
    let mut row = |length: &usize| {
        let rest = (0..*length).map(|_| generator.random_range(0..VOCABULARY)).collect::<Vec<u32>>();
        [begin.clone(), rest].concat()
    };
    lengths.iter().map(&mut row).collect()
}

/// The same with each row under several endings: texts that stand before what prompts differ in.
fn texts_of(generator: &mut ChaCha8Rng, prefix: usize, lengths: &[usize], endings: u32) -> Vec<Vec<u32>> {
    let texts = rows_of(generator, prefix, lengths);
    texts.iter().flat_map(|text| (0..endings).map(|ending| [&text[..], &[ending, ending + 1]].concat())).collect()
}

/// Each row by itself: a plain forward pass, in which nothing is shared.
fn plain(encoder: &dyn Encoder, rows: &[Vec<u32>], readouts: &[Resolved]) -> Vec<Embeddings> {
    stack(&rows.iter().map(|row| encode(encoder, std::slice::from_ref(row), readouts)).collect::<Vec<_>>())
}

/// The rows of several matrices under each other.
fn stack(parts: &[Vec<Embeddings>]) -> Vec<Embeddings> {
    let of = |readout: usize| {
        let values = parts.iter().flat_map(|part| part[readout].values().to_vec()).collect();
        Embeddings::from_values(parts[0][readout].dim(), values)
    };
    (0..parts[0].len()).map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_gives_the_same_vectors_in_any_company(
        seed in 0_u64..1000,
        prefix in 0_usize..70,
        lengths in prop_oneof![
            prop::collection::vec(1_usize..12, 1..9),
            prop::collection::vec(Just(5_usize), 1..9),
            prop::collection::vec(1_usize..2, 1..9),
            prop::collection::vec(1_usize..80, 1..30),
        ],
        endings in 1_u32..4,
    ) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = texts_of(&mut generator, prefix, &lengths, endings);
        rows.sort_unstable();
        rows.dedup();
        rows.shuffle(&mut generator);
        let slices: Vec<Row<'_>> = rows.iter().map(|row| Row::from(row.as_slice())).collect();
        for encoder in encoders(seed, DType::F32) {
            prop_assert!(encoder.positions(&slices) <= rows.iter().map(|row| row.len() as u64).sum());
            let readouts = all_readouts(&*encoder);
            let together = encode(&*encoder, &rows, &readouts);
            assert_same(&together, &plain(&*encoder, &rows, &readouts), SAME, "together");

            let reversed: Vec<Vec<u32>> = rows.iter().rev().cloned().collect();
            let mut back = encode(&*encoder, &reversed, &readouts);
            let order: Vec<usize> = (0..rows.len()).rev().collect();
            back.iter_mut().for_each(|matrix| *matrix = matrix.select(&order));
            assert_same(&back, &together, SAME, "in reverse");

            let one_by_one: Vec<Embeddings> = readouts
                .iter()
                .flat_map(|readout| encode(&*encoder, &rows, std::slice::from_ref(readout)))
                .collect();
            assert_same(&one_by_one, &together, SAME, "readout by readout");
        }
    }
}

#[test]
fn rows_longer_than_a_chunk_of_queries_share_a_beginning() {
    let mut generator = ChaCha8Rng::seed_from_u64(7);
    let rows = rows_of(&mut generator, 300, &[1, 211, 300, 512, 724]);
    for folder in random_models(7) {
        let encoder = open(folder.path(), DType::F32);
        let readouts = all_readouts(&*encoder);
        assert_same(&encode(&*encoder, &rows, &readouts), &plain(&*encoder, &rows, &readouts), SAME, "long rows");
    }
}

#[test]
fn more_rows_than_a_batch_holds() {
    let mut generator = ChaCha8Rng::seed_from_u64(11);
    let lengths: Vec<usize> = (0..400).map(|i| 5 + i % 37).collect();
    let rows = rows_of(&mut generator, 4, &lengths);
    let folder = random_model("llama", 11, 4, 2, 6);
    let encoder = open(folder.path(), DType::F32);
    let readouts = all_readouts(&*encoder);
    let mut batches = Vec::new();
    let slices: Vec<Row<'_>> = rows.iter().map(|row| Row::from(row.as_slice())).collect();
    encoder
        .encode(&slices, &readouts, &mut |batch| {
            batches.push((batch.rows.clone(), batch.tokens));
            ControlFlow::Continue(())
        })
        .expect("rows that can be embedded");
    assert!(batches.len() > 1, "{} batches", batches.len());
    let computed: u64 = batches.iter().map(|(_, tokens)| tokens).sum();
    assert_eq!(computed, encoder.positions(&slices), "what was computed is what was planned");
    assert!(computed <= 8 + lengths.iter().sum::<usize>() as u64, "the shared beginning counts once: {computed}");

    let all = encode(&*encoder, &rows, &readouts);
    let some = encode(&*encoder, &rows[100..103], &readouts);
    let wanted: Vec<Embeddings> = all.iter().map(|matrix| matrix.select(&[100, 101, 102])).collect();
    assert_same(&some, &wanted, SAME, "a batch of other rows");

    let mut calls = 0;
    encoder
        .encode(&slices, &readouts, &mut |_| {
            calls += 1;
            ControlFlow::Break(())
        })
        .expect("an early end is no error");
    assert_eq!(calls, 1);
}

#[test]
fn later_tokens_change_nothing_earlier_in_a_causal_model() {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let row = rows_of(&mut generator, 0, &[14]).remove(0);
    let beginnings: Vec<Vec<u32>> = (1..=row.len()).map(|end| row[..end].to_vec()).collect();
    for folder in [random_model("llama", 3, 4, 2, 6), random_model("qwen2", 3, 2, 2, 8)] {
        let encoder = open(folder.path(), DType::F32);
        for (layer, norm) in [(0, false), (2, false), (1, true), (3, false)] {
            let of = |pool| encoder.readout(&readout(layer, pool, norm)).expect("a readout");
            let last = encode(&*encoder, &beginnings, &[of(Pooling::Last)]).remove(0);
            let mean = encode(&*encoder, std::slice::from_ref(&row), &[of(Pooling::Mean)]).remove(0);
            let states = f32::from(u8::try_from(row.len()).expect("a short row"));
            let average: Vec<f32> = (0..last.dim()).map(|i| last.rows().map(|state| state[i]).sum::<f32>() / states).collect();
            let error = relative_error(&average, mean.row(0));
            assert!(error <= 1e-6, "layer {layer}: the states of a row are not those of its beginnings: {error:e}");
            let first = encode(&*encoder, &beginnings, &[of(Pooling::Cls)]).remove(0);
            assert!(first.rows().all(|state| state == last.row(0)), "layer {layer}: the first state changes");
        }
    }
}

#[test]
fn every_token_of_a_bidirectional_model_sees_the_whole_text() {
    let folder = random_model("bert", 5, 2, 2, 12);
    let encoder = open(folder.path(), DType::F32);
    let cls = encoder.readout(&readout(-1, Pooling::Cls, false)).expect("a readout");
    let rows = [vec![1, 2, 3, 4], vec![1, 2, 3, 5]];
    let found = encode(&*encoder, &rows, &[cls]).remove(0);
    assert!(relative_error(found.row(0), found.row(1)) > 1e-3, "the last token does not reach the first");
}

#[test]
fn half_precision_stays_close_to_f32() {
    let mut generator = ChaCha8Rng::seed_from_u64(13);
    let rows = rows_of(&mut generator, 3, &[1, 2, 9, 17, 17]);
    let halves = [encoders(13, DType::F16), encoders(13, DType::Bf16)].map(Vec::into_iter);
    let [f16s, bf16s] = halves;
    for ((f32s, f16s), bf16s) in encoders(13, DType::F32).into_iter().zip(f16s).zip(bf16s) {
        let wanted = encode(&*f32s, &rows, &all_readouts(&*f32s));
        // Three blocks round about nine times each on the way to the last state; some of the errors cancel. An f16 has 11
        // significant bits, a bf16 8.
        for (encoder, roundoff) in [(f16s, 2_f64.powi(-11)), (bf16s, 2_f64.powi(-8))] {
            let tolerance = 20.0 * roundoff;
            let readouts = all_readouts(&*encoder);
            let what = format!("{} beside {}", encoder.card().about, f32s.card().name);
            assert_same(&encode(&*encoder, &rows, &readouts), &wanted, tolerance, &what);
            assert_ne!(encoder.card().digest, f32s.card().digest);
            assert_eq!(encoder.card().identity, f32s.card().identity);
        }
    }
}
