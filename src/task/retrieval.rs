//! Retrieval: whether the documents nearest to a query are those that are relevant to it.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::metrics::{MetricInfo, Uncertainty, slice};
use super::search::cosines;
use super::{Metric, TaskError, Vectors, finite, known, optional};
use crate::embeddings::Embeddings;
use crate::stats::{Estimate, RESAMPLES, bootstrap_means, number, wilson};

/// What is measured of every query, in the order of its numbers: means over queries are metrics of these names.
pub const QUERY_FIGURES: [&str; 10] = [
    "ndcg_at_10",
    "map",
    "mrr",
    "ndcg_at_1",
    "ndcg_at_100",
    "recall_at_1",
    "recall_at_10",
    "recall_at_100",
    "precision_at_1",
    "precision_at_10",
];

/// Numbers of a query: its figures, how many documents are relevant, and the place of the nearest document.
pub const QUERY_NUMBERS: usize = QUERY_FIGURES.len() + 2;

/// Metrics of retrieval, in their order.
pub const RETRIEVAL_METRICS: &[MetricInfo] = &[
    slice(QUERY_FIGURES[0], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[1], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[2], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[3], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[4], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[5], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[6], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[7], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[8], Uncertainty::Bootstrap),
    slice(QUERY_FIGURES[9], Uncertainty::Bootstrap),
    slice("tied_documents", Uncertainty::None),
    slice("without_relevant", Uncertainty::Wilson),
    slice("documents", Uncertainty::None),
];

const NONE_RELEVANT: &str = "no query has a relevant document";

/// What is sought, and where.
#[derive(Clone, Copy)]
pub struct Retrieval<'a> {
    pub queries: &'a Embeddings,
    /// What is searched.
    pub documents: &'a Embeddings,
    /// For each query the place of the document that it is itself, which it does not look at; empty: there is none.
    pub own: &'a [Option<usize>],
    pub relevance: Relevance<'a>,
    pub ties: Ties<'a>,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// Which documents are relevant to a query.
#[derive(Clone, Copy)]
pub enum Relevance<'a> {
    /// Those of its label, all alike.
    SameLabel { queries: &'a [usize], documents: &'a [usize] },
    /// Those that were judged so: per query, places of documents and their grades above 0. One that a query does not look at is
    /// relevant and not found, as in MTEB.
    Judged(&'a [Vec<(usize, f64)>]),
}

/// What becomes of documents that are equally near.
#[derive(Clone, Copy)]
pub enum Ties<'a> {
    /// Every order is as good: figures are their means over all orders.
    Shared,
    /// That of `trec_eval`: cosines are compared as f32, and of equal ones the document whose id is the last by its bytes goes
    /// first. With a depth, documents behind the first so many are not found.
    ById { ids: &'a [&'a str], depth: Option<usize> },
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Retrieved {
    pub metrics: Vec<Metric>,
    /// Shape: row-major `[queries, QUERY_NUMBERS]`; figures of a query without relevant documents are 0.
    pub numbers: Vec<f64>,
}

/// Ranks all documents by cosine for every query, exactly.
///
/// Of documents that are equally near, every order is as good unless `ties` says otherwise: figures are their means over all
/// orders, so that none depends on the order of the data. Where nothing is tied they are those of `trec_eval` (and so of BEIR and
/// MTEB): gains are grades, discounted by the base-2 logarithm of rank + 1; `map` and `mrr` go through all ranks. Queries without a
/// relevant document are left out of means, where `trec_eval` counts 0. Intervals are percentiles of resamples of the queries.
///
/// Source: `McSherry` and Najork (2008), "Computing information retrieval performance measures efficiently in the presence of tied
/// scores", ECIR.
///
/// # Errors
/// Inputs that cannot be searched: see [`TaskError`].
pub fn retrieval(task: &Retrieval<'_>) -> Result<Retrieved, TaskError> {
    let (queries, documents) = (task.queries, task.documents);
    if queries.is_empty() || documents.is_empty() {
        return Err(TaskError::NoSamples);
    }
    finite(Vectors::Texts, queries)?;
    finite(Vectors::Documents, documents)?;
    let mut numbers = vec![0.0; queries.len() * QUERY_NUMBERS];
    let turns = turns(task.ties);
    let mut tied = 0;
    cosines(queries, documents, &mut |first, rows| {
        let rows = rows.par_chunks_exact(documents.len());
        let numbers = &mut numbers[first * QUERY_NUMBERS..][..rows.len() * QUERY_NUMBERS];
        let counts: Vec<usize> = (numbers.par_chunks_exact_mut(QUERY_NUMBERS).zip(rows).enumerate())
            .map(|(i, (out, row))| task.query(first + i, row, &turns, out))
            .collect();
        tied += counts.iter().sum::<usize>();
    });
    Ok(Retrieved { metrics: metrics(&numbers, tied, documents.len(), task.seed), numbers })
}

