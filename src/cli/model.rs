//! `bench model`: models by address.

use std::path::Path;

use embed_bench::doctor::{self, Finding};
use embed_bench::embed;
use embed_bench::http::Network;
use embed_bench::model::{AdapterOutline, Hub, HubError, ModelError, Outline, Snapshot};
use embed_bench::spec::{Adapter, DType, Device, Model, Source, Spec};

use super::progress::Progress;
use super::{Answer, Failure, Places, out};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Download a model or an adapter of the hub, or bring it up to date, without the other files of its repository
    Get {
        /// `hf:REPO` or `hf:REPO@REVISION`
        source: String,
    },
    /// Examine a model: batch against single, order, last token, precision; exit 1 if something is wrong
    Doctor {
        /// `path:DIR`, `gguf:FILE`, `hf:REPO@REVISION`, or a spec, for all of its models
        #[arg(value_name = "SOURCE|SPEC")]
        source: String,
        /// f32, f16 or bf16
        #[arg(long, default_value = "f32", value_parser = str::parse::<DType>)]
        dtype: DType,
        /// auto, cpu, cuda:N, cuda:N,M or metal
        #[arg(long, default_value = "auto", value_parser = str::parse::<Device>)]
        device: Device,
    },
    /// Show a model (architecture, tokenizer, weights, memory) or an adapter (what it changes); loads no weights
    Show {
        /// `path:DIR`, `gguf:FILE`, `hf:REPO@REVISION`, or a spec, for all of its models and their adapters
        #[arg(value_name = "SOURCE|SPEC")]
        source: String,
    },
}

pub fn run(command: &Command, places: &Places) -> Result<Answer, Failure> {
    match command {
        Command::Get { source } => get(source, places)?,
        Command::Doctor { source, dtype, device } => {
            let models = if is_spec(source) {
                Spec::load(Path::new(source))?.models
            } else {
                let (id, source) = (source.clone(), parse(source)?);
                vec![Model { id, source, dtype: *dtype, device: *device, max_tokens: None, adapter: None }]
            };
            let well = models.iter().map(|model| examine(model, places)).collect::<Result<Vec<bool>, _>>()?;
            if well.contains(&false) {
                return Ok(Answer::No);
            }
        }
        Command::Show { source } if is_spec(source) => {
            for model in Spec::load(Path::new(source))?.models {
                out::line(format!("{}: {}", model.id, model.source));
                show(&model, places)?;
                if let Some(adapter) = &model.adapter {
                    out::line(format!("{}: adapter {adapter}", model.id));
                    show_adapter(adapter)?;
                }
            }
        }
        Command::Show { source } => {
            let address = parse(source)?;
            let (id, dtype, device) = (address.to_string(), DType::default(), Device::default());
            let model = Model { id, source: address, dtype, device, max_tokens: None, adapter: None };
            show(&model, places)?;
        }
    }
    Ok(Answer::Good)
}

fn is_spec(source: &str) -> bool {
    Path::new(source).extension().is_some_and(|extension| extension == "toml")
}

fn parse(source: &str) -> Result<Source, Failure> {
    source.parse().map_err(usage)
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("{error}"))
}

/// A repository as a model; as an adapter, where it has the files of one alone.
fn snapshot(hub: Hub, fetch: impl Fn(&Hub) -> Result<Snapshot, ModelError>) -> Result<Snapshot, ModelError> {
    use ModelError::{Hub as OfHub, NoAdapter, NoConfig};
    match fetch(&hub) {
        Err(error @ (NoConfig { .. } | OfHub(HubError::Offline { .. }))) => match fetch(&hub.adapters()) {
            Err(NoAdapter { .. } | OfHub(HubError::Offline { .. })) => Err(error),
            other => other,
        },
        other => other,
    }
}

fn get(source: &str, places: &Places) -> Result<(), Failure> {
    let source = parse(source)?;
    let Source::Hub { repo, revision } = &source else {
        return Err(Failure::Usage(format!("{source} is not on the hub: there is nothing to download")));
    };
    let update = |hub: &Hub| hub.update(repo, revision.as_deref(), &Progress::new());
    let snapshot = snapshot(Hub::from_env(places.network())?, update)?;
    out::line(format!("{source} at commit {}", snapshot.commit));
    out::line(format!("folder {}", snapshot.folder.display()));
    let mut total = 0;
    for (name, bytes) in snapshot.files()? {
        total += bytes;
        out::line(format!("  {:>10}  {name}", out::bytes(bytes)));
    }
    out::line(format!("  {:>10}  together", out::bytes(total)));
    let key = if snapshot.is_adapter() { "adapter" } else { "source" };
    out::line(format!("to pin it: {key} = \"hf:{repo}@{}\"", snapshot.commit));
    Ok(())
}

fn show(model: &Model, places: &Places) -> Result<(), Failure> {
    match &model.source {
        Source::Path(path) | Source::Gguf(path) => folder(path),
        Source::Hub { repo, revision } => hub(repo, revision.as_deref()),
        Source::Server { .. } | Source::CharNgram { .. } => {
            let encoder = embed::open(model, &places.sources(&places.catalog()?, &Progress::new()))?;
            let card = encoder.card();
            out::line(format!("what it is      {}", card.name));
            out::line(format!("depends on      {}", card.about));
            out::line("tokens          characters: it shows no tokenizer");
            Ok(())
        }
    }
}

fn show_adapter(adapter: &Adapter) -> Result<(), Failure> {
    match adapter {
        Adapter::Path(path) => changes(path, &AdapterOutline::read(path)?),
        Adapter::Hub { repo, revision } => hub(repo, revision.as_deref())?,
    }
    Ok(())
}

