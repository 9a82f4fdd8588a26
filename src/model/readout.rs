//! Reading taps out of a pass: picks or pools states and applies the final norm, in f32 and in one place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use super::description::Description;
use super::layers::{Linear, NormLayer};
use super::packed::{Packed, Queries};
use super::pooling::{Pool, Tap};
use crate::embeddings::Embeddings;

/// Collects what a pass's taps read.
pub(super) struct Reader<'a> {
    taps: &'a [Tap],
    /// Whether this pass answers a tap; the others are answered by the shared beginning alone, or not at all.
    read_here: &'a [bool],
    ending: Ending<'a>,
    found: Vec<Option<Found>>,
}

/// What makes the last state of the last block's output.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    pub description: &'a Description,
    pub norm: Option<&'a NormLayer>,
    pub project: Option<&'a Linear>,
}

impl Ending<'_> {
    /// What a tap reads of states of its layer.
    fn apply(&self, tap: Tap, states: Tensor) -> Result<Tensor> {
        let last = tap.layer == self.description.layers;
        let normed = match self.norm.filter(|_| tap.norm || last) {
            Some(norm) => norm.forward(&states)?,
            None => states,
        };
        match self.project.filter(|_| last) {
            Some(project) => project.forward(&normed),
            None => Ok(normed),
        }
    }
}

/// What was read for one tap.
enum Found {
    /// One state per text. Shape: `[texts, hidden]`.
    Picked(Vec<f32>),
    /// The states of all positions, in common to the taps that read them. Shape: `[tokens, hidden]`.
    All(Arc<Vec<f32>>),
}

/// What a tap read at the shared beginning of the rows.
pub(super) enum Beginning {
    /// Nothing: the last token is never there.
    None,
    /// The state of the first token.
    First(Vec<f32>),
    /// What all of its states come to so far.
    Pooled(Fold),
    /// The states themselves: each text has a slot of its own that may begin there. Shape: `[tokens, hidden]`.
    All(Arc<Vec<f32>>),
}

impl<'a> Reader<'a> {
    pub fn new(taps: &'a [Tap], read_here: &'a [bool], ending: Ending<'a>) -> Self {
        Self { taps, read_here, ending, found: taps.iter().map(|_| None).collect() }
    }

    /// The highest layer that this pass has to reach, if any.
    pub fn top(&self) -> Option<usize> {
        self.here().map(|(_, tap)| tap.layer).max()
    }

    /// The positions of layer `layer` that are read, if it is the last one to be computed.
    pub fn asked(&self, layer: usize) -> Option<Queries> {
        let any = |wanted: fn(Tap) -> bool| self.here().any(|(_, tap)| tap.layer == layer && wanted(tap));
        match (any(|tap| !tap.reads_first() && !tap.reads_last()), any(Tap::reads_first), any(Tap::reads_last)) {
            (true, ..) => Some(Queries::All),
            (false, false, false) => None,
            (false, first, last) => Some(Queries::Ends { first, last }),
        }
    }

    /// Reads the taps of one layer. Shape: `[positions, hidden]`, with `at` saying which positions of `rows`.
    pub fn read(&mut self, layer: usize, hidden: &Tensor, at: Queries, rows: &Packed) -> Result<()> {
        let taps: Vec<(usize, Tap)> = self.here().filter(|(_, tap)| tap.layer == layer).collect();
        // By whether the final norm is applied.
        let mut all: BTreeMap<bool, Arc<Vec<f32>>> = BTreeMap::new();
        for (i, tap) in taps {
            let first = tap.reads_first();
            if !first && !tap.reads_last() {
                let states = match all.get(&tap.norm) {
                    Some(states) => Arc::clone(states),
                    None => Arc::new(values(&self.ending.apply(tap, hidden.clone())?)?),
                };
                all.insert(tap.norm, Arc::clone(&states));
                self.found[i] = Some(Found::All(states));
                continue;
            }
            let index = |end: usize| if first { at.first(rows, rows.chain(end)[0]) } else { at.last(rows, end) };
            let picked: Vec<u32> = rows.ends().iter().map(|&end| u32::try_from(index(end)).unwrap_or(u32::MAX)).collect();
            let picked = Tensor::from_vec(picked, rows.ends().len(), hidden.device())?;
            self.found[i] = Some(Found::Picked(values(&self.ending.apply(tap, hidden.index_select(&picked, 0)?)?)?));
        }
        Ok(())
    }

    /// What was read, where the pass was over one row that is the beginning of others.
    pub fn beginnings(self) -> Vec<Beginning> {
        let widths = self.widths();
        (self.found.into_iter().zip(self.taps).zip(widths))
            .map(|((found, tap), width)| match found {
                None => Beginning::None,
                Some(Found::Picked(state)) => Beginning::First(state),
                Some(Found::All(states)) if tap.span.is_some() => Beginning::All(states),
                Some(Found::All(states)) => Beginning::Pooled(Fold::new(tap.pool, width).and(&states)),
            })
            .collect()
    }

