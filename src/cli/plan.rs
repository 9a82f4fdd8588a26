//! `bench plan`: the work ahead, in numbers.

use std::path::PathBuf;
use std::time::Duration;

use embed_bench::dataset::Kind;
use embed_bench::embed::{available_memory, measured_rate};
use embed_bench::plan::{ModelSummary, Plan};
use embed_bench::results::Choices;
use embed_bench::spec::{Model, Source, Spec};
use indicatif::HumanDuration;

use super::progress::Progress;
use super::{Answer, Failure, Places, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// The spec to plan
    spec: PathBuf,
    /// List every cell with its id
    #[arg(long)]
    cells: bool,
}

pub fn run(arguments: &Arguments, places: &Places) -> Result<Answer, Failure> {
    let spec = Spec::load(&arguments.spec)?;
    let progress = Progress::new();
    let catalog = places.catalog()?;
    let plan = Plan::build(spec, &places.sources(&catalog, &progress))?;
    let summary = plan.summary(&places.store())?;
    for slice in &plan.slices {
        let what = match slice.kind {
            Kind::Classification => format!("{} samples, {} labels", slice.samples.len(), slice.labels.len()),
            kind => format!("{} {}", slice.samples.len(), kind.samples()),
        };
        out::line(format!("slice {}: {what}, digest {}", slice.id, slice.digest.short()));
    }
    plan.warnings.iter().for_each(|warning| out::line(format!("warning: {warning}")));
    work(&plan, &summary.models);
    cuts(&summary.models);
    if arguments.cells {
        cells(&plan);
    }
    out::line(format!("{} cells", summary.cells));
    Ok(Answer::Good)
}

fn work(plan: &Plan, models: &[ModelSummary]) {
    let mut table = out::table(&["model", "device", "texts", "unique", "tokens", "cached", "to compute", "memory", "time"]);
    for (model, entry) in models.iter().zip(&plan.spec.models) {
        table.add_row([
            model.id.clone(),
            model.device.clone(),
            out::count(model.texts as u64),
            out::count(model.unique as u64),
            out::count(model.tokens),
            out::count(model.cached as u64),
            out::count(model.positions),
            out::bytes(model.cost.peak_bytes),
            time(model, entry),
        ]);
    }
    out::line(table);
    out::line("texts: over all prompts and label sets · unique: after deduplication over the grid · to compute: token");
    out::line("positions, shared prefixes once · time: from a short measurement of this machine, within a factor of 2");
    for model in
        plan.spec.models.iter().filter(|model| matches!(model.source, Source::CharNgram { .. } | Source::Server { .. }))
    {
        let why = if matches!(model.source, Source::Server { .. }) {
            "its tokens are known to its server alone"
        } else {
            "it has no tokenizer"
        };
        out::line(format!("tokens of {}: characters; {why}", model.id));
    }
    let free = available_memory();
    for model in models.iter().filter(|model| model.positions > 0 && free > 0 && model.cost.peak_bytes > free) {
        out::line(format!(
            "warning: {} needs about {} and {} are free",
            model.id,
            out::bytes(model.cost.peak_bytes),
            out::bytes(free)
        ));
    }
}

/// A forward pass reaches about this much of the rate of a large matrix product.
const EFFICIENCY: f64 = 0.6;

fn time(model: &ModelSummary, entry: &Model) -> String {
    if model.cost.flops == 0 {
        return "-".to_owned();
    }
    let Some(rate) = measured_rate(entry) else { return "unknown".to_owned() };
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = model.cost.flops as f64 / (EFFICIENCY * rate);
    format!("{:#}", HumanDuration(Duration::from_secs_f64(seconds.max(1.0))))
}

fn cuts(models: &[ModelSummary]) {
    let mut table = out::table(&["model", "prompt", "slice", "samples cut", "longest (tokens)"]);
    for model in models {
        for cut in &model.cuts {
            table.add_row([
                model.id.clone(),
                cut.prompt.clone(),
                cut.slice.clone(),
                format!("{} of {}", cut.cut, cut.samples),
                out::count(cut.longest as u64),
            ]);
        }
    }
    out::line(table);
}

fn cells(plan: &Plan) {
    let choices: Vec<Choices> = plan.cells.iter().map(|cell| plan.choices(cell)).collect();
    let axes = out::axes(&choices);
    let mut table = out::table(&[&["cell"], axes.iter().map(|axis| axis.name()).collect::<Vec<_>>().as_slice()].concat());
    for (cell, choices) in plan.cells.iter().zip(&choices) {
        table.add_row(std::iter::once(cell.id.as_str()).chain(axes.iter().map(|axis| choices.on(*axis))));
    }
    out::line(table);
}
