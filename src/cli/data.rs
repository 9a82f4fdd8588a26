//! `bench data`: datasets by name.

use std::collections::BTreeMap;

use embed_bench::dataset::{Catalog, Fetched, Manifest, Row};

use super::progress::Progress;
use super::{Answer, Failure, Places, out};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the datasets that have a manifest, and whether their files are here
    List,
    /// Download a dataset's files and check them
    Get {
        /// The dataset's name
        name: String,
    },
    /// Show a dataset: licence, splits, counts, labels, the first rows of a split
    Show {
        /// The dataset's name
        name: String,
        /// Split to show rows of
        #[arg(long)]
        split: Option<String>,
        /// How many rows to show
        #[arg(long, default_value_t = 3)]
        rows: usize,
    },
}

pub fn run(command: &Command, places: &Places) -> Result<Answer, Failure> {
    let catalog = places.catalog()?;
    match command {
        Command::List => list(&catalog)?,
        Command::Get { .. } if places.offline => {
            return Err(Failure::Usage("`bench data get` downloads, which --offline forbids; leave it out".to_owned()));
        }
        Command::Get { name } => get(&catalog, name)?,
        Command::Show { name, split, rows } => show(&catalog, name, split.as_deref(), *rows)?,
    }
    Ok(Answer::Good)
}

fn list(catalog: &Catalog) -> Result<(), Failure> {
    let mut table = out::wrapped(out::table(&["dataset", "kind", "languages", "splits here", "about"]));
    for name in catalog.names()? {
        let manifest = catalog.manifest(&name)?;
        let here: Vec<&str> = (manifest.splits.iter())
            .filter(|split| split.all_files().all(|file| catalog.find(&name, file).is_some()))
            .map(|split| split.name.as_str())
            .collect();
        let here = if here.is_empty() { "none".to_owned() } else { here.join(", ") };
        let Manifest { kind, languages, about, .. } = manifest;
        table.add_row([name, kind.id().to_owned(), languages.join(", "), here, about]);
    }
    out::line(table);
    Ok(())
}

fn get(catalog: &Catalog, name: &str) -> Result<(), Failure> {
    let report = catalog.fetch(name, &Progress::new())?;
    if report.downloads.is_empty() {
        out::line(format!("{name}: nothing to download"));
    }
    for fetched in report.downloads {
        match fetched {
            Fetched::Present { files, .. } => {
                files.iter().for_each(|file| out::line(format!("here already: {}", file.display())));
            }
            Fetched::Downloaded { url, files, bytes, sha256, pinned } => {
                files.iter().for_each(|file| out::line(format!("downloaded: {}", file.display())));
                let checked = if pinned { "as the manifest says" } else { "unchecked: the manifest names no checksum" };
                out::line(format!("  from {url}, {}, SHA-256 {sha256} ({checked})", out::bytes(bytes)));
                if !pinned {
                    out::line(format!("  to pin it: sha256 = \"{sha256}\" in its [[download]]"));
                }
            }
        }
    }
    Ok(())
}

fn show(catalog: &Catalog, name: &str, split: Option<&str>, count: usize) -> Result<(), Failure> {
    let manifest = catalog.manifest(name)?;
    out::line(format!("{name}: {}", manifest.about));
    out::line(format!(
        "kind {} · languages {} · licence {}",
        manifest.kind.id(),
        manifest.languages.join(", "),
        manifest.licence
    ));
    for line in [&manifest.homepage, &manifest.citation].into_iter().flatten() {
        out::line(line);
    }
    for known in &manifest.splits {
        let here = known.all_files().all(|file| catalog.find(name, file).is_some());
        if split.is_some_and(|wanted| wanted != known.name) {
            continue;
        }
        if !here {
            out::line(format!("split {}: files not here (`bench data get {name}`, or copies in --data-dir)", known.name));
            continue;
        }
        let (rows, origin) = catalog.rows(name, &known.name)?;
        let skipped = if origin.skipped > 0 { format!(", {} skipped", origin.skipped) } else { String::new() };
        out::line(format!("split {}: {} rows{skipped}", known.name, rows.len()));
        labels(&rows);
        if split.is_some() {
            rows.iter().take(count).for_each(row);
        }
    }
    if let Some(wanted) = split.filter(|wanted| manifest.split(wanted).is_none()) {
        // Asks the catalog, whose error names the splits there are.
        catalog.rows(name, wanted)?;
    }
    Ok(())
}

/// The commonest labels with their counts.
fn labels(rows: &[Row]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().filter_map(|row| row.label.as_deref()).for_each(|label| *counts.entry(label).or_default() += 1);
    if counts.is_empty() {
        return;
    }
    let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let shown: Vec<String> = ranked.iter().take(12).map(|(label, count)| format!("{label} {count}")).collect();
    let more = ranked.len().saturating_sub(12);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    out::line(format!("  {} labels: {}{more}", ranked.len(), shown.join(", ")));
}

fn row(row: &Row) {
    let gold = row.label.clone().or_else(|| row.score.map(|score| score.to_string())).unwrap_or_default();
    out::line(format!("  [{}] {gold}: {}", row.id, out::shortened(&row.text, 120)));
    if let Some(text) = &row.text2 {
        out::line(format!("      {}", out::shortened(text, 120)));
    }
}
