//! Scores cells of texts against labels.

use super::{Done, Read, Scoring};
use crate::cause::told;
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::plan::{Against, Cell};
use crate::results::Outcome;
use crate::spec::Calibration;
use crate::task::{self, Evaluation, Evaluations, LabelSimilarity, Worded};
use crate::transform::Transformed;

/// What the texts of one cell are held against.
struct Sides<'a> {
    calibration: Calibration,
    /// Vectors of the phrasings, and the label of each, for each label set that is averaged.
    wordings: Vec<(Embeddings, &'a [usize])>,
    content_free: Option<Embeddings>,
}

impl Scoring<'_> {
    /// Scores cells of the same texts, which are read for all of them together.
    pub(super) fn labels(&self, cells: &[&Cell], read: Read<'_>, done: Done<'_>) -> Result<(), Error> {
        let slice = &self.plan.slices[cells[0].slice];
        let gold: Vec<usize> = slice.samples.iter().filter_map(|sample| sample.gold.label()).collect();
        let sides = cells.iter().map(|cell| self.sides(cell, &read)).collect::<Result<Vec<_>, _>>()?;
        let sound: Vec<&Sides<'_>> = sides.iter().filter_map(|sides| sides.as_ref().ok()).collect();
        let wordings: Vec<Vec<Worded<'_>>> = (sound.iter())
            .map(|sides| sides.wordings.iter().map(|(phrasings, owner)| Worded { phrasings, owner }).collect())
            .collect();
        let tasks: Vec<LabelSimilarity<'_>> = (sound.iter().zip(&wordings))
            .map(|(sides, wordings)| LabelSimilarity {
                gold: &gold,
                wordings,
                labels: slice.labels.len(),
                calibration: sides.calibration,
                content_free: sides.content_free.as_ref(),
                seed: self.plan.spec.seed,
            })
            .collect();
        let mut evaluations = match read.by {
            Some(by) => task::label_similarity(&Transformed { texts: &read.texts, by }, &tasks)?,
            None => task::label_similarity(&read.texts, &tasks)?,
        };
        // One at a time, and without the keys of the texts: of a million samples each takes a hundred MiB until it is recorded.
        let by = read.by;
        drop(read);
        for (cell, sides) in cells.iter().zip(&sides) {
            let evaluation = sides.as_ref().map_err(Clone::clone).and_then(|_| next(&mut evaluations));
            let outcome = match evaluation {
                Ok(evaluation) => Outcome::Scored(self.scored(cell, evaluation, by)),
                Err(reason) => Outcome::Failed { reason },
            };
            done(cell, outcome)?;
        }
        Ok(())
    }

    /// The vectors of a cell's labels, transformed as its texts are. The inner error is why there are none.
    fn sides(&self, cell: &Cell, read: &Read<'_>) -> Result<Result<Sides<'_>, String>, Error> {
        let Against::Labels { calibration, .. } = cell.scored else {
            return Ok(Err("it has no labels".to_owned()));
        };
        let mut wordings = Vec::new();
        for (labels, texts) in cell.wordings(&self.plan.spec) {
            match self.transformed(texts, read)? {
                Ok(vectors) => wordings.push((vectors, self.plan.wordings[labels][cell.slice].owner.as_slice())),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let content_free = match cell.content_free().map(|texts| self.transformed(texts, read)).transpose()? {
            Some(Err(reason)) => return Ok(Err(reason)),
            Some(Ok(vectors)) => Some(vectors),
            None => None,
        };
        Ok(Ok(Sides { calibration, wordings, content_free }))
    }
}

fn next(evaluations: &mut Evaluations<'_>) -> Result<Evaluation, String> {
    let evaluation = evaluations.next().ok_or_else(|| "it was not scored".to_owned())?;
    evaluation.map_err(|error| told(&error))
}
