//! How often 95 % intervals hold the truth, in samples drawn from what is known: `cargo bench --bench coverage`. The table is in
//! results/README.md.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]
#![expect(clippy::cast_precision_loss, reason = "counts of trials and draws of a generator")]

use embed_bench::stats::{Agreement, Clusters, Interval, paired_accuracy, wilson};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

const TRIALS: u64 = 2000;
const SIZES: [usize; 4] = [20, 50, 167, 1000];

/// How frequent six labels are, and how often each is recognised; else any of the six is said.
const LABELS: [f64; 6] = [0.3, 0.25, 0.2, 0.1, 0.1, 0.05];
const KNOWN: f64 = 0.7;
/// Pairs that are the same, and how much higher their scores are, in standard deviations.
const SAME: f64 = 0.3;
const HIGHER: f64 = 1.2;
/// Samples that two systems tell apart, and how much better the second is.
const DISCORDANT: f64 = 0.1;
const BETTER: f64 = 0.03;

/// One trial on so many samples: whether the interval holds the truth.
type Trial = fn(&mut Draws, usize) -> Option<bool>;

fn main() {
    let rows: [(&str, Trial); 8] = [
        ("accuracy, Wilson", accuracy),
        ("macro F1 of six labels, BCa", macro_f1),
        ("Spearman 0.48, BCa", |draws, n| correlation(draws, n, 0.5)),
        ("Spearman 0.79, BCa", |draws, n| correlation(draws, n, 0.8)),
        ("average precision, BCa", precision),
        ("difference of accuracies, Tango", accuracy_difference),
        ("difference of macro F1, BCa", macro_f1_difference),
        ("difference of Spearmans, BCa", correlation_difference),
    ];
    let sizes: Vec<String> = SIZES.iter().map(|n| format!("n = {n}")).collect();
    println!("| interval | {} |\n|---|--:|--:|--:|--:|", sizes.join(" | "));
    for (name, trial) in rows {
        let shares: Vec<String> = SIZES.iter().map(|&n| share(trial, n)).collect();
        println!("| {name} | {} |", shares.join(" | "));
    }
}

fn share(trial: Trial, n: usize) -> String {
    let found: Vec<bool> = (0..TRIALS).into_par_iter().filter_map(|seed| trial(&mut Draws::new(seed), n)).collect();
    let held = found.iter().filter(|held| **held).count();
    // Where there is no interval, nothing is claimed: that is told beside the share.
    let silent = TRIALS - found.len() as u64;
    let without = if silent == 0 { String::new() } else { format!(" ({silent} without)") };
    format!("{:.1} %{without}", 100.0 * held as f64 / found.len().max(1) as f64)
}

fn holds(interval: Option<Interval>, truth: f64) -> Option<bool> {
    interval.map(|interval| (interval.low..=interval.high).contains(&truth))
}

fn alone(n: usize) -> Clusters {
    Clusters::from_numbers((0..n).collect())
}

fn accuracy(draws: &mut Draws, n: usize) -> Option<bool> {
    let right = (0..n).filter(|_| draws.unit() < 0.75).count();
    holds(wilson(right, n).interval, 0.75)
}

fn accuracy_difference(draws: &mut Draws, n: usize) -> Option<bool> {
    let (won, lost) = (f64::midpoint(DISCORDANT, BETTER), f64::midpoint(DISCORDANT, -BETTER));
    let (after, before): (Vec<bool>, Vec<bool>) = (0..n)
        .map(|_| match draws.unit() {
            drawn if drawn < won => (true, false),
            drawn if drawn < won + lost => (false, true),
            drawn => (drawn < 0.75, drawn < 0.75),
        })
        .unzip();
    holds(paired_accuracy(&after, &before).difference.interval, BETTER)
}

/// Gold labels and what a system says of them.
fn labelled(draws: &mut Draws, n: usize) -> (Vec<usize>, Vec<usize>) {
    let gold: Vec<usize> = (0..n).map(|_| draws.label()).collect();
    let said = gold.iter().map(|&gold| draws.said(gold)).collect();
    (gold, said)
}