/// Shows a repository. That downloads nothing: what is not here is told with the way to get it.
fn hub(repo: &str, revision: Option<&str>) -> Result<(), Failure> {
    let fetch = |hub: &Hub| hub.fetch(repo, revision, &Progress::new());
    let found = snapshot(Hub::from_env(Network::Offline)?, fetch)?;
    out::line(format!("commit          {}", found.commit));
    folder(&found.folder)
}

/// Shows a model, or an adapter where it is none.
fn folder(path: &Path) -> Result<(), Failure> {
    match Outline::read(path) {
        Err(error @ ModelError::NoConfig { .. }) => match AdapterOutline::read(path) {
            Ok(adapter) => changes(path, &adapter),
            Err(ModelError::NoAdapter { .. }) => return Err(error.into()),
            Err(other) => return Err(other.into()),
        },
        other => outline(path, &other?),
    }
    Ok(())
}

/// Prints what an adapter changes.
fn changes(folder: &Path, adapter: &AdapterOutline) {
    let AdapterOutline { base, rank, alpha, rank_stabilised, modules, tokenizer, bytes } = adapter;
    let number = |number: Option<String>| number.unwrap_or_else(|| "not said".to_owned());
    let stabilised = if *rank_stabilised { ", rank-stabilised" } else { "" };
    let modules: Vec<String> = modules.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let (rank, alpha) = (number(rank.map(|rank| rank.to_string())), number(alpha.map(|alpha| alpha.to_string())));
    out::line(format!("folder          {}", folder.display()));
    out::line(format!("adapter         LoRA of rank {rank}, alpha {alpha}{stabilised}"));
    out::line(format!("trained on      {}", base.as_deref().unwrap_or("not said")));
    out::line(format!("changes         {}", modules.join(", ")));
    out::line(format!("tokenizer       {}", if *tokenizer { "its own" } else { "the model's" }));
    out::line(format!("weights         {}", out::bytes(*bytes)));
}

/// Prints what a doctor finds; whether all is well.
fn examine(model: &Model, places: &Places) -> Result<bool, Failure> {
    let (catalog, progress) = (places.catalog()?, Progress::new());
    let open = |dtype| embed::open(&Model { dtype, ..model.clone() }, &places.sources(&catalog, &progress));
    let encoder = open(model.dtype)?;
    // Servers run as they were started, and the lexical model has one precision.
    let rounds = model.dtype != DType::F32 && !matches!(model.source, Source::Server { .. } | Source::CharNgram { .. });
    let exact = rounds.then(|| open(DType::F32)).transpose()?;
    let found = doctor::examine(encoder.as_ref(), exact.as_deref(), model.dtype)?;
    out::line(format!("model           {}, {} on {}", encoder.card().name, model.dtype, encoder.card().device));
    for Finding { what, told, well } in &found.findings {
        out::line(format!("{what:<15} {}{told}", if *well { "" } else { "WRONG: " }));
    }
    let noise = if found.noise == 0.0 {
        "none: a vector depends on its text alone".to_owned()
    } else {
        format!("{:.1e} of a vector; cosines move by up to {:.1e}, so smaller margins mean nothing", found.noise, found.cosine)
    };
    out::line(format!("noise floor     {noise}"));
    if found.margin > 0.0 {
        // Rounded up: the spec's floor is not below what was measured.
        let floor = format!("{:.1e}", 1.05 * found.margin);
        out::line(format!("for the gate    `margin_floor = {floor}` in `[gate]` excuses labels that change within that"));
    }
    Ok(found.findings.iter().all(|finding| finding.well))
}

/// Prints what a model is.
fn outline(folder: &Path, outline: &Outline) {
    let Outline { description, max_tokens, pooling, special, chat_template, files, values, memory } = outline;
    out::line(format!("folder          {}", folder.display()));
    out::line(format!("architecture    {}", description.architecture));
    let states = format!("hidden states 0 to {}", description.layers);
    out::line(format!("layers          {} ({states}), {} wide", description.layers, description.hidden));
    out::line(format!("vocabulary      {} tokens", out::count(description.vocabulary as u64)));
    out::line(format!("max tokens      {}", out::count(*max_tokens as u64)));
    let reads = if description.attention.causal { "left to right" } else { "both ways" };
    out::line(format!("attention       {reads}, {} heads", description.attention.heads));
    let scaled = if pooling.normalize { ", scaled to unit length" } else { "" };
    out::line(format!("pool = \"own\"    {}{scaled}", embed_bench::spec::Pooling::from(pooling.pool)));
    out::line(format!("special tokens  {}", around(&special.before, &special.after)));
    out::line(format!("chat template   {}", if *chat_template { "yes" } else { "no" }));
    let bytes = files.iter().map(|(_, bytes)| bytes).sum();
    let types: Vec<String> = values.iter().map(|(name, count)| format!("{} {name}", out::count(*count))).collect();
    let count = if let [_] = files[..] { "1 file".to_owned() } else { format!("{} files", files.len()) };
    out::line(format!("weights         {} in {count}: {}", out::bytes(bytes), types.join(", ")));
    out::line(format!("parameters      {} used", out::count(description.parameters())));
    let memory: Vec<String> = memory.iter().map(|(dtype, bytes)| format!("{dtype} {}", out::bytes(*bytes))).collect();
    out::line(format!("memory          {} (weights and batches, on the CPU)", memory.join(", ")));
}

fn around(before: &[String], after: &[String]) -> String {
    let side = |tokens: &[String], which: &str| (!tokens.is_empty()).then(|| format!("{} {which}", tokens.join(" ")));
    let sides: Vec<String> = [side(before, "before"), side(after, "after")].into_iter().flatten().collect();
    if sides.is_empty() { "none".to_owned() } else { format!("{} every text", sides.join(", ")) }
}
