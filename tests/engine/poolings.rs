//! Poolings over a row and over the copies of a text within it: equal to what torch makes of transformers' states, and the
//! same bits in any company.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{Device as Place, safetensors};
use embed_bench::embed::{Encoder, Prepared, Resolved, Row};
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::{DType, Differently, Layer, Pooling, Readout};
use serde_json::Value;

use crate::support::{encode_rows, fixture, open, readout, relative_error};

const ECHO: &str = "Say it again: {text}\nOnce more: {text}";

fn resolved(encoder: &dyn Encoder, layer: i32, pool: Pooling, span: Option<usize>) -> Resolved {
    encoder.readout(&Readout { span, ..readout(layer, pool, false) }).expect("a readout")
}

fn prepared(encoder: &dyn Encoder, template: &str, text: &str, truncate: Truncation) -> Prepared {
    encoder.prepare(&Template::parse(template).expect("template"), text, truncate).expect("a text that fits")
}

/// Values that transformers 5.24 and torch 2.15 gave: `tests/fixtures/make.py poolings`.
#[test]
fn equal_torch_on_transformers_states() {
    let read = |name: &str| std::fs::read(fixture(name)).expect("the fixture");
    let expected: Value = serde_json::from_slice(&read("poolings.json")).expect("JSON");
    let tensors = safetensors::load(fixture("poolings.safetensors"), &Place::Cpu).expect("tensors");
    let pools: Vec<Pooling> = serde_json::from_value(expected["pools"].clone()).expect("poolings");
    let cases = expected["cases"].as_array().expect("cases");
    let mut encoders: BTreeMap<&str, Box<dyn Encoder>> = BTreeMap::new();
    let (mut worst, mut compared) = (0.0_f64, 0);
    for (i, case) in cases.iter().enumerate() {
        let text = |key: &str| case[key].as_str().expect("text");
        let encoder = encoders.entry(text("model")).or_insert_with(|| open(&fixture(text("model")), DType::F32));
        let row = prepared(&**encoder, text("prompt"), text("text"), Truncation::Error);
        let slots: Vec<(usize, usize)> = serde_json::from_value(case["slots"].clone()).expect("slots");
        let found: Vec<(usize, usize)> = row.slots.iter().map(|slot| (slot.start, slot.end)).collect();
        assert_eq!(found, slots, "slots of case {i}");
        for layer in [-1, 1] {
            for span in 0..=slots.len() {
                let wanted = tensors[&format!("{i}.{layer}.{span}")].to_vec2::<f32>().expect("a matrix");
                let span = Some(span).filter(|span| *span > 0);
                let readouts: Vec<Resolved> = pools.iter().map(|pool| resolved(&**encoder, layer, *pool, span)).collect();
                let rows = [Row { ids: &row.ids, slots: &row.slots }];
                for ((found, wanted), pool) in encode_rows(&**encoder, &rows, &readouts).iter().zip(&wanted).zip(&pools) {
                    let error = relative_error(found.row(0), wanted);
                    assert!(error <= 1e-5, "case {i}, layer {layer}, {pool} over {span:?}: {error:e}");
                    (worst, compared) = (worst.max(error), compared + 1);
                }
            }
        }
    }
    assert_eq!(
        (cases.len(), compared),
        (36, 36 * 5 * 4 + 9 * 5 * 2),
        "three prompts with one copy, one with two; worst {worst:e}"
    );
}

