//! How often 95 % intervals hold the truth, in samples drawn from what is known: `cargo bench --bench coverage`. The table is in
//! results/README.md. `-- WORDS SEED` takes only the rows whose name holds the words, and other samples.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]
#![expect(clippy::cast_precision_loss, reason = "counts of trials and draws of a generator")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places that are drawn, below a count")]

use embed_bench::stats::{Agreement, Clusters, Interval, Resampled, Scale, Table, jackknife_all, paired_accuracy, wilson};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

const SIZES: [usize; 4] = [20, 50, 167, 1000];

/// How frequent labels are.
const SIX: &[f64] = &[0.3, 0.25, 0.2, 0.1, 0.1, 0.05];
const EVEN: &[f64] = &[1.0 / 6.0; 6];
const TWENTY: &[f64] =
    &[0.2, 0.13, 0.1, 0.08, 0.07, 0.06, 0.05, 0.04, 0.04, 0.03, 0.03, 0.03, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01];

/// Pairs that are the same.
const SAME: f64 = 0.3;
/// Samples that two systems tell apart, and how much better the second is.
const DISCORDANT: f64 = 0.1;
const BETTER: f64 = 0.03;

/// One trial on so many samples: the interval, and the truth.
type Trial = Box<dyn Fn(&mut Draws, usize) -> (Option<Interval>, f64) + Sync>;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let (part, seed) = (words.next().unwrap_or_default(), words.next().and_then(|seed| seed.parse().ok()).unwrap_or(0));
    let sizes: Vec<String> = SIZES.iter().map(|n| format!("n = {n}")).collect();
    println!("| interval | {} |\n|---|--:|--:|--:|--:|", sizes.join(" | "));
    for (name, trial) in singles().into_iter().chain(differences()).filter(|(name, _)| name.contains(&part)) {
        let shares: Vec<String> = SIZES.iter().map(|&n| share(&trial, n, seed)).collect();
        println!("| {name} | {} |", shares.join(" | "));
    }
}

/// How often each is tried.
const fn trials(n: usize) -> u64 {
    if n < 1000 { 2000 } else { 1000 }
}

fn share(trial: &Trial, n: usize, seed: u64) -> String {
    let all = trials(n);
    let trials = (seed * all..(seed + 1) * all).into_par_iter().map(|seed| trial(&mut Draws::new(seed), n));
    let held = |(interval, truth): (Option<Interval>, f64)| interval.map(|ends| (ends.low..=ends.high).contains(&truth));
    let found: Vec<bool> = trials.filter_map(held).collect();
    let held = found.iter().filter(|held| **held).count();
    // Where there is no interval, nothing is claimed: that is told beside the share.
    let silent = all - found.len() as u64;
    let without = if silent == 0 { String::new() } else { format!(" ({silent} without)") };
    format!("{:.1} %{without}", 100.0 * held as f64 / found.len().max(1) as f64)
}

/// Figures of one system.
fn singles() -> Vec<(&'static str, Trial)> {
    vec![
        ("accuracy, Wilson", Box::new(accuracy)),
        ("accuracy of pairs in groups, BCa", Box::new(grouped)),
        ("macro F1 0.71, six labels, odds", macro_f1(SIX, 0.7)),
        ("macro F1 0.92, six even labels, odds", macro_f1(EVEN, 0.9)),
        ("macro F1 0.55, twenty labels, odds", macro_f1(TWENTY, 0.6)),
        ("Spearman 0.48, BCa", correlation(0.5)),
        ("Spearman 0.79, BCa", correlation(0.8)),
        ("average precision 0.65, BCa", precision(1.2)),
        ("average precision 0.92, BCa", precision(2.5)),
        ("mean of queries 0.50, BCa", mean(1.6, 0.3)),
        ("mean of queries 0.09, BCa", mean(2.0, 1.4)),
        ("V-measure, six labels, jackknife", v_measure(6)),
        ("V-measure, twenty labels, jackknife", v_measure(20)),
    ]
}