/// A label's F1 is twice the probability of a hit over the sum of those of being right and of being said.
fn true_macro_f1() -> f64 {
    let guess = (1.0 - KNOWN) / 6.0;
    let f1 = LABELS.iter().map(|share| 2.0 * share * (KNOWN + guess) / (share + share * KNOWN + guess));
    f1.sum::<f64>() / 6.0
}

fn macro_f1(draws: &mut Draws, n: usize) -> Option<bool> {
    let (gold, said) = labelled(draws, n);
    holds(Agreement::macro_f1(gold, said, 6).resampled(&alone(n), 1).interval(), true_macro_f1())
}

/// Two systems of the same quality that agree on half of the samples.
fn macro_f1_difference(draws: &mut Draws, n: usize) -> Option<bool> {
    let (gold, one) = labelled(draws, n);
    let two = gold.iter().zip(&one).map(|(&gold, &one)| if draws.unit() < 0.5 { one } else { draws.said(gold) }).collect();
    let [one, two] = [one, two].map(|said: Vec<usize>| Agreement::macro_f1(gold.clone(), said, 6).resampled(&alone(n), 1));
    holds(two.minus(&one).interval(), 0.0)
}

fn correlation(draws: &mut Draws, n: usize, linear: f64) -> Option<bool> {
    let gold: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    let given: Vec<f64> = gold.iter().map(|gold| draws.near(*gold, linear)).collect();
    let truth = 6.0 / std::f64::consts::PI * (linear / 2.0).asin();
    holds(Agreement::rank(&given, &gold, &[]).resampled(&alone(n), 1).interval(), truth)
}

/// Two systems of the same quality whose errors correlate.
fn correlation_difference(draws: &mut Draws, n: usize) -> Option<bool> {
    let gold: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    let shared: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    let [one, two] = [(); 2].map(|()| {
        let given: Vec<f64> =
            gold.iter().zip(&shared).map(|(gold, shared)| 0.8 * gold + 0.6 * draws.near(*shared, 0.7)).collect();
        Agreement::rank(&given, &gold, &[]).resampled(&alone(n), 1)
    });
    holds(two.minus(&one).interval(), 0.0)
}

fn precision(draws: &mut Draws, n: usize) -> Option<bool> {
    let positive: Vec<bool> = (0..n).map(|_| draws.unit() < SAME).collect();
    let given: Vec<f64> = positive.iter().map(|&same| draws.normal() + if same { HIGHER } else { 0.0 }).collect();
    holds(Agreement::precision(&[given], positive).resampled(&alone(n), 1).interval(), true_precision())
}

/// Mean over the scores of pairs that are the same of the precision at that score, by the trapezoidal rule.
fn true_precision() -> f64 {
    let above = |score: f64| 0.5 * libm::erfc(score * std::f64::consts::FRAC_1_SQRT_2);
    let density = |score: f64| (-0.5 * score * score).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let at = |score: f64| {
        let (same, other) = (SAME * above(score - HIGHER), (1.0 - SAME) * above(score));
        density(score - HIGHER) * same / (same + other)
    };
    let step = 1e-3;
    (-8000..8000).map(|i| at(f64::from(i) * step) * step).sum()
}

struct Draws(ChaCha8Rng);

impl Draws {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A normal number that correlates with another one.
    fn near(&mut self, other: f64, linear: f64) -> f64 {
        linear * other + (1.0 - linear * linear).sqrt() * self.normal()
    }

    fn label(&mut self) -> usize {
        let mut left = self.unit();
        LABELS
            .iter()
            .position(|share| {
                left -= share;
                left < 0.0
            })
            .unwrap_or(5)
    }

    fn said(&mut self, gold: usize) -> usize {
        if self.unit() < KNOWN { gold } else { (self.0.next_u64() % 6) as usize }
    }
}
