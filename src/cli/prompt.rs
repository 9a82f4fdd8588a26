//! `bench prompt`: the built-in catalogue, and what a spec's prompts become.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use embed_bench::embed::{self, Encoder, Prepared};
use embed_bench::plan::{self, Words};
use embed_bench::prompt::catalogue::ENTRIES;
use embed_bench::prompt::{Prompt, View};
use embed_bench::spec::{Layer, Pooling, Spec, covers};

use super::progress::Progress;
use super::{Answer, Failure, Places, out};

/// Texts that the common beginning is looked for in.
const LOOKED_AT: usize = 32;

/// Tokens that are shown of each part.
const SHOWN: usize = 40;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the built-in prompts with their templates and the protocol they were published with
    List,
    /// Show texts of a spec under its prompts: tokens, what all begin with, where vectors are read; loads no weights
    Show(Show),
}

#[derive(clap::Args)]
pub struct Show {
    spec: PathBuf,
    /// Only this model
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Only this prompt
    #[arg(long, value_name = "ID")]
    prompt: Option<String>,
    /// Texts shown under each prompt
    #[arg(long, default_value_t = 1)]
    texts: usize,
}

pub fn run(command: &Command, places: &Places) -> Result<Answer, Failure> {
    match command {
        Command::List => {
            for entry in ENTRIES {
                out::line(format!("{}: {}", entry.name, entry.about));
                entry.templates.iter().for_each(|template| out::line(format!("  template  {template}")));
                for (slot, words) in entry.filled {
                    out::line(format!("  filled    {{{slot}}} = {words}"));
                }
                out::line(format!("  clean     {}", entry.clean));
                if let Some(protocol) = entry.protocol {
                    out::line(format!("  protocol  {protocol}"));
                }
                out::line(format!("  source    {}", entry.source));
            }
        }
        Command::Show(arguments) => show(arguments, places)?,
    }
    Ok(Answer::Good)
}

fn show(arguments: &Show, places: &Places) -> Result<(), Failure> {
    let spec = Spec::load(&arguments.spec)?;
    let models: Vec<&str> = spec.models.iter().map(|model| model.id.as_str()).collect();
    let each = spec.prompts.iter().map(|prompt| prompt.id.as_str());
    let families = spec.prompts.iter().filter_map(|prompt| Some(prompt.id.split_once('@')?.0));
    let mut prompts: Vec<&str> = Vec::new();
    each.chain(families).for_each(|id| {
        if !prompts.contains(&id) {
            prompts.push(id);
        }
    });
    known("model", arguments.model.as_deref(), &models, &arguments.spec)?;
    known("prompt", arguments.prompt.as_deref(), &prompts, &arguments.spec)?;
    let (catalog, progress) = (places.catalog()?, Progress::new());
    let Some(slice) = spec.slices.first() else { return Ok(()) };
    let columns = spec.columns(&slice.id);
    let loaded = catalog.slice_with(slice, spec.seed, &columns)?;
    let looked_at = LOOKED_AT.max(arguments.texts);
    let texts: Vec<Words<'_>> = (loaded.samples.iter().enumerate().take(looked_at))
        .map(|(at, sample)| Words {
            text: &sample.text,
            others: loaded.columns.iter().map(|(name, values)| (name.as_str(), values[at].as_str())).collect(),
        })
        .collect();
    let corpus = loaded.judged.as_ref().map_or(&loaded.samples, |judged| &judged.documents.samples);
    let documents: Vec<Words<'_>> = corpus.iter().take(looked_at).map(|sample| Words::from(sample.text.as_str())).collect();
    for model in spec.models.iter().filter(|model| arguments.model.as_ref().is_none_or(|id| *id == model.id)) {
        let encoder = embed::open(model, &places.sources(&catalog, &progress))?;
        for prompt in spec.prompts.iter().filter(|prompt| arguments.prompt.as_ref().is_none_or(|id| covers(id, &prompt.id))) {
            let looked_at = [("", Some(prompt), &texts), (", documents", prompt.documents.as_deref(), &documents)];
            for (whose, prompt, texts) in
                looked_at.into_iter().filter_map(|(whose, prompt, texts)| Some((whose, prompt?, texts)))
            {
                for (at, view) in prompt.views.iter().enumerate() {
                    let which = match prompt.views.len() {
                        1 => String::new(),
                        views => format!(", view {} of {views} ({})", at + 1, prompt.fuse),
                    };
                    out::line(format!("{} / {}{whose}{which}", model.id, prompt.id));
                    let prepared = plan::prepare(encoder.as_ref(), prompt, &view.template, texts, &BTreeSet::new());
                    let prepared = prepared.map_err(|(_, error)| error)?;
                    let common = common(&prepared);
                    let reads = reads(encoder.as_ref(), &spec, view);
                    for text in prepared.iter().take(arguments.texts) {
                        example(encoder.as_ref(), prompt, text, common, &reads);
                    }
                }
            }
        }
    }
    Ok(())
}

