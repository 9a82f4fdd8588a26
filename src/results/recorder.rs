//! Writes a run cell by cell, so that an interruption loses at most the cells that were being scored together.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::polars_err;

use super::atomic::{Staged, publish_durably};
use super::schema::{CELLS, CONFUSION, CUTS, Layout, PLACES, PREDICTIONS, SAMPLES};
use super::{
    CellRecord, Cuts, Gold, Outcome, Places, Provenance, ResultsError, RunRecord, SampleText, SliceRecord, Times, check, cuts,
    partial, run_file, summary, tables,
};
use crate::dataset::Kind;
use crate::digest::Digest;

/// What cells say of single samples that is kept in memory until the end. Unit: bytes.
const ROOM: usize = 128 << 20;

/// Writes the results of one run into its folder.
///
/// Until [`Recorder::finish`], the folder holds what it held before, plus `partial/` with one file per recorded cell. A
/// later recorder of the same folder finds them there.
#[derive(Debug)]
pub struct Recorder {
    dir: PathBuf,
    provenance: Provenance,
    samples: BTreeMap<String, Arc<Vec<SampleText>>>,
    /// Cells recorded here, by id. Reading one back takes time, so what it says of single samples is kept while there is room.
    cells: BTreeMap<String, CellRecord>,
    /// Bytes that are left for that.
    pub(super) room: usize,
    places: Vec<Places>,
    cuts: Vec<Cuts>,
}

impl Recorder {
    /// Opens `dir` (made if need be) for a run. `samples` are the texts of each slice, by the slice's id.
    ///
    /// # Errors
    /// [`ResultsError::Samples`] when the texts are not those of the run's slices, [`ResultsError::Io`] when the folder
    /// cannot be made.
    pub fn start(
        dir: &Path,
        provenance: Provenance,
        samples: BTreeMap<String, Arc<Vec<SampleText>>>,
    ) -> Result<Self, ResultsError> {
        check_samples(&provenance, &samples)?;
        fs::create_dir_all(dir).map_err(ResultsError::io("create", dir))?;
        let (cells, places, cuts) = (BTreeMap::new(), Vec::new(), Vec::new());
        Ok(Self { dir: dir.to_owned(), provenance, samples, cells, room: ROOM, places, cuts })
    }

    /// A cell that an interrupted run already scored, under the same choices, seed and program. Failed cells are not
    /// finished: they deserve another try. Neither is a cell whose file is torn or altered.
    pub fn finished(&self, cell_id: &str) -> Option<CellRecord> {
        self.read(cell_id).filter(|cell| cell.failure().is_none())
    }

    /// Keeps one cell on disk, at once and whole. It is not forced out of the system's buffers: syncing takes longer than
    /// scoring the cell again, and a file that a power cut tore is recognised by its digest.
    ///
    /// # Errors
    /// [`ResultsError::Cell`] when its numbers contradict the slice (another length, an unknown label, a value that is
    /// not finite), [`ResultsError::Io`] when it cannot be written.
    pub fn record(&mut self, cell: CellRecord) -> Result<(), ResultsError> {
        let texts = self.samples.get(&cell.choices.slice).map_or(&[][..], |texts| texts.as_slice());
        check::cell(&cell, &self.provenance, texts).map_err(|source| ResultsError::Cell { cell: cell.id.clone(), source })?;
        partial::write(&self.dir, &cell, &self.provenance)?;
        self.keep(cell);
        Ok(())
    }

    /// Keeps a cell that is on disk in memory too, without its samples where they are too many.
    fn keep(&mut self, cell: CellRecord) {
        let left = self.room.checked_sub(cell.bytes_of_samples());
        let cell = if left.is_some() { cell } else { cell.without_samples() };
        self.room = left.unwrap_or(self.room);
        self.cells.insert(cell.id.clone(), cell);
    }

    /// The cells of these ids that are recorded, those of an interrupted run among them. Some may come without their samples.
    pub fn recorded(&mut self, order: &[String]) -> Vec<&CellRecord> {
        for id in order {
            if !self.cells.contains_key(id)
                && let Some(cell) = self.read(id)
            {
                self.keep(cell);
            }
        }
        order.iter().filter_map(|id| self.cells.get(id)).collect()
    }

    /// Keeps where the texts of some cells lie in planes.
    pub fn place(&mut self, places: Vec<Places>) {
        self.places = places;
    }

    /// Keeps which characters texts lost.
    pub fn cut(&mut self, cuts: Vec<Cuts>) {
        self.cuts = cuts;
    }

