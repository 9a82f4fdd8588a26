//! Fits the transforms of cells, each once for the cells that share it.

use std::rc::Rc;

use super::vectors::Stored;
use super::{Read, Scoring};
use crate::cache::CacheError;
use crate::cause::told;
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::observe::Event;
use crate::plan::{Cell, Texts};
use crate::results::MetricRow;
use crate::spec::{Transform, TransformRule};
use crate::stats::Estimate;
use crate::transform::{Fitted, Learnt, Ordered, TransformError};

/// The transform that was fitted last, and what was learnt of its texts: cells come in the order of the axes, so those that
/// share one stand together.
#[derive(Default)]
pub(super) struct Fitter {
    fitted: Option<(usize, Place, Result<Rc<Fitted>, String>)>,
    learnt: Option<(Place, Learnt)>,
}

/// Texts that something is fitted on, and the readout.
type Place = (Texts, usize);

impl Fitter {
    /// The transform of a cell, if it has one. The inner error is why it cannot be fitted.
    pub(super) fn fitted(&mut self, scoring: &Scoring<'_>, cell: &Cell) -> Result<Result<Option<Rc<Fitted>>, String>, Error> {
        let (Some(index), Some(texts)) = (cell.transform, scoring.plan.fit(cell)) else { return Ok(Ok(None)) };
        let place = (texts, cell.readout);
        if let Some((known, at, fitted)) = &self.fitted
            && (*known, *at) == (index, place)
        {
            return Ok(fitted.clone().map(Some));
        }
        let transform = &scoring.plan.spec.transforms[index];
        let fitted = match scoring.desk.stored(texts, cell.readout, scoring.embedded) {
            Ok(stored) => self.fit(transform, place, &stored)?,
            Err(reason) => Err(reason),
        };
        if let Ok(fitted) = &fitted {
            scoring.say_what_is_short(cell, transform, fitted);
        }
        let fitted = fitted.map(Rc::new);
        self.fitted = Some((index, place, fitted.clone()));
        Ok(fitted.map(Some))
    }

    fn fit(&mut self, transform: &Transform, place: Place, stored: &Stored<'_>) -> Result<Result<Fitted, String>, CacheError> {
        let rule = transform.rule;
        let said = |error| format!("transform `{}`: {}", transform.id, told(&error));
        let known = self.learnt.as_ref().filter(|(at, _)| *at == place).map(|(_, learnt)| learnt.fitted(rule));
        if let Some(fitted) = known.filter(|fitted| !matches!(fitted, Err(TransformError::NotLearnt))) {
            return Ok(fitted.map_err(said));
        }
        // What other texts taught is given up first: it may be as large as what comes.
        self.learnt = None;
        let learnt = match Learnt::of(rule, stored, stored.length())? {
            Ok(learnt) => learnt,
            Err(error) => return Ok(Err(said(error))),
        };
        let fitted = learnt.fitted(rule).map_err(said);
        self.learnt = Some((place, learnt));
        Ok(fitted)
    }
}

/// The metric that says how many coordinates are left.
pub(super) fn width(by: &Fitted) -> MetricRow {
    let estimate = Some(Estimate::exact(crate::stats::number(by.width()), 1));
    MetricRow { name: "dimensions".to_owned(), label: None, estimate, reason: None }
}

impl Scoring<'_> {
    /// Warns of a transform that keeps fewer dimensions than it was asked for.
    fn say_what_is_short(&self, cell: &Cell, transform: &Transform, fitted: &Fitted) {
        let TransformRule::Whiten { dims: Some(asked), .. } = transform.rule else { return };
        let (kept, plan) = (fitted.width(), self.plan);
        if kept < asked {
            let choices = plan.choices(cell);
            self.desk.observer.observe(Event::Warning(format!(
                "transform `{}` keeps {kept} dimensions, not {asked}: the {} texts that it is fitted on vary in no more under {} / {} / {}",
                transform.id,
                plan.fits[plan.fitted_on[cell.transform.unwrap_or(0)]].texts.len(),
                choices.model,
                choices.prompt,
                choices.readout,
            )));
        }
    }

    /// Vectors of a set of texts, all at once, transformed as those of a cell's samples are. The inner error is why there are
    /// none.
    pub(super) fn transformed(&self, texts: Texts, read: &Read<'_>) -> Result<Result<Embeddings, String>, Error> {
        let vectors = self.desk.vectors(texts, read.readout, self.embedded)?;
        Ok(vectors.map(|vectors| match read.by {
            Some(by) => by.apply(&vectors),
            None => vectors,
        }))
    }
}

impl Ordered for Stored<'_> {
    type Error = CacheError;

    fn count(&self) -> usize {
        crate::task::Texts::count(self)
    }

    fn width(&self) -> usize {
        crate::task::Texts::width(self)
    }

    fn part(&self, range: std::ops::Range<usize>) -> Result<Embeddings, CacheError> {
        self.some(range)
    }
}
