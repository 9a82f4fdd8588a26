//! `bench prompt`: the built-in catalogue, and what a spec's prompts become.

use std::path::{Path, PathBuf};

use embed_bench::embed::{self, Encoder, Prepared};
use embed_bench::plan;
use embed_bench::prompt::Prompt;
use embed_bench::prompt::catalogue::ENTRIES;
use embed_bench::spec::{Pooling, Spec};

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
                out::line(format!("  template  {}", entry.template));
                out::line(format!("  clean     {}", entry.clean));
                if let Some(note) = entry.layer_note {
                    out::line(format!("  layer     {note}"));
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
    let prompts: Vec<&str> = spec.prompts.iter().map(|prompt| prompt.id.as_str()).collect();
    known("model", arguments.model.as_deref(), &models, &arguments.spec)?;
    known("prompt", arguments.prompt.as_deref(), &prompts, &arguments.spec)?;
    let (catalog, progress) = (places.catalog()?, Progress::new());
    let Some(slice) = spec.slices.first() else { return Ok(()) };
    let samples = catalog.slice(slice, spec.seed)?.samples;
    let texts: Vec<&str> = samples.iter().take(LOOKED_AT.max(arguments.texts)).map(|sample| sample.text.as_str()).collect();
    let reads_end = spec.readouts.iter().any(|readout| readout.pool == Pooling::Last);
    for model in spec.models.iter().filter(|model| arguments.model.as_ref().is_none_or(|id| *id == model.id)) {
        let encoder = embed::open(model, &places.sources(&catalog, &progress))?;
        for prompt in spec.prompts.iter().filter(|prompt| arguments.prompt.as_ref().is_none_or(|id| *id == prompt.id)) {
            for (view, template) in prompt.views.iter().enumerate() {
                let which = if prompt.views.len() > 1 {
                    format!(", view {} of {}", view + 1, prompt.views.len())
                } else {
                    String::new()
                };
                out::line(format!("{} / {}{which}", model.id, prompt.id));
                let prepared = plan::prepare(encoder.as_ref(), prompt, template, &texts).map_err(|(_, error)| error)?;
                let common = common(&prepared);
                for text in prepared.iter().take(arguments.texts) {
                    example(encoder.as_ref(), prompt, text, common, reads_end);
                }
            }
        }
    }
    Ok(())
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

fn example(encoder: &dyn Encoder, prompt: &Prompt, text: &Prepared, common: usize, reads_end: bool) {
    let (shared, own) = text.ids.split_at(common.min(text.ids.len()));
    let cut = if text.cut > 0 { format!(", {} cut ({})", text.cut, prompt.truncate) } else { String::new() };
    out::line(format!("  {} tokens{cut}", text.ids.len()));
    out::line(format!("  shared  {:>4}  {}", shared.len(), pieces(encoder, shared)));
    out::line(format!("  own     {:>4}  {}", own.len(), pieces(encoder, own)));
    if let Some(last) = text.ids.last().filter(|_| reads_end) {
        out::line(format!("  last          {}", pieces(encoder, &[*last])));
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