/// For each document when its turn is among tied ones, the later the nearer; nothing where ties have no order.
fn turns(ties: Ties<'_>) -> Vec<usize> {
    let Ties::ById { ids, .. } = ties else { return Vec::new() };
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_unstable_by(|&a, &b| ids[a].as_bytes().cmp(ids[b].as_bytes()));
    let mut turns = vec![0; ids.len()];
    order.iter().enumerate().for_each(|(turn, &place)| turns[place] = turn);
    turns
}

impl Retrieval<'_> {
    /// Writes the numbers of one query; returns how many documents share a cosine with a relevant one.
    fn query(&self, query: usize, row: &[f64], turns: &[usize], out: &mut [f64]) -> usize {
        let own = self.own.get(query).copied().flatten();
        let graded: Vec<(usize, f64)> = match self.relevance {
            Relevance::SameLabel { queries, documents } => {
                let relevant = |place: &usize| documents[*place] == queries[query] && Some(*place) != own;
                (0..row.len()).filter(relevant).map(|place| (place, 1.0)).collect()
            }
            Relevance::Judged(grades) => grades[query].clone(),
        };
        let near = |place: usize| match self.ties {
            Ties::Shared => Near { cosine: row[place], turn: 0 },
            Ties::ById { .. } => Near { cosine: single(row[place]), turn: turns[place] },
        };
        let places = || (0..row.len()).filter(|place| Some(*place) != own);
        let nearest = places().reduce(|best, place| if near(place).cmp(near(best)).is_gt() { place } else { best });
        let groups = |near: &dyn Fn(usize) -> Near| {
            let looked_at = graded.iter().filter(|(place, _)| Some(*place) != own);
            let mut relevant: Vec<(Near, f64)> = looked_at.map(|&(place, grade)| (near(place), grade)).collect();
            relevant.sort_by(|a, b| a.0.cmp(b.0));
            Group::all(&relevant, places().map(near))
        };
        let mut found = groups(&near);
        let tied = |groups: &[Group]| groups.iter().filter(|group| group.size > 1).map(|group| group.size).sum();
        let tied = match self.ties {
            Ties::Shared => tied(&found),
            Ties::ById { depth, .. } => {
                found.retain(|group| depth.is_none_or(|depth| group.before < depth));
                tied(&groups(&|place| Near { turn: 0, ..near(place) }))
            }
        };
        let grades: Vec<f64> = graded.iter().map(|(_, grade)| *grade).collect();
        out[..QUERY_FIGURES.len()].copy_from_slice(&figures(&found, &grades));
        out[QUERY_FIGURES.len()] = number(grades.len());
        out[QUERY_FIGURES.len() + 1] = number(nearest.unwrap_or(0));
        tied
    }
}

/// A cosine as f32 has it; the two zeros are one.
#[expect(clippy::cast_possible_truncation, reason = "the definition compares such numbers")]
fn single(cosine: f64) -> f64 {
    f64::from(cosine as f32) + 0.0
}

/// How near a document is: by its cosine and, among equal ones, by its turn.
#[derive(Clone, Copy, Debug, Default)]
struct Near {
    cosine: f64,
    turn: usize,
}

impl Near {
    fn cmp(self, other: Self) -> Ordering {
        self.cosine.total_cmp(&other.cosine).then(self.turn.cmp(&other.turn))
    }
}

/// Documents that are equally near, some of which are relevant.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    near: Near,
    /// Documents that are nearer.
    before: usize,
    size: usize,
    relevant: usize,
    /// Sum of the grades.
    gain: f64,
}

impl Group {
    /// All groups, nearest first. `relevant`: how near they are, ascending, and grades.
    fn all(relevant: &[(Near, f64)], row: impl Iterator<Item = Near>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for &(near, grade) in relevant {
            match groups.last_mut() {
                Some(last) if last.near.cmp(near).is_eq() => {
                    (last.relevant, last.gain) = (last.relevant + 1, last.gain + grade);
                }
                _ => groups.push(Self { near, relevant: 1, gain: grade, ..Self::default() }),
            }
        }
        // Documents between one group and the next, the last ones nearer than all.
        let mut between = vec![0; groups.len() + 1];
        for near in row {
            let place = groups.partition_point(|group| group.near.cmp(near).is_lt());
            match groups.get_mut(place) {
                Some(group) if group.near.cmp(near).is_eq() => group.size += 1,
                _ => between[place] += 1,
            }
        }
        let mut before = between.pop().unwrap_or(0);
        for (group, between) in groups.iter_mut().zip(between).rev() {
            group.before = before;
            before += group.size + between;
        }
        groups.reverse();
        groups
    }

