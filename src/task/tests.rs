//! Label similarity end to end, against scikit-learn.

#![expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]

use super::*;

mod edges;

/// Integers that stand for vectors; the reference script fills its matrices with the same formula.
fn matrix(rows: usize, shift: usize) -> Embeddings {
    let value = |i: usize, j: usize| i16::try_from((i * 7 + j * 13 + i * j * 3 + shift) % 31).unwrap() - 6;
    Embeddings::from_values(5, (0..rows).flat_map(|i| (0..5).map(move |j| f32::from(value(i, j)))).collect())
}

fn evaluate(
    texts: &Embeddings,
    gold: &[usize],
    phrasings: &Embeddings,
    owner: &[usize],
    calibration: Calibration,
) -> Evaluation {
    let labels = owner.iter().max().unwrap() + 1;
    let wordings = [Worded { phrasings, owner }];
    one(texts, &LabelSimilarity { gold, wordings: &wordings, labels, calibration, content_free: None, seed: 42 }).unwrap()
}

fn one(texts: &Embeddings, task: &LabelSimilarity<'_>) -> Result<Evaluation, TaskError> {
    let Ok(mut evaluations) = label_similarity(texts, std::slice::from_ref(task));
    evaluations.next().unwrap()
}

/// Texts in blocks of some rows, last block first.
struct Blocks<'a>(&'a Embeddings, usize);

impl Texts for Blocks<'_> {
    type Error = Infallible;

    fn count(&self) -> usize {
        self.0.len()
    }

    fn width(&self) -> usize {
        self.0.dim()
    }

    fn visit(&self, take: &mut dyn FnMut(&[usize], &Embeddings)) -> Result<(), Infallible> {
        let order: Vec<usize> = (0..self.0.len()).rev().collect();
        order.chunks(self.1).for_each(|block| take(block, &self.0.select(block)));
        Ok(())
    }
}

fn example(calibration: Calibration) -> Evaluation {
    let gold: Vec<usize> = (0..24).map(|i| (i * i + i / 4) % 4).collect();
    evaluate(&matrix(24, 0), &gold, &matrix(6, 4), &[0, 0, 1, 2, 3, 3], calibration)
}

fn metric<'a>(evaluation: &'a Evaluation, name: &str, label: Option<usize>) -> &'a Metric {
    evaluation.metrics.iter().find(|metric| metric.name == name && metric.label == label).unwrap()
}

fn value(evaluation: &Evaluation, name: &str) -> f64 {
    metric(evaluation, name, None).estimate.unwrap().value
}

fn undefined(evaluation: &Evaluation, name: &str, label: Option<usize>) -> bool {
    let metric = metric(evaluation, name, label);
    metric.estimate.is_none() && metric.reason.is_some()
}

fn all_close(found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-12, "found {found}, wanted {wanted}");
    }
}

const NAMES: [&str; 11] = [
    "accuracy",
    "top2",
    "top3",
    "macro_f1",
    "weighted_f1",
    "mean_margin",
    "mean_gold_margin",
    "near_ties",
    "hub_share",
    "anisotropy",
    "label_anisotropy",
];

fn headline(evaluation: &Evaluation) -> Vec<f64> {
    NAMES.iter().map(|name| value(evaluation, name)).collect()
}

/// `cosine_similarity(normalize(T), normalize(means of normalize(P)))` and the metrics of scikit-learn 1.9.1.
#[test]
fn cosine_agrees_with_scikit_learn() {
    let found = example(Calibration::None);
    all_close(
        &found.scores[..4],
        &[0.800_025_470_757_380_8, 0.384_156_835_756_599_04, 0.252_007_531_047_455_1, 0.661_346_648_729_520_9],
    );
    let predicted: Vec<usize> = found.predictions.iter().map(|prediction| prediction.predicted).collect();
    assert_eq!(predicted, [0, 3, 0, 2, 1, 0, 0, 0, 2, 3, 3, 0, 1, 2, 0, 2, 0, 1, 3, 0, 2, 1, 2, 0]);
    all_close(
        &headline(&found),
        &[
            0.291_666_666_666_666_7,
            0.625,
            0.75,
            0.281_25,
            0.288_194_444_444_444_4,
            0.132_800_548_887_931_14,
            -0.166_246_604_775_382_47,
            0.041_666_666_666_666_664,
            0.416_666_666_666_666_7,
            0.516_597_973_631_488_7,
            0.591_976_633_264_006,
        ],
    );
    assert_eq!(found.confusion, [3, 0, 2, 1, 2, 2, 3, 1, 3, 1, 1, 1, 2, 1, 0, 1]);
}