/// Figures of two systems on the same samples, that agree on about half of what chance decides.
fn differences() -> Vec<(&'static str, Trial)> {
    vec![
        ("difference of accuracies, Tango", Box::new(accuracy_difference)),
        ("difference of accuracies in groups, Student", Box::new(grouped_difference)),
        ("difference of macro F1, 0 of 0.71, six labels, Student", macro_f1_difference(SIX, [0.7, 0.7])),
        ("difference of macro F1, 0.14 of 0.85, six labels, Student", macro_f1_difference(SIX, [0.7, 0.85])),
        ("difference of macro F1, 0.02 of 0.94, six even labels, Student", macro_f1_difference(EVEN, [0.9, 0.93])),
        ("difference of macro F1, 0 of 0.55, twenty labels, Student", macro_f1_difference(TWENTY, [0.6, 0.6])),
        ("difference of Spearmans, 0 of 0.79, Zou", correlation_difference(Agreement::rank, [0.8, 0.8], true_spearman)),
        ("difference of Spearmans, 0.30 of 0.79, Zou", correlation_difference(Agreement::rank, [0.5, 0.8], true_spearman)),
        ("difference of Pearsons, 0 of 0.80, Zou", correlation_difference(Agreement::linear, [0.8, 0.8], |linear| linear)),
        ("difference of average precisions, 0 of 0.65, Student", precision_difference([1.2, 1.2])),
        ("difference of average precisions, 0.16 of 0.81, Student", precision_difference([1.2, 1.8])),
        ("difference of means of queries, 0 of 0.09, Student", mean_difference()),
        ("difference of V-measures, 0, six labels, jackknife", v_measure_difference()),
        ("gain in accuracy, mean over three cells, Student", Box::new(gain)),
    ]
}

fn alone(n: usize) -> Clusters {
    Clusters::from_numbers((0..n).collect())
}

fn resampled(figure: &Agreement, n: usize) -> Resampled {
    figure.resampled(&alone(n), 1)
}

fn apart([one, two]: [Agreement; 2], n: usize) -> Option<Interval> {
    resampled(&two, n).minus(&resampled(&one, n)).interval()
}

fn accuracy(draws: &mut Draws, n: usize) -> (Option<Interval>, f64) {
    (wilson((0..n).filter(|_| draws.unit() < 0.75).count(), n).interval, 0.75)
}

fn accuracy_difference(draws: &mut Draws, n: usize) -> (Option<Interval>, f64) {
    let (won, lost) = (f64::midpoint(DISCORDANT, BETTER), f64::midpoint(DISCORDANT, -BETTER));
    let (after, before): (Vec<bool>, Vec<bool>) = (0..n)
        .map(|_| match draws.unit() {
            drawn if drawn < won => (true, false),
            drawn if drawn < won + lost => (false, true),
            drawn => (drawn < 0.75, drawn < 0.75),
        })
        .unzip();
    (paired_accuracy(&after, &before).difference.interval, BETTER)
}

/// Groups of one to five pairs, hard or easy as a whole; two systems that are right about as often.
fn groups(draws: &mut Draws, n: usize) -> (Clusters, [Agreement; 2]) {
    let (mut numbers, mut group, mut left, mut easy) = (Vec::new(), 0, 0, 0.0);
    let right: [Vec<bool>; 2] = (0..n)
        .map(|_| {
            if left == 0 {
                (group, left) = (group + 1, 1 + draws.below(5));
                easy = if draws.unit() < 0.5 { 0.95 } else { 0.55 };
            }
            left -= 1;
            numbers.push(group - 1);
            draws.twice().map(|drawn| drawn < easy)
        })
        .fold([Vec::new(), Vec::new()], |mut both, [one, two]| {
            both[0].push(one);
            both[1].push(two);
            both
        });
    (Clusters::from_numbers(numbers), right.map(Agreement::share))
}

fn grouped(draws: &mut Draws, n: usize) -> (Option<Interval>, f64) {
    let (clusters, [one, _]) = groups(draws, n);
    (one.resampled(&clusters, 1).interval(), 0.75)
}

fn grouped_difference(draws: &mut Draws, n: usize) -> (Option<Interval>, f64) {
    let (clusters, [one, two]) = groups(draws, n);
    (two.resampled(&clusters, 1).minus(&one.resampled(&clusters, 1)).interval(), 0.0)
}

/// What two systems say of labels of these shares: the right one as often as each knows it, else any of them.
fn labelled(draws: &mut Draws, n: usize, shares: &[f64], known: [f64; 2]) -> [Agreement; 2] {
    let gold: Vec<usize> = (0..n).map(|_| draws.label(shares)).collect();
    let mut said = [Vec::with_capacity(n), Vec::with_capacity(n)];
    for &gold in &gold {
        let (knowing, guess) = (draws.twice(), draws.twice());
        for system in 0..2 {
            let guessed = (guess[system] * shares.len() as f64) as usize;
            said[system].push(if knowing[system] < known[system] { gold } else { guessed.min(shares.len() - 1) });
        }
    }
    said.map(|said| Agreement::macro_f1(gold.clone(), said, shares.len()))
}

