//! A recipe applied to a file of texts: how the winner of a run gets into somebody's own system.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use polars::prelude::*;

use crate::cache::Store;
use crate::cause::told;
use crate::dataset::{Catalog, DatasetError, Input};
use crate::digest::Digest;
use crate::embed::{EmbedError, Encoder, Prepared, Resolved};
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::observe::{Observer, Stop};
use crate::plan::{self, ModelWork, Reading, Texts, Unready, Words};
use crate::prompt::{Prompt, Template, View};
use crate::results::{CellRecord, Choices, ModelRecord, PromptRecord, Provenance, RunRecord, Times};
use crate::runner::{Desk, Stored, repairing};
use crate::spec::{Device, FitTexts, Model, PLAIN, Readout, Source, TransformRule};
use crate::transform::{Fitted, TransformError};

/// Texts embedded and written at a time: bounds memory whatever the file's size.
const CHUNK: usize = 4096;

/// The only set of texts of an application.
const TEXTS: Texts = Texts::Samples { prompt: 0, slice: 0 };

/// All that decides a text's vector.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub model: Model,
    pub prompt: Prompt,
    pub readout: Readout,
    /// What is done to the vector that is read; None leaves it as it is.
    pub transform: Option<FittedOn>,
    /// What the model was when the recipe was made; None takes it as it is.
    pub identity: Option<Digest>,
}

/// A transform, and the texts that it is fitted on.
#[derive(Clone, Debug)]
pub struct FittedOn {
    pub id: String,
    pub rule: TransformRule,
    pub fit: FitTexts,
    /// What those texts are put into.
    pub prompt: Prompt,
    /// Seed of the draw that a limit makes.
    pub seed: u64,
    /// What the texts were when the recipe was made.
    pub digest: Digest,
}

impl Recipe {
    /// The recipe of the cell of a run whose id begins with `which`.
    ///
    /// # Errors
    /// A cell that is not there or not unique, and a record that does not say how it was made.
    pub fn of_cell(record: &RunRecord, which: &str) -> Result<Self, Error> {
        let ranked = record.leaderboard();
        let matching: Vec<&CellRecord> = ranked.iter().filter(|cell| cell.id.starts_with(which)).copied().collect();
        let some = |cells: &[&CellRecord]| cells.iter().take(5).map(|cell| cell.id.as_str()).collect::<Vec<_>>().join(", ");
        let cell = match matching.as_slice() {
            [cell] => *cell,
            [] => return Err(ApplyError::NoCell { which: which.to_owned(), known: some(&ranked) }.into()),
            several => return Err(ApplyError::Ambiguous { which: which.to_owned(), matching: some(several) }.into()),
        };
        Self::recorded(&record.provenance, &cell.choices).ok_or_else(|| ApplyError::Unreadable { cell: cell.id.clone() }.into())
    }

    /// The recipe of these choices as a run recorded it; None if the record does not hold together.
    fn recorded(provenance: &Provenance, choices: &Choices) -> Option<Self> {
        let model = provenance.models.iter().find(|model| model.id == choices.model)?;
        let prompt = provenance.prompts.iter().find(|prompt| prompt.id == choices.prompt)?;
        let readout = provenance.readouts.iter().find(|readout| readout.id == choices.readout)?;
        let transform = match choices.transform.as_str() {
            PLAIN => None,
            id => Some(provenance.transforms.iter().find(|transform| transform.id == id)?),
        };
        let prompt = prompt_of(prompt)?;
        Some(Self {
            model: Model {
                id: model.id.clone(),
                source: source_of(model)?,
                dtype: model.dtype.parse().ok()?,
                device: Device::Auto,
                max_tokens: Some(model.max_tokens).filter(|_| model.fit.is_none()),
                adapter: model.adapter.as_ref().map(|adapter| adapter.parse()).transpose().ok()?,
            },
            prompt: prompt.clone(),
            readout: Readout {
                id: readout.id.clone(),
                layer: readout.layer,
                pool: readout.pool.parse().ok()?,
                span: readout.span,
                norm: readout.norm,
                dim: readout.dim,
                normalize: readout.normalize,
            },
            transform: transform.map(|record| FittedOn {
                id: record.id.clone(),
                rule: record.rule,
                fit: record.fit.clone(),
                prompt,
                seed: provenance.seed,
                digest: record.digest,
            }),
            identity: Some(model.identity),
        })
    }