/// The same after subtracting `normalize(T).mean(0)` and the mean label vector; `precision_recall_fscore_support` by label.
#[test]
fn centring_agrees_with_scikit_learn() {
    let found = example(Calibration::Center);
    all_close(
        &found.scores[..4],
        &[0.671_555_745_275_110_6, 0.036_214_010_658_657_61, -0.834_004_616_016_370_2, 0.331_639_862_288_868_3],
    );
    all_close(
        &headline(&found),
        &[
            0.291_666_666_666_666_7,
            0.541_666_666_666_666_6,
            0.75,
            0.284_493_284_493_284_5,
            0.292_429_792_429_792_45,
            0.385_015_587_291_256_4,
            -0.403_880_537_763_475_1,
            0.041_666_666_666_666_664,
            0.333_333_333_333_333_3,
            0.516_597_973_631_488_7,
            0.591_976_633_264_006,
        ],
    );
    assert_eq!(found.confusion, [1, 1, 3, 1, 0, 3, 3, 2, 1, 1, 1, 3, 1, 1, 0, 2]);
    let by_label =
        |name| -> Vec<f64> { (0..4).map(|label| metric(&found, name, Some(label)).estimate.unwrap().value).collect() };
    all_close(&by_label("precision"), &[1.0 / 3.0, 0.5, 1.0 / 7.0, 0.25]);
    all_close(&by_label("recall"), &[1.0 / 6.0, 0.375, 1.0 / 6.0, 0.5]);
    all_close(&by_label("f1"), &[2.0 / 9.0, 3.0 / 7.0, 2.0 / 13.0, 1.0 / 3.0]);
    all_close(&by_label("support"), &[6.0, 8.0, 6.0, 4.0]);
    all_close(&by_label("attracted"), &[3.0 / 24.0, 6.0 / 24.0, 7.0 / 24.0, 8.0 / 24.0]);
}

#[test]
fn metrics_are_those_of_the_list_in_its_order() {
    let found = example(Calibration::None);
    let of_slice = METRICS.iter().filter(|info| info.scope == Scope::Slice).map(|info| (info.name, None));
    let of_labels = (0..4)
        .flat_map(|label| METRICS.iter().filter(|info| info.scope == Scope::Label).map(move |info| (info.name, Some(label))));
    let wanted: Vec<_> = of_slice.chain(of_labels).collect();
    let names: Vec<_> = found.metrics.iter().map(|metric| (metric.name, metric.label)).collect();
    assert_eq!(names, wanted);
    for metric in &found.metrics {
        let info = METRICS.iter().find(|info| info.name == metric.name).unwrap();
        let estimate = metric.estimate.unwrap();
        assert_eq!(estimate.interval.is_some(), info.uncertainty != Uncertainty::None, "{}", metric.name);
        assert!(
            estimate.interval.is_none_or(|interval| (interval.low..=interval.high).contains(&estimate.value)),
            "{}",
            metric.name
        );
    }
}

#[test]
fn threads_and_scale_change_nothing() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for calibration in [Calibration::None, Calibration::Center] {
        let (one, many) = (pool.install(|| example(calibration)), example(calibration));
        assert_eq!(one.scores, many.scores);
        assert_eq!(one.metrics, many.metrics);
    }
    let texts = matrix(24, 0);
    // A power of two for each row: unit vectors are the same to the last bit.
    let scaled =
        (0..24_i16).flat_map(|i| texts.row(i.unsigned_abs().into()).iter().map(move |x| x * 2_f32.powi((i % 5 * 4).into())));
    let scaled = Embeddings::from_values(5, scaled.collect());
    let (gold, owner) = ([0; 24], [0, 0, 1, 2, 3, 3]);
    let plain = evaluate(&texts, &gold, &matrix(6, 4), &owner, Calibration::Center);
    assert_eq!(plain.scores, evaluate(&scaled, &gold, &matrix(6, 4), &owner, Calibration::Center).scores);
}

