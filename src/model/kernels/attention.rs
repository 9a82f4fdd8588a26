//! Attention of one run of queries over the runs of keys before and beside it.
//!
//! Keys and values of a run are laid out once, for all queries that see them; nothing is copied for a beginning that many
//! texts share. Every score is a product of its own, and values are mixed in one chain from the first key to the last, so a
//! vector's bits do not depend on where its text is divided into runs.

use std::ops::Range;

use super::elementwise::{soft_cap, softmax};
use crate::model::description::Attention;
use crate::products::{Left, Out, Panels, multiply};

/// Queries that are scored at once: their scores stay in the second-level cache.
const QUERIES: usize = 48;

/// Keys and values of consecutive tokens.
pub struct Run {
    tokens: usize,
    heads: Vec<Head>,
}

/// One key-value head of a run.
struct Head {
    /// Shape: `[head_dim, tokens]`.
    keys: Panels<f32>,
    /// Shape: `[tokens, head_dim]`.
    values: Panels<f32>,
}

/// The queries of one text. Shape: `[queries, heads * head_dim]`.
pub struct Heads<'a> {
    pub shape: &'a Attention,
    pub queries: &'a [f32],
    /// Which tokens each query sees, its own run's included; both ends in ascending order.
    pub visible: &'a [Range<usize>],
}

impl Run {
    /// Lays out keys and values. Shape of both: `[tokens, kv_heads * head_dim]`.
    pub fn new(shape: &Attention, keys: &[f32], values: &[f32]) -> Self {
        let Attention { kv_heads, head_dim, .. } = *shape;
        let width = shape.key_width();
        let tokens = keys.len() / width;
        let head = |head: usize| Head {
            keys: Panels::new(head_dim, tokens, |i, token| keys[token * width + head * head_dim + i]),
            values: Panels::new(tokens, head_dim, |token, i| values[token * width + head * head_dim + i]),
        };
        Self { tokens, heads: (0..kv_heads).map(head).collect() }
    }

    /// Tokens of this run.
    pub const fn tokens(&self) -> usize {
        self.tokens
    }
}

/// Mixes the values that each query sees. `runs` are all tokens of the text in order, the queries' own at the end.
///
/// Shape of `out`: `[queries, heads * head_dim]`.
pub fn attend(queries: &Heads<'_>, runs: &[&Run], scores: &mut Vec<f32>, out: &mut [f32]) {
    let Attention { heads, kv_heads, head_dim, .. } = *queries.shape;
    let width = heads * head_dim;
    for (chunk, visible) in queries.visible.chunks(QUERIES).enumerate() {
        let first = chunk * QUERIES * width;
        // The first query of a chunk sees farthest back, the last one farthest ahead.
        let (Some(back), Some(ahead)) = (visible.first(), visible.last()) else { continue };
        let seen: Vec<Span<'_>> = spans(runs, back.start..ahead.end).collect();
        let begin = seen.first().map_or(0, |span| span.begin);
        let stride = ahead.end - begin;
        scores.resize(visible.len() * stride, 0.0);
        for head in 0..heads {
            let kv = head * kv_heads / heads;
            let at = first + head * head_dim;
            let left = Left { values: &queries.queries[at..], rows: visible.len(), stride: width, inputs: head_dim };
            for span in &seen {
                let values = &mut scores[span.begin - begin..];
                let mut out = Out { values, stride, outputs: span.tokens, continued: false };
                multiply(left, &span.run.heads[kv].keys, &mut out);
            }
            for (row, sees) in scores.chunks_exact_mut(stride).zip(visible) {
                weigh(row, sees.start - begin..sees.end - begin, queries.shape);
            }
            for span in &seen {
                let values = &scores[span.begin - begin..];
                let left = Left { values, rows: visible.len(), stride, inputs: span.tokens };
                let continued = span.begin > begin;
                let mut out = Out { values: &mut out[at..], stride: width, outputs: head_dim, continued };
                multiply(left, &span.run.heads[kv].values, &mut out);
            }
        }
    }
}

