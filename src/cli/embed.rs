//! `bench embed`: apply a recipe to a file of texts.

use std::path::{Path, PathBuf};

use embed_bench::apply::{self, Applied, Bench, Recipe};
use embed_bench::dataset::read_texts;
use embed_bench::embed;
use embed_bench::prompt::{Chat, Clean, Fuse, Prompt, Template, Truncation};
use embed_bench::report::Ranking;
use embed_bench::results::RunRecord;
use embed_bench::spec::{Adapter, DType, Device, Endpoint, Layer, Model, Pooling, Readout, Source, SourceError};

use super::progress::Progress;
use super::run::stop_on_signal;
use super::{Answer, Failure, Places, out};

/// A recipe is a cell of a run (`bench embed results/NAME --cell best`) or named by flags (`--model`, `--template`, ...).
#[derive(clap::Args)]
pub struct Arguments {
    /// A result folder; with it, `--cell` names the recipe
    #[arg(conflicts_with = "model", required_unless_present = "model")]
    results: Option<PathBuf>,
    /// `best`, or the beginning of a cell's id
    #[arg(long, default_value = "best", conflicts_with = "model")]
    cell: String,
    /// The texts are documents: put them into what the cell's prompt has for those
    #[arg(long, requires = "results")]
    documents: bool,
    /// Texts: plain lines (.txt), JSON lines with `text` (.jsonl), or Parquet with a column `text`; other slots of the template
    /// are filled from columns of their names
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Parquet file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    recipe: Flags,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Recipe")]
struct Flags {
    /// Model: `path:DIR`, `hf:REPO@REVISION`, or `http://HOST:PORT/v1` with --served-name
    // Not parsed by clap, which would repeat a wrong address, password and all.
    #[arg(long, value_name = "SOURCE")]
    model: Option<String>,
    /// Name of a server's model, as the server knows it
    #[arg(long, value_name = "NAME", requires = "model")]
    served_name: Option<String>,
    /// LoRA adapter of the model: `path:DIR` or `hf:REPO@REVISION`
    #[arg(long, value_name = "SOURCE", requires = "model")]
    adapter: Option<String>,
    /// Environment variable that holds the server's key
    #[arg(long, value_name = "VARIABLE", requires = "served_name")]
    api_key_env: Option<String>,
    /// Template with a slot {text}; several are fused
    #[arg(long, default_value = "{text}", value_parser = |text: &str| Template::parse(text), conflicts_with = "results")]
    template: Vec<Template>,
    /// How the vectors of several templates become one: mean, mean-normalized, concat or mean-similarity
    #[arg(long, default_value = "mean", value_parser = str::parse::<Fuse>, conflicts_with = "results")]
    fuse: Fuse,
    /// Put the template into the model's own chat format, as what the user says
    #[arg(long, conflicts_with = "results")]
    chat: bool,
    /// What the system says before it
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// What the answer begins with
    #[arg(long, value_name = "TEXT", requires = "chat")]
    answer: Option<String>,
    /// Hidden state, as transformers counts them; with a decimal point a share of the depth, such as 0.85
    #[arg(long, default_value = "-1", value_parser = str::parse::<Layer>, allow_negative_numbers = true, conflicts_with = "results")]
    layer: Layer,
    /// last, mean, weighted-mean, max, cls, or own (the model's sentence-transformers settings)
    #[arg(long, default_value = "own", value_parser = str::parse::<Pooling>, conflicts_with = "results")]
    pool: Pooling,
    /// Pool the tokens of the text alone: those of its N-th copy in the template, from 1
    #[arg(long, value_name = "N", conflicts_with = "results")]
    span: Option<usize>,
    /// Keep the first N coordinates of a vector
    #[arg(long, value_name = "N", conflicts_with = "results", value_parser = clap::value_parser!(u32).range(1..))]
    dim: Option<u32>,
    /// Apply the final norm to an inner layer
    #[arg(long, conflicts_with = "results")]
    norm: bool,
    /// Leave vectors at their own length
    #[arg(long, conflicts_with = "results")]
    no_normalize: bool,
    /// head, tail, middle, error or whole-prompt
    #[arg(long, default_value = "head", value_parser = str::parse::<Truncation>, conflicts_with = "results")]
    truncate: Truncation,
    /// none or prompteol
    #[arg(long, default_value = "none", value_parser = str::parse::<Clean>, conflicts_with = "results")]
    clean: Clean,
    /// Most tokens of one rendered text; the model's own limit when absent
    #[arg(long, conflicts_with = "results")]
    max_tokens: Option<usize>,
    /// f32, f16 or bf16
    #[arg(long, default_value = "f32", value_parser = str::parse::<DType>, conflicts_with = "results")]
    dtype: DType,
    /// auto, cpu, cuda:N, cuda:N,M or metal
    #[arg(long, default_value = "auto", value_parser = str::parse::<Device>, conflicts_with = "results")]
    device: Device,
}

impl Flags {
    fn recipe(&self, address: &str) -> Result<Recipe, Failure> {
        let named = self.served_name.as_deref().map(Endpoint::named);
        let endpoint = named.map(|endpoint| Endpoint { api_key_env: self.api_key_env.clone(), ..endpoint });
        let source = Source::parse(address, None, endpoint.as_ref()).map_err(|error| {
            let help = match error {
                SourceError::EndpointMissing => "name the served model with --served-name".to_owned(),
                SourceError::EndpointRefused => "leave out --served-name: this model is read from files".to_owned(),
                SourceError::Credentials | SourceError::NoVariable => {
                    "put the key into an environment variable and name it with --api-key-env".to_owned()
                }
                _ => error.help(),
            };
            Failure::Usage(format!("--model: {}: {help}", error.what()))
        })?;
        let adapter = self.adapter.as_ref().map(|address| address.parse::<Adapter>()).transpose();
        let adapter = adapter.map_err(|error| Failure::Usage(format!("--adapter: {error}")))?;
        let model = Model {
            id: source.to_string(),
            source,
            dtype: self.dtype,
            device: self.device,
            max_tokens: self.max_tokens,
            adapter,
        };
        let chat = self.chat.then(|| Chat { system: self.system.clone(), answer: self.answer.clone() });
        let prompt = Prompt::new("flags", self.template.clone(), self.truncate, self.clean);
        let prompt = chat.iter().fold(Prompt { fuse: self.fuse, ..prompt }, Prompt::in_chat);
        let readout = Readout {
            span: self.span,
            norm: self.norm,
            dim: self.dim.and_then(|dim| usize::try_from(dim).ok()),
            normalize: !self.no_normalize,
            ..Readout::new("flags", self.layer, self.pool)
        };
        Ok(Recipe { model, prompt, readout, transform: None, identity: None })
    }
}

/// The output is Parquet, and never the input.
fn check_output(input: &Path, output: &Path) -> Result<(), Failure> {
    if output.extension().is_none_or(|extension| extension != "parquet") {
        return Err(Failure::Usage(format!("the output is Parquet: name it NAME.parquet, not {}", output.display())));
    }
    let same = |input: PathBuf| output.canonicalize().is_ok_and(|output| output == input);
    if input.canonicalize().is_ok_and(same) {
        return Err(Failure::Usage(format!("{} is the input; name another file for the output", output.display())));
    }
    Ok(())
}

/// The cell that the report calls the best one in the spec's first task: chosen on dev where the run has a dev slice.
fn best(record: &RunRecord) -> Result<String, Failure> {
    let rankings = Ranking::all(record);
    let first = rankings.first().map(|ranking| ranking.task);
    let bests: Vec<(String, String)> = (rankings.into_iter())
        .filter(|ranking| Some(ranking.task) == first)
        .filter_map(|ranking| Some((ranking.slice, ranking.standings.into_iter().next()?.cell)))
        .collect();
    match bests.as_slice() {
        [] => Err(Failure::Usage("the run has no cell with a score; run it again, or name a recipe by flags".to_owned())),
        [(_, cell)] => Ok(cell.clone()),
        several => {
            let named: Vec<String> = several.iter().map(|(slice, cell)| format!("--cell {cell} (slice {slice})")).collect();
            Err(Failure::Usage(format!("the run has a best cell for each slice; name one: {}", named.join(", "))))
        }
    }
}

pub fn run(arguments: &Arguments, places: &Places) -> Result<Answer, Failure> {
    let recipe = match (&arguments.results, &arguments.recipe.model) {
        (Some(results), _) => {
            let record = RunRecord::open(results)?;
            let cell = if arguments.cell == "best" { best(&record)? } else { arguments.cell.clone() };
            let recipe = Recipe::of_cell(&record, &cell)?;
            if arguments.documents { recipe.for_documents() } else { recipe }
        }
        (None, Some(address)) => arguments.recipe.recipe(address)?,
        (None, None) => return Err(Failure::Usage("name a result folder, or a model with --model".to_owned())),
    };
    check_output(&arguments.input, &arguments.output)?;
    let texts = read_texts(&arguments.input, &recipe.prompt.names())?;
    if texts.is_empty() {
        return Err(Failure::Usage(format!("{} holds no texts", arguments.input.display())));
    }
    let progress = Progress::new();
    let stop = stop_on_signal()?;
    let store = places.store();
    let catalog = places.catalog()?;
    let encoder = embed::open(&recipe.model, &places.sources(&catalog, &progress))?;
    let bench = Bench { encoder, catalog: &catalog, store: &store, observer: &progress, stop: &stop };
    match apply::apply(&recipe, bench, &texts, &arguments.output)? {
        Applied::Interrupted => {
            out::note("interrupted: vectors so far are cached, nothing was written; the same command continues");
            Ok(Answer::Interrupted)
        }
        Applied::Done { texts, dim, cut } => {
            let cut = if cut > 0 { format!(", {cut} of them cut to fit") } else { String::new() };
            out::line(format!("{}: {texts} texts{cut}, {dim} dimensions", arguments.output.display()));
            Ok(Answer::Good)
        }
    }
}