#[test]
fn blocks_and_single_rows_score_alike() {
    let (texts, phrasings, owner) = (matrix(400, 0), matrix(6, 4), [0, 0, 1, 2, 3, 3]);
    let all = evaluate(&texts, &[0; 400], &phrasings, &owner, Calibration::None);
    for i in [0, 15, 16, 255, 256, 399] {
        let one = evaluate(&texts.select(&[i]), &[0], &phrasings, &owner, Calibration::None);
        assert_eq!(one.scores, all.scores[i * 4..(i + 1) * 4], "row {i}");
    }
}

/// Neither how texts are cut into blocks, nor their order, nor what else they are scored for changes a bit.
#[test]
fn scores_and_metrics_are_those_of_every_block_size() {
    let (texts, phrasings, fewer) = (matrix(700, 0), matrix(6, 4), matrix(2, 9));
    let gold: Vec<usize> = (0..700).map(|i| i % 2).collect();
    let many = [Worded { phrasings: &phrasings, owner: &[0, 0, 1, 2, 3, 3] }];
    let (two, one_of_two) = ([Worded { phrasings: &fewer, owner: &[0, 1] }], [Worded { phrasings: &fewer, owner: &[0, 0] }]);
    let task = |wordings, labels, calibration| LabelSimilarity {
        gold: &gold,
        wordings,
        labels,
        calibration,
        content_free: None,
        seed: 42,
    };
    let tasks = [
        task(&many, 4, Calibration::Center),
        task(&two, 2, Calibration::None),
        task(&one_of_two, 2, Calibration::None),
        task(&many, 4, Calibration::None),
        task(&many, 4, Calibration::Csls { k: 3 }),
    ];
    let alone = tasks.each_ref().map(|task| one(&texts, task));
    assert_eq!(alone[2].as_ref().map(|_| ()).unwrap_err(), &TaskError::NoPhrasing { label: 1 });
    for size in [1, 3, 255, 256, 257, 512, 699, 700] {
        let Ok(together) = label_similarity(&Blocks(&texts, size), &tasks);
        let together: Vec<_> = together.collect();
        assert_eq!(together.len(), tasks.len());
        for (alone, together) in alone.iter().zip(&together) {
            let (Ok(alone), Ok(together)) = (alone, together) else {
                assert_eq!(alone.as_ref().err(), together.as_ref().err());
                continue;
            };
            assert_eq!(alone.scores, together.scores, "blocks of {size}");
            assert_eq!(alone.metrics, together.metrics, "blocks of {size}");
        }
    }
}

/// Vectors of a model's width, against sums written down plainly.
#[test]
fn wide_vectors_score_as_plain_sums_do() {
    let dim = 1500;
    let value = |i: usize, j: usize| f32::from(u16::try_from((i * 7919 + j * 104_729 + i * j) % 1009).unwrap()) - 300.0;
    let vectors = |rows: std::ops::Range<usize>| {
        Embeddings::from_values(dim, rows.flat_map(|i| (0..dim).map(move |j| value(i, j))).collect())
    };
    let (texts, phrasings) = (vectors(0..300), vectors(500..507));
    let owner = [0, 1, 2, 3, 4, 5, 6];
    let unit = |row: &[f32]| -> Vec<f64> {
        let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|&x| f64::from(x) / length).collect()
    };
    let wanted: Vec<f64> = (texts.rows())
        .flat_map(|text| phrasings.rows().map(move |label| unit(text).iter().zip(unit(label)).map(|(x, y)| x * y).sum::<f64>()))
        .collect();
    all_close(&evaluate(&texts, &[0; 300], &phrasings, &owner, Calibration::None).scores, &wanted);
}