    /// Width of what each tap reads.
    fn widths(&self) -> Vec<usize> {
        self.taps.iter().map(|tap| self.ending.description.width(tap.layer)).collect()
    }

    /// One matrix per tap, `[texts, width]`; `shared` is the length of a shared beginning and what was read there.
    pub fn embeddings(self, rows: &Packed, shared: Option<(usize, &[Beginning])>) -> Vec<Embeddings> {
        let widths = self.widths();
        (self.found.into_iter().zip(widths).enumerate())
            .map(|(tap, (found, width))| {
                let beginning = shared.map(|(length, taps)| (length, &taps[tap]));
                let values = match (found, beginning) {
                    (Some(Found::Picked(states)), _) => states,
                    (Some(Found::All(states)), beginning) => pooled(self.taps[tap], &states, rows, width, beginning),
                    (None, Some((_, Beginning::First(state)))) => state.repeat(rows.ends().len()),
                    (None, _) => Vec::new(),
                };
                Embeddings::from_values(width, values)
            })
            .collect()
    }

    fn here(&self) -> impl Iterator<Item = (usize, Tap)> + '_ {
        let taps = self.taps.iter().copied().enumerate();
        taps.zip(self.read_here).filter(|(_, here)| **here).map(|(tap, _)| tap)
    }
}

/// One vector per text. Shape: row-major `[texts, width]`.
fn pooled(tap: Tap, states: &[f32], rows: &Packed, width: usize, beginning: Option<(usize, &Beginning)>) -> Vec<f32> {
    let vector = |(text, &end): (usize, &usize)| {
        let span = rows.span(text, tap.span);
        let (offset, start) = match beginning {
            Some((length, Beginning::Pooled(fold))) => (length, fold.clone()),
            Some((length, Beginning::All(first))) => {
                (length, Fold::new(tap.pool, width).and(within(first, width, 0..length, &span)))
            }
            Some((length, Beginning::None | Beginning::First(_))) => (length, Fold::new(tap.pool, width)),
            None => (0, Fold::new(tap.pool, width)),
        };
        let chain = rows.chain(end).into_iter().map(|segment| (offset + rows.before(segment), rows.range(segment)));
        let whole = chain.fold(start, |fold, (place, range)| {
            let states = &states[range.start * width..range.end * width];
            fold.and(within(states, width, place..place + range.len(), &span))
        });
        whole.vector()
    };
    rows.ends().iter().enumerate().flat_map(vector).collect()
}

/// Of the states of a text's tokens `place`, those that `span` holds.
fn within<'s>(states: &'s [f32], width: usize, place: Range<usize>, span: &Range<usize>) -> &'s [f32] {
    let at = |token: usize| (token.clamp(place.start, place.end) - place.start) * width;
    &states[at(span.start)..at(span.end).max(at(span.start))]
}

/// States on the way to one vector, taken in f64 and token by token from the first one on: the same bits wherever a text is
/// divided into shared and own parts.
#[derive(Clone)]
pub(super) struct Fold {
    pool: Pool,
    total: Vec<f64>,
    tokens: f64,
}

impl Fold {
    fn new(pool: Pool, width: usize) -> Self {
        Self { pool, total: vec![0.0; width], tokens: 0.0 }
    }

    /// The states that follow. Shape: `[tokens, width]`.
    fn and(mut self, states: &[f32]) -> Self {
        for state in states.chunks_exact(self.total.len()) {
            let first = self.tokens < 1.0;
            self.tokens += 1.0;
            let values = self.total.iter_mut().zip(state.iter().map(|value| f64::from(*value)));
            match self.pool {
                Pool::Mean => values.for_each(|(total, value)| *total += value),
                Pool::WeightedMean => values.for_each(|(total, value)| *total += self.tokens * value),
                // What is not a number stays, so that it is found.
                Pool::Max => values.filter(|(total, value)| first || value.is_nan() || *value > **total).for_each(keep),
                Pool::Cls => values.filter(|_| first).for_each(keep),
                Pool::Last => values.for_each(keep),
            }
        }
        self
    }

    fn vector(self) -> impl Iterator<Item = f32> {
        let weight = match self.pool {
            Pool::Mean => self.tokens,
            Pool::WeightedMean => self.tokens * (self.tokens + 1.0) / 2.0,
            Pool::Max | Pool::Cls | Pool::Last => 1.0,
        };
        self.total.into_iter().map(move |total| narrow(total / weight))
    }
}

fn keep((total, value): (&mut f64, f64)) {
    *total = value;
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

fn values(states: &Tensor) -> Result<Vec<f32>> {
    states.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
