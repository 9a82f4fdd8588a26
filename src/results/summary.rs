//! `summary.json`: the headline numbers of every cell, made for diffs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CellRecord, Choices, FORMAT, RunRecord};
use crate::stats::Estimate;

pub(super) const FILE: &str = "summary.json";

#[derive(Serialize)]
struct Summary<'a> {
    format: u32,
    name: &'a str,
    reference: Option<&'a str>,
    /// By cell id.
    cells: BTreeMap<&'a str, Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    choices: &'a Choices,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    macro_f1: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spearman: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pearson: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ap: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ap: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_accuracy: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ndcg_at_10: Option<Headline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v_measure: Option<Headline>,
}

#[derive(Serialize)]
struct Headline {
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    n: usize,
}

/// The file's text: cells sorted by id, numbers rounded to six decimals so that the last bits of a platform make no diff.
pub(super) fn json(record: &RunRecord) -> serde_json::Result<String> {
    let summary = Summary {
        format: FORMAT,
        name: &record.provenance.name,
        reference: record.provenance.reference.as_deref(),
        cells: record.cells.iter().map(|cell| (cell.id.as_str(), entry(cell))).collect(),
    };
    Ok(serde_json::to_string_pretty(&summary)? + "\n")
}

fn entry(cell: &CellRecord) -> Entry<'_> {
    let of = |metric: &str| cell.estimate(metric).map(headline);
    Entry {
        choices: &cell.choices,
        status: cell.outcome.status(),
        reason: cell.failure(),
        accuracy: of("accuracy"),
        macro_f1: of("macro_f1"),
        spearman: of("spearman"),
        pearson: of("pearson"),
        ap: of("ap"),
        max_ap: of("max_ap"),
        mean_accuracy: of("mean_accuracy"),
        ndcg_at_10: of("ndcg_at_10"),
        v_measure: of("v_measure"),
    }
}

fn headline(Estimate { value, interval, n }: Estimate) -> Headline {
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    Headline {
        value: rounded(value),
        low: interval.map(|interval| rounded(interval.low)),
        high: interval.map(|interval| rounded(interval.high)),
        n,
    }
}