    /// Writes the tables and records of the whole run, with the cells in the order given, and drops `partial/`.
    ///
    /// Every file appears whole. `run.json`, which names the digests of the tables, appears last, so that a mixture of two runs
    /// is recognised as such. Determinism: the same cells give the same bytes, but for `times` in `run.json`.
    ///
    /// # Errors
    /// [`ResultsError::NotRecorded`] for a cell of `order` that was not recorded, [`ResultsError::Twice`] for one that
    /// is named twice, [`ResultsError::Io`] and [`ResultsError::Table`] when a file cannot be written.
    pub fn finish(mut self, times: Times, order: &[String]) -> Result<(), ResultsError> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = order.iter().find(|id| !seen.insert(*id)) {
            return Err(ResultsError::Twice { cell: twice.clone() });
        }
        self.recorded(order);
        let lost = |id: &String| ResultsError::NotRecorded { cell: id.clone() };
        let cells = order.iter().map(|id| self.cells.remove(id).ok_or_else(|| lost(id))).collect::<Result<Vec<_>, _>>()?;
        self.provenance.times = times;
        let Self { dir, provenance, samples, places, cuts, .. } = self;
        let record = RunRecord { provenance, samples, cells, places, cuts: Some(cuts) };
        publish(&dir, &record)?;
        let leftovers = partial::folder(&dir);
        fs::remove_dir_all(&leftovers).map_err(ResultsError::io("remove", leftovers))
    }

    fn read(&self, cell_id: &str) -> Option<CellRecord> {
        partial::read(&self.dir, cell_id, &self.provenance, &self.samples)
    }
}

/// Every slice comes with its texts, what is right about each is of the slice's kind, and nothing else comes.
pub(super) fn check_samples(
    provenance: &Provenance,
    samples: &BTreeMap<String, Arc<Vec<SampleText>>>,
) -> Result<(), ResultsError> {
    for slice in &provenance.slices {
        let texts = samples.get(&slice.id).map_or(&[][..], |texts| texts.as_slice());
        let sound = texts.iter().filter(|text| is_sound(text, slice)).count();
        if texts.len() != slice.samples || sound != slice.samples {
            return Err(ResultsError::Samples { slice: slice.id.clone(), found: sound, wanted: slice.samples });
        }
    }
    match samples.iter().find(|(id, _)| provenance.slice(id).is_none()) {
        Some((id, texts)) => Err(ResultsError::Samples { slice: id.clone(), found: texts.len(), wanted: 0 }),
        None => Ok(()),
    }
}

fn is_sound(text: &SampleText, slice: &SliceRecord) -> bool {
    let right = match text.gold {
        Gold::Label(label) => label < slice.labels.len(),
        Gold::Score(score) => slice.kind == Kind::Sts && score.is_finite(),
        Gold::Unlabelled => matches!(slice.kind, Kind::Retrieval | Kind::Documents),
    };
    right && text.partner.is_some() == slice.kind.is_pairs()
}

/// Writes the files of a record. Samples that its cells lack are read back, a cell at a time.
fn publish(dir: &Path, record: &RunRecord) -> Result<(), ResultsError> {
    let whole = record.cells.iter().map(|cell| {
        let samples = record.samples.get(&cell.choices.slice).map_or(0, |texts| texts.len());
        if cell.failure().is_some() || cell.samples() == samples {
            return Ok(Cow::Borrowed(cell));
        }
        let read = partial::read(dir, &cell.id, &record.provenance, &record.samples);
        read.map(Cow::Owned).ok_or_else(
            || polars_err!(ComputeError: "the file of cell {} in {} is gone", cell.id, partial::folder(dir).display()),
        )
    });
    let staging = partial::folder(dir);
    let mut staged = Vec::new();
    let mut digests: BTreeMap<&'static str, Digest> = BTreeMap::new();
    let frames: [(&Layout, tables::Frames<'_>); 6] = [
        (&SAMPLES, tables::samples(record)),
        (&CELLS, tables::cells(record)),
        (&CONFUSION, tables::confusion(record)),
        (&PREDICTIONS, tables::predictions(record, whole)),
        (&PLACES, tables::places(record)),
        (&CUTS, cuts::frames(record.cuts.as_deref().unwrap_or_default())),
    ];
    for (layout, frames) in frames {
        let path = dir.join(layout.file);
        let file = Staged::new(&staging, path.clone(), |file| {
            tables::write(file, layout, frames).map_err(ResultsError::table("write", path))
        })?;
        digests.insert(layout.file, file.digest()?);
        staged.push(file);
    }
    for (name, json) in [(summary::FILE, summary::json(record)), (run_file::FILE, run_file::json(&record.provenance, &digests))]
    {
        let path = dir.join(name);
        let json = json.map_err(|source| ResultsError::Encode { path: path.clone(), source })?;
        staged.push(Staged::bytes(&staging, path, json.as_bytes())?);
    }
    publish_durably(dir, staged)
}

impl Outcome {
    /// `scored` or `failed`, as the tables say it.
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Scored(_) | Self::Measured(_) => "scored",
            Self::Failed { .. } => "failed",
        }
    }
}
