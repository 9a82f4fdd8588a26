//! Vectors of a set of texts, read from the cache: all at once where they are few, in blocks where they are scored.

use std::ops::Range;

use rayon::prelude::*;

use super::{Desk, Failures};
use crate::cache::{CacheError, Found, Key, Shelf};
use crate::embed::Resolved;
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::plan::Block;
use crate::task::Texts;

const LOST: &str = "a vector is missing from the cache; run again";

/// A set of texts on a shelf: one vector per text, the views of its prompt fused by the mean of their raw vectors.
pub struct Stored<'a> {
    shelf: &'a Shelf,
    found: &'a Found,
    /// One list of keys per view, at least one.
    views: Vec<Vec<Key>>,
    dim: usize,
}

impl Desk<'_> {
    /// Where the vectors of a set of texts lie. The error is the reason why there are none.
    pub(super) fn stored<'a>(
        &'a self,
        views: &[Block],
        readout: &Resolved,
        found: &'a Found,
        failures: &Failures,
    ) -> Result<Stored<'a>, String> {
        let (rows, readout_key) = (&self.work.rows, readout.key());
        let mut keys = Vec::new();
        for block in views {
            let of_view: Vec<Key> = block.rows.par_iter().map(|&row| Key::new(&readout_key, &rows[row])).collect();
            if let Some(missing) = of_view.iter().position(|key| !found.contains(key)) {
                let reason = failures.get(&block.rows[missing]);
                return Err(reason.cloned().unwrap_or_else(|| LOST.to_owned()));
            }
            keys.push(of_view);
        }
        if keys.is_empty() {
            Err(LOST.to_owned())
        } else {
            Ok(Stored { shelf: &self.shelf, found, views: keys, dim: readout.dim })
        }
    }

    /// Vectors of a set of texts, one row per text. The inner error is the reason why there are none.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub fn vectors(
        &self,
        views: &[Block],
        readout: &Resolved,
        found: &Found,
        failures: &Failures,
    ) -> Result<Result<Embeddings, String>, Error> {
        match self.stored(views, readout, found, failures) {
            Ok(stored) => Ok(Ok(stored.all()?)),
            Err(reason) => Ok(Err(reason)),
        }
    }
}

impl Stored<'_> {
    /// All of them, in order.
    fn all(&self) -> Result<Embeddings, CacheError> {
        self.part(0..self.count())
    }

    /// Some that stand together, in order.
    pub(super) fn part(&self, texts: Range<usize>) -> Result<Embeddings, CacheError> {
        let views = self.views.iter().map(|keys| self.shelf.read(self.found, &keys[texts.clone()], self.dim));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        Ok(Embeddings::mean(&views).unwrap_or_else(|| Embeddings::new(self.dim)))
    }
}

impl Texts for Stored<'_> {
    type Error = CacheError;

    fn count(&self) -> usize {
        self.views.first().map_or(0, Vec::len)
    }

    fn width(&self) -> usize {
        self.dim
    }

    fn visit(&self, take: &mut dyn FnMut(&[usize], &Embeddings)) -> Result<(), CacheError> {
        let Some((first, others)) = self.views.split_first() else { return Ok(()) };
        self.shelf.visit(self.found, first, self.dim, &mut |positions, block| {
            if others.is_empty() {
                take(positions, block);
                return Ok(());
            }
            // Rows of the other views lie close together too: all views were saved in the order of their lengths.
            let mut views = vec![block.clone()];
            for keys in others {
                let keys: Vec<Key> = positions.iter().map(|&position| keys[position]).collect();
                views.push(self.shelf.read(self.found, &keys, self.dim)?);
            }
            Embeddings::mean(&views).iter().for_each(|fused| take(positions, fused));
            Ok(())
        })
    }
}
