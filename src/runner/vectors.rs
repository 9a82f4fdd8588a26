//! Vectors of a set of texts, read from the cache: all at once where they are few, in blocks where they are scored.

use std::ops::Range;

use rayon::prelude::*;

use super::{Desk, Embedded};
use crate::cache::{CacheError, Found, Key, Shelf};
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::plan::{self, Reading};
use crate::task::Texts;
use crate::transform::Length;

const LOST: &str = "a vector is missing from the cache; run again";

/// A set of texts on a shelf: one vector per text, fused from what each view of its prompt reads.
pub struct Stored<'a> {
    shelf: &'a Shelf,
    found: &'a Found,
    /// One list of keys per view, at least one.
    views: Vec<Vec<Key>>,
    reading: &'a Reading,
}

impl Desk<'_> {
    /// Where the vectors that a readout hands out of a set of texts lie.
    ///
    /// # Errors
    /// The reason why there are none.
    pub fn stored<'a>(&'a self, set: plan::Texts, readout: usize, embedded: &'a Embedded) -> Result<Stored<'a>, String> {
        self.stored_of(set, readout, embedded, None)
    }

    /// The same of some of the texts, given by their places in the set.
    pub(super) fn stored_of<'a>(
        &'a self,
        set: plan::Texts,
        readout: usize,
        embedded: &'a Embedded,
        some: Option<&[usize]>,
    ) -> Result<Stored<'a>, String> {
        let Embedded { found, failures } = embedded;
        let lost = || LOST.to_owned();
        let rows = &self.work.rows;
        let reading = self.work.readings.get(&(readout, set)).ok_or_else(lost)?;
        let blocks = self.work.blocks.get(&set).ok_or_else(lost)?;
        let mut keys = Vec::new();
        for (block, view) in blocks.iter().zip(&reading.views) {
            let naming = view.naming();
            let key = |&row| naming.key(rows.row(row));
            let of_view: Vec<Key> = match some {
                None => block.rows.par_iter().map(key).collect(),
                Some(places) => places.iter().map(|&place| key(&block.rows[place])).collect(),
            };
            if let Some(missing) = of_view.par_iter().position_first(|key| !found.contains(key)) {
                let missing = some.map_or(missing, |places| places[missing]);
                return Err(failures.get(&block.rows[missing]).cloned().unwrap_or_else(lost));
            }
            keys.push(of_view);
        }
        if keys.is_empty() { Err(lost()) } else { Ok(Stored { shelf: &self.shelf, found, views: keys, reading }) }
    }

    /// Vectors of a set of texts, one row per text. The inner error is the reason why there are none.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub fn vectors(&self, set: plan::Texts, readout: usize, embedded: &Embedded) -> Result<Result<Embeddings, String>, Error> {
        match self.stored(set, readout, embedded) {
            Ok(stored) => Ok(Ok(stored.all()?)),
            Err(reason) => Ok(Err(reason)),
        }
    }
}

impl Stored<'_> {
    /// Whether vectors are to be scaled to unit length.
    pub(super) const fn normalize(&self) -> bool {
        self.reading.normalize
    }

    /// What transforms see of vectors: as the readout hands them out.
    pub const fn length(&self) -> Length {
        if self.reading.normalize { Length::Unit } else { Length::Own }
    }

    /// All of them, in order.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub fn all(&self) -> Result<Embeddings, CacheError> {
        self.some(0..self.count())
    }

    /// Some that stand together, in order.
    pub(super) fn some(&self, texts: Range<usize>) -> Result<Embeddings, CacheError> {
        let views = self.views.iter().zip(&self.reading.views);
        let views = views.map(|(keys, view)| self.shelf.read(self.found, &keys[texts.clone()], view.dim));
        Ok(self.reading.fuse(views.collect::<Result<_, _>>()?))
    }
}

impl Texts for Stored<'_> {
    type Error = CacheError;

    fn count(&self) -> usize {
        self.views.first().map_or(0, Vec::len)
    }

    fn width(&self) -> usize {
        self.reading.width()
    }

    fn parts(&self) -> Vec<usize> {
        self.reading.parts()
    }

    fn visit(&self, take: &mut dyn FnMut(&[usize], &Embeddings)) -> Result<(), CacheError> {
        let Some((first, others)) = self.views.split_first() else { return Ok(()) };
        let dims: Vec<usize> = self.reading.views.iter().map(|view| view.dim).collect();
        self.shelf.visit(self.found, first, dims[0], &mut |positions, block| {
            if others.is_empty() && self.reading.is_plain() {
                take(positions, block);
                return Ok(());
            }
            // Rows of the other views lie close together too: all views were saved in the order of their lengths.
            let mut views = vec![block.clone()];
            for (keys, dim) in others.iter().zip(&dims[1..]) {
                let keys: Vec<Key> = positions.iter().map(|&position| keys[position]).collect();
                views.push(self.shelf.read(self.found, &keys, *dim)?);
            }
            take(positions, &self.reading.fuse(views));
            Ok(())
        })
    }
}