/// A mean that all texts share takes nothing from the precision of what is left: texts a millionth apart are told apart as
/// they are without it.
#[test]
fn centring_very_similar_texts_keeps_their_differences() {
    let near = |i: i16| [1.0, 1.0 + f32::from(i) * f32::EPSILON, 1.0 - f32::from(i) * f32::EPSILON];
    let texts = Embeddings::from_values(3, (-8..=8).flat_map(near).collect());
    let phrasings = Embeddings::from_values(3, vec![0.0, 1.0, -1.0, 0.0, -1.0, 1.0]);
    let found = evaluate(&texts, &[0; 17], &phrasings, &[0, 1], Calibration::Center);
    for (i, scores) in found.scores.chunks_exact(2).enumerate().filter(|(i, _)| *i != 8) {
        let wanted = if i > 8 { 1.0 } else { -1.0 };
        assert!((scores[0] - wanted).abs() < 1e-6 && (scores[1] + wanted).abs() < 1e-6, "{i}: {scores:?}");
    }
}

#[test]
fn many_short_texts_are_no_burden() {
    let texts =
        Embeddings::from_values(2, (0..100_000_u32).flat_map(|i| if i % 3 == 0 { [1.0, 0.5] } else { [0.5, 1.0] }).collect());
    let gold: Vec<usize> = (0..100_000).map(|i| usize::from(i % 3 != 0)).collect();
    let found = evaluate(&texts, &gold, &Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0]), &[0, 1], Calibration::Center);
    assert_eq!((value(&found, "accuracy"), value(&found, "macro_f1")), (1.0, 1.0));
}

/// Texts along x, y and between; labels along x and y. A content-free text along y gives y its score as a prior.
#[test]
fn a_content_free_prior_is_taken_off_end_to_end() {
    let texts = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 2.0, 3.0, 4.0]);
    let phrasings = Embeddings::from_values(2, vec![5.0, 0.0, 0.0, 7.0]);
    // The second has no direction: it takes no part.
    let free = Embeddings::from_values(2, vec![0.0, 0.5, 0.0, 0.0]);
    let task = LabelSimilarity {
        gold: &[0, 1, 0],
        wordings: &[Worded { phrasings: &phrasings, owner: &[0, 1] }],
        labels: 2,
        calibration: Calibration::ContentFree,
        content_free: Some(&free),
        seed: 1,
    };
    let found = one(&texts, &task).unwrap();
    all_close(&found.scores, &[1.0, -1.0, 0.0, 0.0, 0.6, -0.2]);
    assert_eq!(value(&found, "accuracy"), 2.0 / 3.0);
}

/// Six texts: three answers of one label, two of another, one of the third.
#[test]
fn hubs_are_skewness_of_the_answers() {
    let row = |label: usize| (0..3).map(move |i| if i == label { 1.0 } else { 0.0 });
    let texts = Embeddings::from_values(3, [0, 0, 0, 1, 1, 2].into_iter().flat_map(row).collect());
    let phrasings = Embeddings::from_values(3, (0..3).flat_map(row).collect());
    let found = evaluate(&texts, &[0; 6], &phrasings, &[0, 1, 2], Calibration::None);
    // Counts 3, 2, 1 lie evenly about their mean.
    assert_eq!((value(&found, "hub_share"), value(&found, "hub_skewness")), (0.5, 0.0));
    let hub = evaluate(&texts.select(&[0, 0, 0, 0]), &[0; 4], &phrasings, &[0, 1, 2], Calibration::None);
    // Counts 4, 0, 0: deviations 8/3, -4/3, -4/3, mean cube (512 - 64 - 64) / 81, variance 96 / 27.
    assert!((value(&hub, "hub_skewness") - (384.0 / 81.0) / (96.0_f64 / 27.0).powf(1.5)).abs() < 1e-12);
    let even = evaluate(&texts.select(&[0, 3, 5]), &[0; 3], &phrasings, &[0, 1, 2], Calibration::None);
    assert!(undefined(&even, "hub_skewness", None));
}