    /// The same for documents, where its prompt has something else for them than for queries.
    #[must_use]
    pub fn for_documents(self) -> Self {
        match self.prompt.documents {
            Some(documents) => Self { prompt: *documents, ..self },
            None => self,
        }
    }
}

/// A recorded prompt as a spec gives it.
fn prompt_of(record: &PromptRecord) -> Option<Prompt> {
    let view = |(at, template): (usize, &String)| {
        let differently = record.differently.get(at).cloned().unwrap_or_default();
        Some(View { template: Template::parse(template).ok()?, differently })
    };
    let views: Vec<View> = record.views.iter().enumerate().map(view).collect::<Option<_>>()?;
    let plain = Prompt::new(&record.id, views, record.truncate.parse().ok()?, record.clean.parse().ok()?);
    let prompt = record.chat.iter().fold(Prompt { fuse: record.fuse, ..plain }, Prompt::in_chat);
    let documents = match &record.documents {
        Some(documents) => Some(Box::new(prompt_of(documents)?)),
        None => None,
    };
    Some(Prompt { documents, ..prompt })
}

/// Where a recorded model came from, at the commit that it had then.
fn source_of(model: &ModelRecord) -> Option<Source> {
    let source = Source::parse(&model.source, model.fit.as_ref(), model.endpoint.as_ref()).ok()?;
    Some(source.at(model.commit.as_deref()))
}

/// Where a recipe is applied.
pub struct Bench<'a> {
    pub encoder: Box<dyn Encoder>,
    /// Where the texts are that a transform is fitted on.
    pub catalog: &'a Catalog,
    pub store: &'a Store,
    pub observer: &'a dyn Observer,
    pub stop: &'a Stop,
}

/// How an application ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Every text has its row.
    Done { texts: usize, dim: usize, cut: usize },
    /// Asked to stop: vectors so far are cached, no output was written.
    Interrupted,
}

/// Embeds `texts`, whose fields fill the other slots of the recipe's prompt in their order, and writes one row each to a Parquet file: `index`, `text`, `rendered`, `token_ids`, `cut` and
/// `embedding`. With several views, `rendered` has one line per view and `token_ids` runs through all of them.
///
/// # Errors
/// A text that does not fit the recipe, an encoder that fails, a file that cannot be written.
pub fn apply(recipe: &Recipe, bench: Bench<'_>, texts: &[Input], output: &Path) -> Result<Applied, Error> {
    let found = bench.encoder.card().identity;
    if let Some(recorded) = recipe.identity.filter(|recorded| *recorded != found) {
        return Err(ApplyError::OtherModel { model: recipe.model.source.to_string(), recorded, found }.into());
    }
    let reading = Reading::new(bench.encoder.as_ref(), &recipe.prompt, &recipe.readout)?;
    if let Some(problem) = reading.problem(&recipe.prompt, &recipe.readout) {
        return Err(ApplyError::Recipe(Box::new(problem)).into());
    }
    let mut work = ModelWork::new(bench.encoder);
    let place = Place {
        recipe,
        prompt: &recipe.prompt,
        reading: &reading,
        store: bench.store,
        observer: bench.observer,
        stop: bench.stop,
    };
    let by = match &recipe.transform {
        None => None,
        Some(transform) => {
            let reading = Reading::new(work.encoder.as_ref(), &transform.prompt, &recipe.readout)?;
            let place = Place { prompt: &transform.prompt, reading: &reading, ..place };
            match place.fit(&mut work, transform, bench.catalog)? {
                Some(fitted) => Some(fitted),
                None => return Ok(Applied::Interrupted),
            }
        }
    };
    let dim = by.as_ref().map_or(reading.width(), Fitted::width);
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let broken = |source| ApplyError::Write { path: output.to_owned(), source };
    fs::create_dir_all(folder).map_err(broken)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder).map_err(broken)?;
    let file = temporary.reopen().map_err(broken)?;
    let table = |source| ApplyError::Table { path: output.to_owned(), source };
    let mut writer = ParquetWriter::new(file).batched(&schema(dim)).map_err(table)?;
    let mut cut = 0;
    for (chunk, texts) in texts.chunks(CHUNK).enumerate() {
        let first = chunk * CHUNK;
        let prepared = place.prepare(&work, &words(recipe, texts));
        let views = prepared.map_err(|(i, source)| ApplyError::Text { index: first + i + 1, source })?;
        let Some(vectors) = place.embed(&mut work, &views, |stored| Ok(stored.all()?))? else {
            return Ok(Applied::Interrupted);
        };
        let mut vectors = match &by {
            Some(by) => by.apply(&vectors),
            None => vectors,
        };
        if reading.normalize {
            vectors.normalize();
        }
        cut += (0..texts.len()).filter(|&i| views.iter().any(|view| view[i].cut > 0)).count();
        let mut frame = frame(first, texts, &views, &vectors).map_err(table)?;
        frame.rechunk_mut();
        writer.write_batch(&frame).map_err(table)?;
    }
    writer.finish().map_err(table)?;
    temporary.as_file().sync_all().map_err(broken)?;
    temporary.persist(output).map_err(|error| broken(error.error))?;
    Ok(Applied::Done { texts: texts.len(), dim, cut })
}

