//! How often the gate is wrong: false alarms without a difference, alarms with a planted one, coverage of the intervals; and
//! how long a large comparison takes. `cargo bench --bench gate`; the table is in results/README.md.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]
#![expect(clippy::cast_precision_loss, reason = "counts of trials and draws of a generator")]

use std::collections::BTreeMap;
use std::time::Instant;

use embed_bench::compare::{Judgements, Terms, Verdict, compare};
use embed_bench::dataset::{Kind, Origin};
use embed_bench::digest::Digest;
use embed_bench::results::{Answers, CellOutcomes, Choices, Outcomes, SliceRecord};
use embed_bench::spec::{Correction, Gate, Measure};
use embed_bench::stats::{Estimate, paired_accuracy, wilson};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

const TRIALS: u64 = 2000;
/// Share of samples on which two systems disagree, in the simulation without a difference.
const DISCORDANT: f64 = 0.10;
const ACCURACY: f64 = 0.75;
const LABELS: usize = 6;

fn main() {
    println!(
        "| n | planted drop | regressed | inconclusive | regressed by macro F1 | coverage, difference | coverage, accuracy |"
    );
    println!("| --: | --: | --: | --: | --: | --: | --: |");
    for n in [50, 167, 1000] {
        for drop in [0.0, 0.01, 0.03, 0.05] {
            row(n, drop);
        }
    }
    large();
}

fn row(n: usize, drop: f64) {
    let policy = Gate { max_drop: 0.0, ..Gate::default() };
    let trial = |trial: u64| {
        let (before, after) = systems(n, drop, trial);
        let (baseline, candidate) = (outcomes(&[&before]), outcomes(&[&after]));
        let judged = |metric| {
            let terms = Terms { metric, ..Terms::default() };
            Judgements::of(&compare(&baseline, &candidate, &terms), &policy, None).cells[0].verdict
        };
        let verdict = judged(None);
        [
            verdict == Verdict::Regressed,
            verdict == Verdict::Inconclusive,
            judged(Some(Measure::MacroF1)) == Verdict::Regressed,
            holds(&paired_accuracy(&after, &before).difference, -drop),
            holds(&wilson(before.iter().filter(|right| **right).count(), n), ACCURACY),
        ]
    };
    let found: Vec<[bool; 5]> = (0..TRIALS).into_par_iter().map(trial).collect();
    let share = |column: usize| {
        let count = found.iter().filter(|row| row[column]).count();
        format!("{:.1} %", 100.0 * count as f64 / TRIALS as f64)
    };
    println!("| {n} | {:.0} | {} |", 100.0 * drop, [0, 1, 2, 3, 4].map(share).join(" | "));
}

fn holds(estimate: &Estimate, truth: f64) -> bool {
    estimate.interval.is_some_and(|interval| (interval.low..=interval.high).contains(&truth))
}

/// Which samples two systems get right: the second is worse by `drop` in expectation.
fn systems(n: usize, drop: f64, seed: u64) -> (Vec<bool>, Vec<bool>) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let lost = f64::midpoint(DISCORDANT, drop);
    let won = f64::midpoint(DISCORDANT, -drop);
    (0..n)
        .map(|_| {
            let drawn = generator.next_u64() as f64 / u64::MAX as f64;
            match drawn {
                drawn if drawn < lost => (true, false),
                drawn if drawn < lost + won => (false, true),
                drawn => (drawn < won + ACCURACY, drawn < won + ACCURACY),
            }
        })
        .unzip()
}

/// Six labels, in turn; who is wrong says the next one.
fn outcomes(cells: &[&[bool]]) -> Outcomes {
    let n = cells.first().map_or(0, |cell| cell.len());
    let origin = Origin { dataset: "simulated".into(), split: "test".into(), files: Vec::new(), skipped: 0 };
    let labels = (0..LABELS).map(|label| format!("label {label}")).collect();
    let digest = Digest::of_bytes(b"simulated");
    let cell = |(i, right): (usize, &&[bool])| CellOutcomes {
        id: i.to_string(),
        choices: Choices {
            model: "m".into(),
            prompt: i.to_string(),
            readout: "r".into(),
            slice: "s".into(),
            task: embed_bench::spec::TaskKind::LabelSimilarity,
            labels: "l".into(),
            transform: "none".into(),
            calibration: "none".into(),
        },
        answers: Ok(Answers::Labels(right.iter().enumerate().map(|(i, right)| (i + usize::from(!right)) % LABELS).collect())),
        gold_margins: Vec::new(),
    };
    Outcomes {
        finished: None,
        name: "simulated".into(),
        engine: "1".into(),
        gate: None,
        correction: Correction::Holm,
        seconds: None,
        devices: BTreeMap::new(),
        meanings: BTreeMap::new(),
        slices: vec![SliceRecord {
            id: "s".into(),
            digest,
            kind: Kind::Classification,
            labels,
            samples: n,
            origin,
            mteb: None,
        }],
        gold: BTreeMap::from([("s".into(), (0..n).map(|i| i % LABELS).collect())]),
        pairs: BTreeMap::new(),
        tasks: Vec::new(),
        texts: BTreeMap::new(),
        cells: cells.iter().enumerate().map(cell).collect(),
    }
}

/// 1,000 cells of 10,000 samples, with Holm over all.
fn large() {
    let runs: Vec<_> = (0..1000).map(|seed| systems(10_000, 0.01, seed)).collect();
    let before = outcomes(&runs.iter().map(|(before, _)| before.as_slice()).collect::<Vec<_>>());
    let after = outcomes(&runs.iter().map(|(_, after)| after.as_slice()).collect::<Vec<_>>());
    let start = Instant::now();
    let judged = Judgements::of(&compare(&before, &after, &Terms::default()), &Gate::default(), None);
    println!(
        "1000 cells x 10000 samples: {:.2} s, {} regressed",
        start.elapsed().as_secs_f64(),
        judged.count(Verdict::Regressed)
    );
}