/// Turns the scores of the tokens that a query sees into weights, those of the others into 0.
fn weigh(row: &mut [f32], sees: Range<usize>, shape: &Attention) {
    row[..sees.start].fill(0.0);
    row[sees.end..].fill(0.0);
    let shown = &mut row[sees];
    #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
    match shape.soft_cap {
        None => softmax(shown, shape.score_scale()),
        Some(cap) => {
            soft_cap(shown, shape.score_scale(), cap as f32);
            softmax(shown, 1.0);
        }
    }
}

/// A run of which some tokens are seen.
struct Span<'a> {
    /// Where it begins in its text.
    begin: usize,
    /// How many of its first tokens count.
    tokens: usize,
    run: &'a Run,
}

/// Runs that hold tokens of `seen`.
fn spans<'a>(runs: &'a [&'a Run], seen: Range<usize>) -> impl Iterator<Item = Span<'a>> {
    let begins = runs.iter().scan(0, |next, run| Some(std::mem::replace(next, *next + run.tokens)));
    begins
        .zip(runs)
        .filter(move |(begin, run)| *begin < seen.end && seen.start < begin + run.tokens)
        .map(move |(begin, run)| Span { begin, tokens: run.tokens.min(seen.end - begin), run })
}

#[cfg(test)]
mod tests {
    use super::super::noise;
    use super::*;

    const SHAPE: Attention = Attention { kv_heads: 2, ..Attention::causal(4, 6) };

    /// Softmax of scaled dot products, value by value in f64.
    fn textbook(queries: &[f32], keys: &[f32], values: &[f32], visible: &[Range<usize>]) -> Vec<f64> {
        let Attention { heads, kv_heads, head_dim, .. } = SHAPE;
        let mut out = Vec::new();
        for (query, seen) in queries.chunks_exact(heads * head_dim).zip(visible) {
            for (head, query) in query.chunks_exact(head_dim).enumerate() {
                let at = |of: &'_ [f32], token: usize, i: usize| {
                    f64::from(of[token * kv_heads * head_dim + head * kv_heads / heads * head_dim + i])
                };
                let score = |token| (0..head_dim).map(|i| f64::from(query[i]) * at(keys, token, i)).sum::<f64>();
                let weights: Vec<f64> = seen.clone().map(|token| (score(token) / 6.0_f64.sqrt()).exp()).collect();
                let total: f64 = weights.iter().sum();
                out.extend((0..head_dim).map(|i| {
                    let mixed = weights.iter().zip(seen.clone()).map(|(weight, token)| weight * at(values, token, i));
                    mixed.sum::<f64>() / total
                }));
            }
        }
        out
    }

    #[test]
    fn runs_are_one_text_wherever_it_is_divided() {
        let tokens = 150;
        let (keys, values) = (noise(tokens * 12, 1), noise(tokens * 12, 2));
        let queries = noise(60 * 24, 3);
        for window in [1, 7, 64, 100, tokens] {
            let visible: Vec<Range<usize>> = (tokens - 59..=tokens).map(|end| end.saturating_sub(window)..end).collect();
            let attend_in = |cuts: &[usize]| {
                let runs: Vec<Run> = (cuts.windows(2))
                    .map(|cut| Run::new(&SHAPE, &keys[cut[0] * 12..cut[1] * 12], &values[cut[0] * 12..cut[1] * 12]))
                    .collect();
                let mut out = vec![0.0; queries.len()];
                let heads = Heads { shape: &SHAPE, queries: &queries, visible: &visible };
                attend(&heads, &runs.iter().collect::<Vec<_>>(), &mut Vec::new(), &mut out);
                out
            };
            let whole = attend_in(&[0, tokens]);
            for (found, wanted) in whole.iter().zip(textbook(&queries, &keys, &values, &visible)) {
                assert!((f64::from(*found) - wanted).abs() < 1e-5, "{found} is not {wanted}");
            }
            for cuts in [&[0, 1, tokens][..], &[0, 63, 65, 90, tokens], &[0, 90, tokens], &[0, 140, tokens]] {
                assert!(attend_in(cuts) == whole, "window {window}, {cuts:?}");
            }
        }
    }
}