/// The texts of a file, whose fields fill the other slots of a recipe's prompt.
fn words<'a>(recipe: &'a Recipe, texts: &'a [Input]) -> Vec<Words<'a>> {
    let names = recipe.prompt.names();
    let others = |input: &'a Input| names.iter().copied().zip(input.fields.iter().map(String::as_str)).collect();
    texts.iter().map(|input| Words { text: &input.text, others: others(input) }).collect()
}

/// Where and as what texts are embedded.
#[derive(Clone, Copy)]
struct Place<'a> {
    recipe: &'a Recipe,
    prompt: &'a Prompt,
    reading: &'a Reading,
    store: &'a Store,
    observer: &'a dyn Observer,
    stop: &'a Stop,
}

impl Place<'_> {
    /// One list of prepared texts per view of the prompt. The error is about the text at this place.
    fn prepare(&self, work: &ModelWork, texts: &[Words<'_>]) -> Result<Vec<Vec<Prepared>>, (usize, EmbedError)> {
        let prompt = self.prompt;
        let spans = |read: &Resolved| read.span.into_iter().collect();
        let views = prompt.views.iter().zip(&self.reading.views);
        views.map(|(view, read)| plan::prepare(work.encoder.as_ref(), prompt, &view.template, texts, &spans(read))).collect()
    }

    /// Embeds texts and uses their vectors, again where the cache turns out damaged. None: asked to stop.
    fn embed<T>(
        &self,
        work: &mut ModelWork,
        views: &[Vec<Prepared>],
        take: impl Fn(&Stored<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        work.clear();
        work.add(TEXTS, views, BTreeMap::from([(0, self.reading.clone())]));
        let work = &*work;
        let shelf = work.shelf(self.store)?;
        let desk = Desk { model: &self.recipe.model.id, work, shelf, observer: self.observer, stop: self.stop };
        repairing(self.observer, || {
            let Some(embedded) = desk.embed(&mut Times::default())? else { return Ok(None) };
            let stored = desk.stored(TEXTS, 0, &embedded);
            let stored = stored.map_err(|reason| ApplyError::NoVectors { model: self.recipe.model.id.clone(), reason })?;
            take(&stored).map(Some)
        })
    }

    /// Fits the recipe's transform on the texts that it was fitted on. None: asked to stop.
    fn fit(&self, work: &mut ModelWork, transform: &FittedOn, catalog: &Catalog) -> Result<Option<Fitted>, Error> {
        let FittedOn { id, rule, fit, seed, digest, .. } = transform;
        let name = || id.clone();
        let (texts, _) = catalog.fit_texts(fit, *seed).map_err(|source| ApplyError::FitTexts { transform: name(), source })?;
        if plan::fit_digest(&texts) != *digest {
            return Err(ApplyError::OtherTexts { transform: name(), fit: fit.to_string() }.into());
        }
        let texts: Vec<Words<'_>> = texts.iter().map(|text| Words::from(text.as_str())).collect();
        let views = self.prepare(work, &texts).map_err(|(i, source)| ApplyError::FitText {
            transform: name(),
            index: i + 1,
            source,
        })?;
        let fitted = self.embed(work, &views, |stored| Ok(Fitted::on(*rule, stored, stored.length())?))?;
        Ok(fitted.transpose().map_err(|source| ApplyError::NotFitted { transform: name(), source })?)
    }
}

fn schema(dim: usize) -> Schema {
    Schema::from_iter([
        Field::new("index".into(), DataType::UInt64),
        Field::new("text".into(), DataType::String),
        Field::new("rendered".into(), DataType::String),
        Field::new("token_ids".into(), DataType::List(Box::new(DataType::UInt32))),
        Field::new("cut".into(), DataType::UInt64),
        Field::new("embedding".into(), DataType::Array(Box::new(DataType::Float32), dim)),
    ])
}

fn frame(first: usize, texts: &[Input], views: &[Vec<Prepared>], vectors: &Embeddings) -> PolarsResult<DataFrame> {
    let n = texts.len();
    let join = |i: usize| views.iter().map(|view| view[i].rendered.as_str()).collect::<Vec<_>>().join("\n");
    let ids =
        |i: usize| Series::new("".into(), views.iter().flat_map(|view| view[i].ids.iter().copied()).collect::<Vec<u32>>());
    let cut = |i: usize| views.iter().map(|view| view[i].cut as u64).sum::<u64>();
    let embedding = Series::new("embedding".into(), vectors.values())
        .reshape_array(&[ReshapeDimension::Infer, ReshapeDimension::new_dimension(vectors.dim() as u64)])?;
    DataFrame::new(
        n,
        vec![
            Column::new("index".into(), (first as u64..(first + n) as u64).collect::<Vec<_>>()),
            Column::new("text".into(), texts.iter().map(|input| input.text.as_str()).collect::<Vec<_>>()),
            Column::new("rendered".into(), (0..n).map(join).collect::<Vec<_>>()),
            Column::new("token_ids".into(), (0..n).map(ids).collect::<Vec<_>>()),
            Column::new("cut".into(), (0..n).map(cut).collect::<Vec<_>>()),
            embedding.into_column(),
        ],
    )
}

/// Why a recipe could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the run has no cell `{which}`; say `best` or the beginning of an id (the first ones: {known})")]
    NoCell { which: String, known: String },
    #[error("several cells of the run begin with `{which}`; give more of the id ({matching})")]
    Ambiguous { which: String, matching: String },
    #[error(
        "run.json does not say how cell `{cell}` was made; run the spec again, or name the recipe with --model and --template"
    )]
    Unreadable { cell: String },
    #[error("{model} is not what it was when the run was made (identity {}, now {}); run the spec again, or name the recipe with --model", recorded.short(), found.short())]
    OtherModel { model: String, recorded: Digest, found: Digest },
    #[error(transparent)]
    Recipe(Box<Unready>),
    #[error("text {index} of the input cannot be embedded with this recipe: {source}")]
    Text { index: usize, source: EmbedError },
    #[error("the texts that transform `{transform}` was fitted on cannot be read: {}", told(source))]
    FitTexts { transform: String, source: DatasetError },
    #[error(
        "the texts of {fit} are not those that transform `{transform}` was fitted on when the run was made; run the spec again"
    )]
    OtherTexts { transform: String, fit: String },
    #[error("text {index} of those that transform `{transform}` is fitted on cannot be embedded with this recipe: {source}")]
    FitText { transform: String, index: usize, source: EmbedError },
    #[error("transform `{transform}`: {source}")]
    NotFitted { transform: String, source: TransformError },
    #[error("model `{model}` gave no vectors: {reason}")]
    NoVectors { model: String, reason: String },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write the table {}: {source}", path.display())]
    Table { path: PathBuf, source: PolarsError },
}
