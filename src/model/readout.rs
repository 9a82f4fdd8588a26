//! Reading taps out of a pass: picks or averages states and applies the final norm, in f32 and in one place.

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
    /// The states of all positions. Shape: `[tokens, hidden]`.
    All(Vec<f32>),
}

/// What a tap read at the shared beginning of the rows.
pub(super) enum Beginning {
    /// Nothing: the last token is never there.
    None,
    /// The state of the first token.
    First(Vec<f32>),
    /// The sum of all states.
    Sum(Vec<f64>),
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
        let at = |pool: Pool| self.here().any(|(_, tap)| tap.layer == layer && tap.pool == pool);
        match (at(Pool::Mean), at(Pool::Cls), at(Pool::Last)) {
            (true, ..) => Some(Queries::All),
            (false, false, false) => None,
            (false, first, last) => Some(Queries::Ends { first, last }),
        }
    }

    /// Reads the taps of one layer. Shape: `[positions, hidden]`, with `at` saying which positions of `rows`.
    pub fn read(&mut self, layer: usize, hidden: &Tensor, at: Queries, rows: &Packed) -> Result<()> {
        let taps: Vec<(usize, Tap)> = self.here().filter(|(_, tap)| tap.layer == layer).collect();
        for (i, tap) in taps {
            let index = |end: usize| match tap.pool {
                Pool::Cls => at.first(rows, rows.chain(end)[0]),
                Pool::Last | Pool::Mean => at.last(rows, end),
            };
            if tap.pool == Pool::Mean {
                self.found[i] = Some(Found::All(values(&self.ending.apply(tap, hidden.clone())?)?));
                continue;
            }
            let picked: Vec<u32> = rows.ends().iter().map(|&end| u32::try_from(index(end)).unwrap_or(u32::MAX)).collect();
            let picked = Tensor::from_vec(picked, rows.ends().len(), hidden.device())?;
            self.found[i] = Some(Found::Picked(values(&self.ending.apply(tap, hidden.index_select(&picked, 0)?)?)?));
        }
        Ok(())
    }

    /// What was read, where the pass was over one row that is the beginning of others.
    pub fn beginnings(self) -> Vec<Beginning> {
        let widths = self.widths();
        (self.found.into_iter().zip(widths))
            .map(|(found, width)| match found {
                None => Beginning::None,
                Some(Found::Picked(state)) => Beginning::First(state),
                Some(Found::All(states)) => Beginning::Sum(sum(&states, width, vec![0.0; width])),
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
                    (Some(Found::All(states)), beginning) => means(&states, rows, width, beginning),
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

/// Means in f64, summed token by token from the first one of the text: the same bits with and without sharing.
fn means(states: &[f32], rows: &Packed, hidden: usize, beginning: Option<(usize, &Beginning)>) -> Vec<f32> {
    let mean = |&end: &usize| {
        let (before, start) = match beginning {
            Some((length, Beginning::Sum(sum))) => (length, sum.clone()),
            _ => (0, vec![0.0; hidden]),
        };
        let chain = rows.chain(end).into_iter().map(|segment| rows.range(segment));
        let total = chain.fold(start, |start, range| sum(&states[range.start * hidden..range.end * hidden], hidden, start));
        #[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^53 tokens")]
        let count = (before + rows.before(end) + rows.range(end).len()) as f64;
        total.into_iter().map(move |total| narrow(total / count))
    };
    rows.ends().iter().flat_map(mean).collect()
}

fn sum(states: &[f32], hidden: usize, mut total: Vec<f64>) -> Vec<f64> {
    for state in states.chunks_exact(hidden) {
        for (total, value) in total.iter_mut().zip(state) {
            *total += f64::from(*value);
        }
    }
    total
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

fn values(states: &Tensor) -> Result<Vec<f32>> {
    states.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