/// What the spec's readouts pool under a view, as far as the model has it: each way once.
fn reads(encoder: &dyn Encoder, spec: &Spec, view: &View) -> Vec<(Pooling, Option<usize>)> {
    let mut reads: Vec<(Pooling, Option<usize>)> = Vec::new();
    for readout in &spec.readouts {
        let one = if readout.layer == Layer::Every { readout.at(Layer::At(0)) } else { readout.clone() };
        let read = encoder.readout(&one.under(&view.differently)).map(|read| (read.pool, read.span));
        reads.extend(read.into_iter().filter(|read| !reads.contains(read)).collect::<Vec<_>>());
    }
    reads
}

/// Refuses an id that the spec does not have.
fn known(what: &str, asked: Option<&str>, ids: &[&str], spec: &Path) -> Result<(), Failure> {
    match asked {
        Some(id) if !ids.contains(&id) => {
            let known = ids.join(", ");
            Err(Failure::Usage(format!("there is no {what} `{id}` in {}: it has {known}", spec.display())))
        }
        _ => Ok(()),
    }
}

/// Tokens that all texts begin with: they are computed once.
fn common(texts: &[Prepared]) -> usize {
    let Some((first, others)) = texts.split_first() else { return 0 };
    let same = |at: usize| others.iter().all(|other| other.ids.get(at) == first.ids.get(at));
    if others.is_empty() { 0 } else { (0..first.ids.len()).take_while(|&at| same(at)).count() }
}

fn example(encoder: &dyn Encoder, prompt: &Prompt, text: &Prepared, common: usize, reads: &[(Pooling, Option<usize>)]) {
    let (shared, own) = text.ids.split_at(common.min(text.ids.len()));
    let cut = if text.cut > 0 { format!(", {} cut ({})", text.cut, prompt.truncate) } else { String::new() };
    out::line(format!("  {} tokens{cut}", text.ids.len()));
    out::line(format!("  shared  {:>4}  {}", shared.len(), pieces(encoder, shared)));
    out::line(format!("  own     {:>4}  {}", own.len(), pieces(encoder, own)));
    for (pool, span) in reads.iter().filter(|(pool, _)| *pool != Pooling::Own) {
        let place = span.map_or(Some(0..text.ids.len()), |span| text.slot(span)).filter(|place| !place.is_empty());
        let Some(place) = place else {
            out::line(format!("  {pool:<7}    0  copy {} of the text has no tokens here", span.unwrap_or(1)));
            continue;
        };
        let read = match pool {
            Pooling::Last => place.end - 1..place.end,
            Pooling::Cls => place.start..place.start + 1,
            Pooling::Mean | Pooling::WeightedMean | Pooling::Max | Pooling::Own => place,
        };
        // Of the whole prompt, all tokens stand above.
        if span.is_some() || read.len() == 1 {
            out::line(format!("  {pool:<7} {:>4}  {}", read.len(), pieces(encoder, &text.ids[read])));
        }
    }
}

/// Tokens with bars between them; of many, the first and the last.
fn pieces(encoder: &dyn Encoder, ids: &[u32]) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let joined = |ids: &[u32]| {
        let pieces = ids.iter().map(|id| encoder.piece(*id).chars().map(shown).collect::<String>() + "|");
        pieces.collect::<String>()
    };
    if ids.len() <= SHOWN {
        return format!("|{}", joined(ids));
    }
    let half = SHOWN / 2;
    format!("|{} … |{}", joined(&ids[..half]), joined(&ids[ids.len() - half..]))
}
