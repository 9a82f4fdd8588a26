//! How to get these numbers again: command, spec, models, data, versions, work done.

use crate::report::document::{Block, Column};
use crate::report::escape::{code, one_line, shorten, text};
use crate::report::number::{counted, decimal, grouped, percent};
use crate::results::{Chat, Kind, LabelsRecord, Layer, PromptRecord, Provenance, ReadoutRecord, SliceRecord, TransformRecord};
use crate::spec::{Companion, Draws, Protocol, Senteval, Task};

/// Most entries of a model's digest that are listed, and most views of a prompt.
const ENTRIES: usize = 16;
const VIEWS: usize = 3;

pub fn blocks(run: &Provenance) -> Vec<Block> {
    let parts = [
        ("Models", vec![models(run), digests(run)]),
        ("Prompts", vec![prompts(run)]),
        ("Labels", vec![labels(run)]),
        ("Tasks", vec![Block::Bullets(run.tasks.iter().map(task).collect())]),
        ("Readouts", vec![readouts(run)]),
        ("Transforms", vec![Block::Bullets(run.transforms.iter().map(transform).collect())]),
        ("Data", vec![Block::Bullets(run.slices.iter().map(slice).collect())]),
    ];
    let mut blocks = vec![Block::Fenced { language: "sh", text: commands(run) }, Block::Bullets(facts(run))];
    for (title, part) in parts {
        let part: Vec<Block> = part.into_iter().filter(|block| !block.is_empty()).collect();
        if !part.is_empty() {
            blocks.push(Block::Heading(3, title.to_owned()));
            blocks.extend(part);
        }
    }
    blocks.push(Block::Heading(3, "Spec as run".to_owned()));
    blocks.push(Block::Fenced { language: "toml", text: run.spec.clone() });
    blocks
}

fn commands(run: &Provenance) -> String {
    let (spec, name) = (shell_word(&run.spec_path), shell_word(&format!("results/{}", run.name)));
    format!("bench run {spec}\nbench report {name}    # this page again, from the results alone")
}

