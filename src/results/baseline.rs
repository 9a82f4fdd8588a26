//! A baseline: the outcomes of a run, small enough for git, the same bytes for the same outcomes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::packing::{BASE, pack, unpack};
use super::{Answers, CellOutcomes, Choices, Outcomes, ResultsError, RunRecord, SliceRecord, atomic, summary};
use crate::dataset::PairGold;
use crate::digest::Digest;
use crate::spec::{Correction, Task};
use crate::stats::Clusters;

pub(super) const FILE: &str = "baseline.json";

/// Version of the file; another version is refused.
const FORMAT: u32 = 1;

/// Cosines are kept as one of so many steps from -1 to 1: four digits, 1.2e-6 apart.
const STEPS: usize = (BASE as usize).pow(4);

/// The nearest of the steps that cosines are kept as.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of steps")]
pub(super) fn step(cosine: f64) -> usize {
    (f64::midpoint(cosine.clamp(-1.0, 1.0), 1.0) * crate::stats::number(STEPS - 1)).round() as usize
}

pub(super) fn cosine_at(step: usize) -> f64 {
    2.0 * crate::stats::number(step) / crate::stats::number(STEPS - 1) - 1.0
}

/// Writes the baseline of a finished run into a folder: `baseline.json` with the outcomes, `summary.json` for people.
///
/// Determinism: the same outcomes give the same bytes, on every machine, but for the time at which the run finished; where the
/// folder holds these outcomes already, that time stays what it was.
///
/// # Errors
/// Results that cannot be read, and a folder that cannot be written.
pub fn bless(run: &Path, out: &Path) -> Result<(), ResultsError> {
    let record = RunRecord::open(run)?;
    let encode = |path: &Path| {
        let path = path.to_owned();
        move |source| ResultsError::Encode { path, source }
    };
    let (path, headline) = (out.join(FILE), out.join(summary::FILE));
    let summary = summary::json(&record).map_err(encode(&headline))?;
    let mut stored = Stored::of(&Outcomes::of(record));
    if let Ok(known) = stored_in(&path) {
        let same = Stored { finished: stored.finished.clone(), ..known.clone() };
        if serde_json::to_value(&same).ok() == serde_json::to_value(&stored).ok() {
            stored.finished = known.finished;
        }
    }
    let json = serde_json::to_string_pretty(&stored).map_err(encode(&path))? + "\n";
    std::fs::create_dir_all(out).map_err(ResultsError::io("create", out))?;
    atomic::replace(&headline, summary.as_bytes())?;
    atomic::replace(&path, json.as_bytes())
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    name: String,
    engine: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    finished: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    devices: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    meanings: BTreeMap<String, BTreeMap<String, Digest>>,
    slices: Vec<SliceRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    tasks: Vec<Task>,
    /// Gold labels by slice: per sample, the label's index in base 36, all of one width.
    gold: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pairs: BTreeMap<String, StoredPairs>,
    cells: Vec<StoredCell>,
}

/// What is right about pairs; each text is packed as `gold` is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPairs {
    /// Every gold score that occurs, ascending; of labelled pairs, 0 and 1.
    scores: Vec<f64>,
    /// Per pair, its score's place in `scores`.
    gold: String,
    /// Per pair, its group's number; absent where every pair is alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    groups: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    subsets: Vec<String>,
    /// Per pair, its subset's place in `subsets`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    subset: Option<String>,
}

impl StoredPairs {
    fn of(pairs: &PairGold) -> Self {
        let mut scores = pairs.gold.clone();
        scores.sort_by(f64::total_cmp);
        scores.dedup();
        let place = |gold: &f64| scores.partition_point(|score| score < gold);
        let gold = pack(&pairs.gold.iter().map(place).collect::<Vec<_>>(), scores.len());
        let groups = (!pairs.clusters.is_trivial()).then(|| pack(pairs.clusters.numbers(), pairs.gold.len()));
        let subset = (!pairs.names.is_empty()).then(|| pack(&pairs.subsets, pairs.names.len()));
        Self { scores, gold, groups, subsets: pairs.names.clone(), subset }
    }