/// A label's F1 is twice the probability of a hit over the sum of those of being right and of being said.
fn true_macro_f1(shares: &[f64], known: f64) -> f64 {
    let guess = (1.0 - known) / shares.len() as f64;
    let f1 = shares.iter().map(|share| 2.0 * share * (known + guess) / (share + share * known + guess));
    f1.sum::<f64>() / shares.len() as f64
}

fn macro_f1(shares: &'static [f64], known: f64) -> Trial {
    Box::new(move |draws, n| {
        let [one, _] = labelled(draws, n, shares, [known; 2]);
        (resampled(&one, n).interval(), true_macro_f1(shares, known))
    })
}

fn macro_f1_difference(shares: &'static [f64], known: [f64; 2]) -> Trial {
    let [one, two] = known.map(|known| true_macro_f1(shares, known));
    Box::new(move |draws, n| (apart(labelled(draws, n, shares, known), n), two - one))
}

/// How well numbers that are given agree with gold ones.
type Correlation = fn(&[f64], &[f64], &[Vec<usize>]) -> Agreement;

/// Scores of two systems that correlate so with gold ones, and half of whose errors they share.
fn correlated(draws: &mut Draws, n: usize, linear: [f64; 2], by: Correlation) -> [Agreement; 2] {
    let gold: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    let shared: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    linear.map(|linear| {
        let error = |draws: &mut Draws, shared: f64| std::f64::consts::FRAC_1_SQRT_2 * (shared + draws.normal());
        let given = gold
            .iter()
            .zip(&shared)
            .map(|(gold, shared)| linear * gold + (1.0 - linear * linear).sqrt() * error(draws, *shared));
        by(&given.collect::<Vec<f64>>(), &gold, &[])
    })
}

fn true_spearman(linear: f64) -> f64 {
    6.0 / std::f64::consts::PI * (linear / 2.0).asin()
}

fn correlation(linear: f64) -> Trial {
    Box::new(move |draws, n| {
        let [one, _] = correlated(draws, n, [linear; 2], Agreement::rank);
        (resampled(&one, n).interval(), true_spearman(linear))
    })
}

fn correlation_difference(by: Correlation, linear: [f64; 2], truth: fn(f64) -> f64) -> Trial {
    let [one, two] = linear.map(truth);
    Box::new(move |draws, n| (apart(correlated(draws, n, linear, by), n), two - one))
}

/// Scores of two systems that are so many deviations higher for pairs that are the same, and half of whose errors they share.
fn ranked(draws: &mut Draws, n: usize, higher: [f64; 2]) -> [Agreement; 2] {
    let same: Vec<bool> = (0..n).map(|_| draws.unit() < SAME).collect();
    let shared: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    higher.map(|higher| {
        let error = |draws: &mut Draws, shared: f64| std::f64::consts::FRAC_1_SQRT_2 * (shared + draws.normal());
        let given = same.iter().zip(&shared).map(|(&same, &shared)| error(draws, shared) + if same { higher } else { 0.0 });
        Agreement::precision(&[given.collect::<Vec<f64>>()], same.clone())
    })
}

/// Mean over the scores of pairs that are the same of the precision at that score, by the trapezoidal rule.
fn true_precision(higher: f64) -> f64 {
    let above = |score: f64| 0.5 * libm::erfc(score * std::f64::consts::FRAC_1_SQRT_2);
    let density = |score: f64| (-0.5 * score * score).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let at = |score: f64| {
        let (same, other) = (SAME * above(score - higher), (1.0 - SAME) * above(score));
        density(score - higher) * same / (same + other)
    };
    let step = 1e-3;
    (-8000..8000).map(|i| at(f64::from(i) * step) * step).sum()
}

fn precision(higher: f64) -> Trial {
    let truth = true_precision(higher);
    Box::new(move |draws, n| {
        let [one, _] = ranked(draws, n, [higher; 2]);
        (resampled(&one, n).interval(), truth)
    })
}

fn precision_difference(higher: [f64; 2]) -> Trial {
    let [one, two] = higher.map(true_precision);
    Box::new(move |draws, n| (apart(ranked(draws, n, higher), n), two - one))
}