/// A word for a shell: quoted when it holds anything but plain characters.
fn shell_word(raw: &str) -> String {
    let word = one_line(raw);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn facts(run: &Provenance) -> Vec<String> {
    let times = &run.times;
    let cached = times.texts_cached;
    let all = cached + times.texts_embedded;
    let share = if all == 0 { String::new() } else { format!(" ({} of {})", percent(ratio(cached, all)), grouped(all)) };
    let work = if times.tokens_computed == 0 {
        "Computed: nothing, all from the cache".to_owned()
    } else {
        format!(
            "Computed: {} token positions in {} s, loading weights and writing the cache included",
            grouped(times.tokens_computed),
            decimal(times.embed_seconds, 1)
        )
    };
    vec![
        format!("Program: `bench` {}, result format {}, seed {}", text(&run.engine), run.format, run.seed),
        format!("Started {}, finished {}, {} logical cores", text(&times.started), text(&times.finished), times.cores),
        format!(
            "{work}; {} unique texts embedded, {} found in the cache{share}",
            grouped(times.texts_embedded),
            grouped(cached)
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts of texts are far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn models(run: &Provenance) -> Block {
    let columns = vec![
        Column::words("model"),
        Column::words("source"),
        Column::numbers("parameters"),
        Column::words("dtype"),
        Column::words("device"),
        Column::numbers("max tokens"),
    ];
    let rows = run.models.iter().map(|model| {
        let parameters = if model.parameters == 0 { "none".to_owned() } else { grouped(model.parameters) };
        let limit = grouped(model.max_tokens as u64);
        let source = match &model.adapter {
            Some(adapter) => format!("{} with {}", code(&model.source), code(adapter)),
            None => code(&model.source),
        };
        vec![text(&model.id), source, parameters, text(&model.dtype), text(&model.device), limit]
    });
    Block::table(columns, rows.collect())
}

/// What each model is, on every machine and here, and what went into the latter digest.
fn digests(run: &Provenance) -> Block {
    let rows = run.models.iter().flat_map(|model| {
        let row = |part: String, value: String| vec![text(&model.id), part, value];
        let digests = [
            row("the model, the same on every machine".to_owned(), code(&model.identity.to_string())),
            row("the encoder, the machine included".to_owned(), code(&model.encoder.to_string())),
        ];
        let entries = model.about.as_object().into_iter().flatten().take(ENTRIES);
        digests.into_iter().chain(entries.map(move |(key, value)| row(code(key), value_text(value))))
    });
    let columns = ["model", "digest, or part of the encoder's", "value"].map(Column::words).into();
    Block::table(columns, rows.collect())
}

fn value_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(plain) => code(&shorten(plain, 120)),
        other => code(&shorten(&other.to_string(), 120)),
    }
}

fn prompts(run: &Provenance) -> Block {
    let columns = ["prompt", "truncate", "clean", "template"].map(Column::words).into();
    Block::table(columns, run.prompts.iter().map(prompt).collect())
}

/// Id, truncation, cleaning and templates.
fn prompt(prompt: &PromptRecord) -> Vec<String> {
    let mut views: Vec<String> = prompt.views.iter().take(VIEWS).map(|view| code(&shorten(view, 1000))).collect();
    if prompt.views.len() > VIEWS {
        views.push(format!("and {} more views", prompt.views.len() - VIEWS));
    }
    for (view, differently) in prompt.differently.iter().enumerate() {
        let parts = [
            differently.layer.map(|layer| format!("layer {}", layer.to_string().replace('-', "\u{2212}"))),
            differently.pool.map(|pool| format!("pool {pool}")),
            differently.span.map(|span| format!("copy {span} of the text")),
            differently.norm.map(|norm| format!("final norm {}", if norm { "applied" } else { "not applied" })),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            views.push(format!("view {} read at {}", view + 1, parts.join(", ")));
        }
    }
    if prompt.views.len() > 1 {
        views.push(format!("fused by {}", code(prompt.fuse.name())));
    }
    if let Some(Chat { system, answer }) = &prompt.chat {
        views.push("as a message in the model's chat format".to_owned());
        let part =
            |what: &str, words: &Option<String>| words.as_ref().map(|words| format!("{what} {}", code(&shorten(words, 1000))));
        views.extend(part("after the system's", system));
        views.extend(part("with an answer that begins", answer));
    }
    if let Some(documents) = &prompt.documents {
        let said = self::prompt(documents).pop().unwrap_or_default();
        let clean =
            if documents.clean == prompt.clean { String::new() } else { format!(" (clean {})", text(&documents.clean)) };
        views.push(format!("documents: {said}{clean}"));
    }
    vec![text(&prompt.id), text(&prompt.truncate), text(&prompt.clean), views.join(", ")]
}

/// How each wording of the labels was made and rendered.
fn labels(run: &Provenance) -> Block {
    let columns = ["labels", "words", "prompt", "truncate", "clean", "template"].map(Column::words).into();
    let rendered = |labels: &LabelsRecord| {
        let own = || ["that of the texts", "", "", ""].map(str::to_owned).to_vec();
        [vec![text(&labels.id), words(labels)], labels.prompt.as_ref().map_or_else(own, prompt)].concat()
    };
    Block::table(columns, run.labels.iter().map(rendered).collect())
}

/// What stands for labels: names or phrases, in templates, samples, or other sets.
fn words(labels: &LabelsRecord) -> String {
    if let Some(shots) = &labels.shots {
        let from = &shots.from;
        let seed = from.seed.map_or(String::new(), |seed| format!(", seed {seed}"));
        let split = code(&format!("{}/{}", from.dataset, from.split));
        return format!("{} of each label from {split}{seed}", counted(shots.count, "text"));
    }
    if !labels.ensemble.is_empty() {
        let members: Vec<String> = labels.ensemble.iter().map(|id| code(id)).collect();
        return format!("mean of {}", members.join(", "));
    }
    let words = if labels.phrases.is_empty() { "names" } else { "phrases" };
    let templates: Vec<String> = labels.templates.iter().map(|template| code(&shorten(template, 200))).collect();
    if templates.is_empty() { words.to_owned() } else { format!("{words} in {}", templates.join(", ")) }
}

/// A transform with what it was fitted on.
fn transform(record: &TransformRecord) -> String {
    let seen: Vec<String> = record.seen.iter().map(|(slice, samples)| format!("{samples} of slice {}", code(slice))).collect();
    let seen = if seen.is_empty() { String::new() } else { format!(", among them {}", seen.join(", ")) };
    format!(
        "{}: {}, fitted on {} of {}{seen}, digest {}",
        code(&record.id),
        record.rule,
        counted(record.texts, "text"),
        code(&record.fit.to_string()),
        code(&record.digest.to_string())
    )
}

fn readouts(run: &Provenance) -> Block {
    let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
    let columns = vec![
        Column::words("readout"),
        Column::words("layer"),
        Column::words("pool"),
        Column::words("final norm on an inner layer"),
        Column::words("unit length"),
    ];
    let rows = run.readouts.iter().map(|readout| {
        vec![
            text(&readout.id),
            layer(run, readout),
            format!("{}{}", text(&readout.pool), span(readout)),
            yes(readout.norm),
            format!(
                "{}{}",
                yes(readout.normalize),
                readout.dim.map(|dim| format!(", first {dim} coordinates")).unwrap_or_default()
            ),
        ]
    });
    Block::table(columns, rows.collect())
}

/// The layer as asked for and, where that does not say it, which hidden state it is in each model.
fn layer(run: &Provenance, readout: &ReadoutRecord) -> String {
    let asked = readout.layer.to_string().replace('-', "\u{2212}");
    let states = run.models.iter().filter_map(|model| Some((text(&model.id), model.layers.get(&readout.id)?)));
    let states: Vec<String> = states.map(|(model, state)| format!("{state} of {model}")).collect();
    let told = matches!(readout.layer, Layer::At(layer) if layer >= 0) || states.is_empty();
    if told { asked } else { format!("{asked} (state {})", states.join(", ")) }
}

/// Which copy of the text is pooled, if not the whole prompt.
fn span(readout: &ReadoutRecord) -> String {
    readout.span.map(|span| format!(", over copy {span} of the text")).unwrap_or_default()
}

/// A task with what its spec fixes.
fn task(task: &Task) -> String {
    let given = |key: &str, value: Option<&str>| value.map(|value| format!(", {key} {}", code(value))).unwrap_or_default();
    let (protocol, rest) = match task {
        Task::LabelSimilarity { .. } => (None, String::new()),
        Task::LinearProbe { train, senteval: Some(Senteval { folds, dev }), .. } => {
            let judge = dev.as_ref().map_or(format!(", {folds} folds"), |dev| given("dev", Some(&companion(dev))));
            (Some(Protocol::Senteval), format!("{}{judge}", given("train", Some(&companion(train)))))
        }
        Task::LinearProbe { train, c, draws, .. } => {
            let drawn = draws.map(|Draws { samples_per_label, experiments }| {
                format!(", {experiments} experiments of {samples_per_label} texts of each label")
            });
            let protocol = draws.map(|_| Protocol::Mteb);
            (protocol, format!("{}, C = {c}{}", given("train", Some(&companion(train))), drawn.unwrap_or_default()))
        }
        Task::Retrieval { documents, protocol, identical, .. } => {
            let ignored = if identical.are_found() { "" } else { ", identical ids ignored" };
            (*protocol, given("documents", documents.as_ref().map(companion).as_deref()) + ignored)
        }
        Task::Clustering { clusters, restarts } => {
            let many = clusters.map_or("one for each label".to_owned(), |clusters| clusters.to_string());
            (None, format!(", clusters {}, restarts {restarts}", code(&many)))
        }
        Task::Knn { train, k, .. } => (None, format!("{}, k = {k}", given("train", Some(&companion(train))))),
        Task::Sts { protocol, aggregate } => (*protocol, given("aggregate", Some(aggregate.name()))),
        Task::PairClassification { protocol, thresholds_from } => {
            (*protocol, given("thresholds from slice", thresholds_from.as_deref()))
        }
    };
    let slices: Vec<String> = task.slices().iter().map(|slice| code(slice)).collect();
    let slices = if slices.is_empty() { String::new() } else { format!(", on {}", slices.join(", ")) };
    format!("{}{}{rest}{slices}", code(task.kind().name()), given("protocol", protocol.map(Protocol::name)))
}

fn companion(companion: &Companion) -> String {
    match companion {
        Companion::Slice(id) => id.clone(),
        Companion::Itself => "its own folds".to_owned(),
        Companion::Split { dataset: None, split } => format!("split {split}"),
        Companion::Split { dataset: Some(dataset), split } => format!("split {split} of {dataset}"),
    }
}

fn slice(slice: &SliceRecord) -> String {
    let origin = &slice.origin;
    let files: Vec<String> =
        origin.files.iter().map(|(name, digest)| format!("{} SHA-256 {}", code(name), code(&digest.to_string()))).collect();
    let skipped = if origin.skipped > 0 {
        format!(" {} unreadable rows were skipped, as the manifest allows.", origin.skipped)
    } else {
        String::new()
    };
    let samples = grouped(slice.samples as u64);
    let what = match slice.kind {
        Kind::Classification => format!("{samples} texts, {} labels", slice.labels.len()),
        kind => format!("{samples} {}", kind.samples()),
    };
    format!(
        "Slice {}: dataset {}, split {}, {what}, digest {}.{skipped} Files: {}.",
        code(&slice.id),
        code(&origin.dataset),
        code(&origin.split),
        code(&slice.digest.to_string()),
        if files.is_empty() { "none".to_owned() } else { files.join(", ") },
    )
}