#[test]
fn rows_that_share_what_they_begin_with_pool_their_own_copies() {
    let texts: Vec<String> = (0..40).map(|i| format!("The rain comes before {i} and one").repeat(1 + i % 5)).collect();
    for name in ["llama", "qwen2", "gemma2", "bert"] {
        let encoder = open(&fixture(name), DType::F32);
        let owned: Vec<Prepared> = texts.iter().map(|text| prepared(&*encoder, ECHO, text, Truncation::Error)).collect();
        let rows: Vec<Row<'_>> = owned.iter().map(|row| Row { ids: &row.ids, slots: &row.slots }).collect();
        let mut readouts = Vec::new();
        for pool in [Pooling::Mean, Pooling::WeightedMean, Pooling::Max, Pooling::Cls, Pooling::Last] {
            for span in [None, Some(1), Some(2)] {
                readouts.extend([0, 1, -1].map(|layer| resolved(&*encoder, layer, pool, span)));
            }
        }
        let together = encode_rows(&*encoder, &rows, &readouts);
        for (at, row) in rows.iter().enumerate() {
            for (alone, together) in encode_rows(&*encoder, std::slice::from_ref(row), &readouts).iter().zip(&together) {
                assert_eq!(alone.row(0), together.row(at), "{name}: row {at}");
            }
        }
        let backwards: Vec<Row<'_>> = rows.iter().rev().copied().collect();
        for (back, together) in encode_rows(&*encoder, &backwards, &readouts).iter().zip(&together) {
            assert!((0..rows.len()).all(|at| back.row(rows.len() - 1 - at) == together.row(at)), "{name}: in reverse");
        }
    }
}

#[test]
fn the_same_ids_with_the_text_in_another_place_have_another_vector() {
    let encoder = open(&fixture("llama"), DType::F32);
    let ids = prepared(&*encoder, "{text}", "The rain comes before seven.", Truncation::Error).ids;
    let second = resolved(&*encoder, -1, Pooling::Mean, Some(1));
    #[expect(clippy::single_range_in_vec_init, reason = "rows with one slot")]
    let (early, late): ([Range<usize>; 1], [Range<usize>; 1]) = ([1..3], [3..ids.len()]);
    let rows = [&early, &late].map(|slots| Row { ids: &ids, slots });
    let found = encode_rows(&*encoder, &rows, std::slice::from_ref(&second)).remove(0);
    assert!(relative_error(found.row(0), found.row(1)) > 1e-3);
    assert_ne!(second.naming().key(rows[0]), second.naming().key(rows[1]));
}

#[test]
fn a_cut_shortens_every_copy_alike() {
    let mut model = crate::support::model(&fixture("llama"), DType::F32);
    model.max_tokens = Some(60);
    let encoder = crate::support::try_open(&model).expect("the fixture");
    let long = "The walkers have one harbour. ".repeat(9);
    for way in [Truncation::Head, Truncation::Tail, Truncation::Middle] {
        let row = prepared(&*encoder, ECHO, &long, way);
        let [first, second] = &row.slots[..] else { panic!("two copies: {:?}", row.slots) };
        assert!(row.cut > 0 && row.ids.len() <= 60);
        // The copies begin behind different words, so that their first tokens may differ by one.
        assert!(first.len().abs_diff(second.len()) <= 1 && !first.is_empty(), "{way}: {:?}", row.slots);
        assert_eq!(row.ids[first.end - 2..first.end], row.ids[second.end - 2..second.end], "{way}");
    }
    // The end of the whole prompt is cut away, and all of the second copy with it.
    let row = prepared(&*encoder, ECHO, &long, Truncation::WholePrompt);
    assert_eq!((row.slots[0].end, row.slots[1].clone()), (60, 0..0));
}

#[test]
fn a_depth_is_the_nearest_state_and_a_view_may_read_another() {
    let encoder = open(&fixture("llama"), DType::F32);
    let at = |layer| encoder.readout(&Readout { layer, ..readout(-1, Pooling::Last, false) }).map(|resolved| resolved.layer);
    // 0.5 of three blocks is 1.5, which goes up.
    assert_eq!([0.0, 0.3, 0.5, 0.85, 1.0].map(|share| at(Layer::Depth(share)).expect("a state")), [0, 1, 2, 3, 3]);
    let view = Differently { layer: Some(Layer::At(-2)), pool: Some(Pooling::Mean), ..Differently::default() };
    let read = encoder.readout(&readout(-1, Pooling::Last, false).under(&view)).expect("a readout");
    assert_eq!((read.layer, read.pool), (2, Pooling::Mean));
}