    /// Documents of the group among the first `k` of all.
    fn within(&self, k: usize) -> usize {
        k.saturating_sub(self.before).min(self.size)
    }
}

/// The figures of one query, in the order of [`QUERY_FIGURES`], given what was found and the grades of all relevant documents; zeros
/// without any.
fn figures(groups: &[Group], relevant: &[f64]) -> [f64; QUERY_FIGURES.len()] {
    if relevant.is_empty() {
        return [0.0; QUERY_FIGURES.len()];
    }
    let hits = |k: usize| -> f64 {
        groups.iter().map(|group| number(group.relevant) * number(group.within(k)) / number(group.size)).sum()
    };
    let recall = |k: usize| hits(k) / number(relevant.len());
    let precision = |k: usize| hits(k) / number(k);
    let mut grades = relevant.to_vec();
    grades.sort_by(|a, b| b.total_cmp(a));
    let ndcg = |k: usize| {
        let ideal: f64 = grades.iter().take(k).enumerate().map(|(place, grade)| grade * discount(place)).sum();
        let of = |group: &Group| {
            let discounts: f64 = (group.before..group.before + group.within(k)).map(discount).sum();
            discounts * group.gain / number(group.size)
        };
        groups.iter().map(of).sum::<f64>() / ideal
    };
    [
        ndcg(10),
        average_precision(groups) / number(relevant.len()),
        reciprocal_rank(groups),
        ndcg(1),
        ndcg(100),
        recall(1),
        recall(10),
        recall(100),
        precision(1),
        precision(10),
    ]
}

/// What a gain counts at a place, from 0.
fn discount(place: usize) -> f64 {
    number(place + 2).log2().recip()
}

/// The sum of the precisions at the relevant documents, its mean over all orders of each group.
fn average_precision(groups: &[Group]) -> f64 {
    let mut earlier = 0.0;
    let mut sum = 0.0;
    for group in groups {
        let (size, relevant) = (number(group.size), number(group.relevant));
        // Given that the document here is relevant, those before it in the group are so by chance.
        let chance = if group.size > 1 { (relevant - 1.0) / (size - 1.0) } else { 0.0 };
        for place in 0..group.size {
            let found = earlier + 1.0 + number(place) * chance;
            sum += relevant / size * found / number(group.before + place + 1);
        }
        earlier += relevant;
    }
    sum
}

/// One over the rank of the first relevant document, its mean over all orders of its group.
fn reciprocal_rank(groups: &[Group]) -> f64 {
    let Some(group) = groups.first() else { return 0.0 };
    // The chance that the first relevant document of the group is the one at this place.
    let mut here = number(group.relevant) / number(group.size);
    let mut sum = 0.0;
    for place in 0..=group.size - group.relevant {
        sum += here / number(group.before + place + 1);
        here *= number(group.size - place - group.relevant) / number((group.size - place - 1).max(1));
    }
    sum
}

fn metrics(numbers: &[f64], tied: usize, documents: usize, seed: u64) -> Vec<Metric> {
    const FIGURES: usize = QUERY_FIGURES.len();
    let all = numbers.len() / QUERY_NUMBERS;
    let asked: Vec<&[f64]> = numbers.chunks_exact(QUERY_NUMBERS).filter(|query| query[FIGURES] > 0.0).collect();
    let figures: [Vec<f64>; FIGURES] = std::array::from_fn(|figure| asked.iter().map(|query| query[figure]).collect());
    let estimates = bootstrap_means(figures.each_ref().map(Vec::as_slice), seed, RESAMPLES);
    let mut metrics: Vec<Metric> = (QUERY_FIGURES.iter().zip(estimates))
        .map(|(name, estimate)| optional(name, (!asked.is_empty()).then_some(estimate), NONE_RELEVANT))
        .collect();
    metrics.push(known("tied_documents", Estimate::exact(number(tied) / number(all), all)));
    metrics.push(known("without_relevant", wilson(all - asked.len(), all)));
    metrics.push(known("documents", Estimate::exact(number(documents), documents)));
    metrics
}

#[cfg(test)]
mod tests;