    /// None for what contradicts itself, or is not about so many pairs.
    fn read(self, samples: usize) -> Option<PairGold> {
        let places = |packed: &str, known: usize| unpack(packed, known).filter(|all| all.len() == samples);
        let gold = places(&self.gold, self.scores.len())?.into_iter().map(|place| self.scores[place]).collect();
        let clusters = match &self.groups {
            Some(packed) => Clusters::from_numbers(places(packed, samples)?),
            None => Clusters::from_numbers((0..samples).collect()),
        };
        let subsets = match &self.subset {
            Some(packed) => places(packed, self.subsets.len())?,
            None => Vec::new(),
        };
        Some(PairGold { gold, clusters, subsets, names: self.subsets })
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCell {
    id: String,
    choices: Choices,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    failed: Option<String>,
    /// As `gold`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    predicted: Option<String>,
    /// Per pair, the step of its cosine, packed as `gold` is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    cosines: Option<String>,
    /// Per query, the step of its figure, or one more than the last step, likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    queries: Option<String>,
    /// Per text, its cluster, of at most as many as there are texts, likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    clusters: Option<String>,
}

impl Stored {
    fn of(outcomes: &Outcomes) -> Self {
        let labels = |slice: &str| outcomes.slice(slice).map_or(0, |slice| slice.labels.len());
        let cell = |cell: &CellOutcomes| StoredCell {
            id: cell.id.clone(),
            choices: cell.choices.clone(),
            failed: cell.answers.as_ref().err().cloned(),
            predicted: match &cell.answers {
                Ok(Answers::Labels(labels) | Answers::Pairs { called: Some(labels), .. }) => Some(labels),
                Ok(Answers::Pairs { called: None, .. } | Answers::Queries(_) | Answers::Clusters(_)) | Err(_) => None,
            }
            .map(|predicted| pack(predicted, labels(&cell.choices.slice))),
            cosines: match &cell.answers {
                Ok(Answers::Pairs { cosines, .. }) => Some(pack(&cosines.iter().copied().map(step).collect::<Vec<_>>(), STEPS)),
                Ok(Answers::Labels(_) | Answers::Queries(_) | Answers::Clusters(_)) | Err(_) => None,
            },
            queries: match &cell.answers {
                Ok(Answers::Queries(figures)) => {
                    Some(pack(&figures.iter().map(|figure| figure.map_or(STEPS, step)).collect::<Vec<_>>(), STEPS + 1))
                }
                _ => None,
            },
            clusters: match &cell.answers {
                Ok(Answers::Clusters(clusters)) => Some(pack(clusters, clusters.len())),
                _ => None,
            },
        };
        Self {
            format: FORMAT,
            name: outcomes.name.clone(),
            engine: outcomes.engine.clone(),
            finished: outcomes.finished.clone(),
            devices: outcomes.devices.clone(),
            meanings: outcomes.meanings.clone(),
            slices: outcomes.slices.clone(),
            tasks: outcomes.tasks.clone(),
            pairs: outcomes.pairs.iter().map(|(slice, pairs)| (slice.clone(), StoredPairs::of(pairs))).collect(),
            gold: outcomes.gold.iter().map(|(slice, gold)| (slice.clone(), pack(gold, labels(slice)))).collect(),
            cells: outcomes.cells.iter().map(cell).collect(),
        }
    }
}

fn stored_in(path: &Path) -> Result<Stored, ResultsError> {
    let text = std::fs::read_to_string(path).map_err(ResultsError::io("read", path))?;
    let invalid = |source| ResultsError::Json { path: path.to_owned(), source };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(invalid)?;
    if value.get("format") != Some(&FORMAT.into()) {
        let found = value.get("format").map_or_else(|| "none".to_owned(), ToString::to_string);
        return Err(ResultsError::Version { path: path.to_owned(), found, newest: FORMAT });
    }
    serde_json::from_value(value).map_err(invalid)
}

pub(super) fn read(path: &Path) -> Result<Outcomes, ResultsError> {
    let mut stored = stored_in(path)?;
    let packed_pairs = std::mem::take(&mut stored.pairs);
    let record = |slice: &str| stored.slices.iter().find(|record| record.id == slice);
    let wrong = |what: &str, slice: &str| ResultsError::Baseline {
        path: path.to_owned(),
        what: what.to_owned(),
        slice: slice.to_owned(),
    };
    let numbers = |what: &str, packed: &str, slice: &str, known: Option<usize>| {
        let record = record(slice);
        let all = record
            .and_then(|record| unpack(packed, known.unwrap_or(record.labels.len())).filter(|all| all.len() == record.samples));
        all.ok_or_else(|| wrong(what, slice))
    };
    let unpacked = |what: &str, packed: &str, slice: &str| numbers(what, packed, slice, None);
    let gold = stored.gold.iter().map(|(slice, packed)| Ok((slice.clone(), unpacked("gold", packed, slice)?)));
    let gold = gold.collect::<Result<_, ResultsError>>()?;
    let cells = stored.cells.iter().map(|cell| {
        let slice = &cell.choices.slice;
        let labels = |packed: &str| unpacked(&cell.id, packed, slice);
        let samples = record(slice).map_or(0, |record| record.samples);
        let answers = match (&cell.predicted, &cell.cosines, &cell.failed) {
            (None, None, _) if cell.queries.is_some() => {
                let steps = numbers(&cell.id, cell.queries.as_deref().unwrap_or_default(), slice, Some(STEPS + 1))?;
                Ok(Answers::Queries(steps.into_iter().map(|step| (step < STEPS).then(|| cosine_at(step))).collect()))
            }
            (None, None, _) if cell.clusters.is_some() => {
                Ok(Answers::Clusters(numbers(&cell.id, cell.clusters.as_deref().unwrap_or_default(), slice, Some(samples))?))
            }
            (None, None, Some(reason)) => Err(reason.clone()),
            (packed, None, _) => Ok(Answers::Labels(labels(packed.as_deref().unwrap_or_default())?)),
            (packed, Some(cosines), _) => {
                let steps = numbers(&cell.id, cosines, slice, Some(STEPS))?;
                let called = packed.as_deref().map(labels).transpose()?;
                Ok(Answers::Pairs { cosines: steps.into_iter().map(cosine_at).collect(), called })
            }
        };
        let mut choices = cell.choices.clone();
        choices.task = record(slice).map_or(choices.task, |record| record.task(Some(choices.task)));
        Ok(CellOutcomes { id: cell.id.clone(), choices, answers, gold_margins: Vec::new() })
    });
    let cells = cells.collect::<Result<_, ResultsError>>()?;
    let pairs = packed_pairs.into_iter().map(|(slice, packed)| {
        let gold = packed.read(record(&slice).map_or(0, |record| record.samples)).ok_or_else(|| wrong("pairs", &slice))?;
        Ok((slice, gold))
    });
    let pairs = pairs.collect::<Result<_, ResultsError>>()?;
    let Stored { name, engine, finished, devices, meanings, slices, tasks, .. } = stored;
    let (gate, correction, seconds, texts) = (None, Correction::default(), None, BTreeMap::new());
    Ok(Outcomes {
        name,
        engine,
        finished,
        gate,
        correction,
        seconds,
        devices,
        meanings,
        slices,
        gold,
        pairs,
        tasks,
        texts,
        cells,
    })
}