/// Figures of queries: many 0, many 1, evenly between.
fn queries(draws: &mut Draws, n: usize, scale: f64, less: f64) -> [Agreement; 2] {
    let figures: Vec<[f64; 2]> = (0..n).map(|_| draws.twice().map(|drawn| (scale * drawn - less).clamp(0.0, 1.0))).collect();
    [0, 1].map(|system| Agreement::mean(figures.iter().map(|figure| Some(figure[system])).collect()))
}

fn mean(scale: f64, less: f64) -> Trial {
    let steps = 100_000;
    let at = |step: u32| (scale * (f64::from(step) + 0.5) / f64::from(steps) - less).clamp(0.0, 1.0);
    let truth = (0..steps).map(at).sum::<f64>() / f64::from(steps);
    Box::new(move |draws, n| {
        let [one, _] = queries(draws, n, scale, less);
        (resampled(&one, n).interval(), truth)
    })
}

fn mean_difference() -> Trial {
    Box::new(|draws, n| (apart(queries(draws, n, 2.0, 1.4), n), 0.0))
}

/// The gain of one choice over another that is as good, in three cells that share what is hard about a sample.
fn gain(draws: &mut Draws, n: usize) -> (Option<Interval>, f64) {
    let gains: Vec<f64> = (0..n)
        .map(|_| {
            let ease = 0.75 + draws.normal();
            let right = |draws: &mut Draws, with: f64| f64::from(u8::from(ease + with + 0.25 * draws.normal() > 0.0));
            let cell = |draws: &mut Draws| {
                let shared = 0.5 * draws.normal();
                right(draws, shared) - right(draws, shared)
            };
            (cell(draws) + cell(draws) + cell(draws)) / 3.0
        })
        .collect();
    let mean = |counts: &[u32]| {
        let sum: f64 = gains.iter().zip(counts).map(|(gain, &count)| gain * f64::from(count)).sum();
        [Some(sum / f64::from(counts.iter().sum::<u32>()))]
    };
    let [estimate] = jackknife_all(n, Scale::Own, mean, [gains.iter().sum::<f64>() / n as f64]);
    (estimate.interval, 0.0)
}

/// Even labels, and clusters of two systems that hold seven of ten texts of one label, and the others anywhere.
fn clustered(draws: &mut Draws, n: usize, labels: usize) -> (Vec<usize>, [Vec<usize>; 2]) {
    let gold: Vec<usize> = (0..n).map(|_| draws.below(labels)).collect();
    let mut found = [Vec::with_capacity(n), Vec::with_capacity(n)];
    for &gold in &gold {
        let (kept, strayed) = (draws.twice(), draws.twice());
        for system in 0..2 {
            let stray = (strayed[system] * labels as f64) as usize;
            found[system].push(if kept[system] < 0.7 { gold } else { stray.min(labels - 1) });
        }
    }
    (gold, found)
}

/// What is promised is the V-measure that so many texts have on average: that of fewer is higher.
fn v_measure(labels: usize) -> Trial {
    let truths: Vec<(usize, f64)> = SIZES
        .iter()
        .map(|&n| {
            let drawn = (0..20_000_u64).into_par_iter().map(|seed| {
                let (gold, [one, _]) = clustered(&mut Draws::new(u64::MAX - seed), n, labels);
                Table::of(&gold, &one, &vec![1; n]).agreement()[0]
            });
            let drawn: Vec<f64> = drawn.collect();
            (n, drawn.iter().sum::<f64>() / drawn.len() as f64)
        })
        .collect();
    Box::new(move |draws, n| {
        let (gold, [one, _]) = clustered(draws, n, labels);
        let truth = truths.iter().find(|(size, _)| *size == n).map_or(0.0, |(_, truth)| *truth);
        (resampled(&Agreement::parts(gold, one), n).interval(), truth)
    })
}

fn v_measure_difference() -> Trial {
    Box::new(|draws, n| {
        let (gold, found) = clustered(draws, n, 6);
        (apart(found.map(|parts| Agreement::parts(gold.clone(), parts)), n), 0.0)
    })
}

struct Draws(ChaCha8Rng);

impl Draws {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// For two systems: the same number for both, or one for each.
    fn twice(&mut self) -> [f64; 2] {
        let one = self.unit();
        [one, if self.unit() < 0.5 { one } else { self.unit() }]
    }

    fn below(&mut self, many: usize) -> usize {
        (self.0.next_u64() % many as u64) as usize
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn label(&mut self, shares: &[f64]) -> usize {
        let mut left = self.unit();
        let found = shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        found.unwrap_or(shares.len() - 1)
    }
}
