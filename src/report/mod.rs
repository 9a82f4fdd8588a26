//! A report from result files alone: Markdown, one self-contained HTML page, and SVG figures.
//!
//! `view` computes and words everything once as blocks, `markdown` writes them, `html` turns that Markdown into a page,
//! `plot` draws the figures. Same record, same bytes.

mod document;
mod escape;
mod html;
mod markdown;
mod number;
mod plot;
mod view;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::results::{ResultsError, RunRecord};

pub use view::{Ranking, Standing};

/// Where a report was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub markdown: PathBuf,
    pub html: PathBuf,
}

/// A report in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `report.md`; refers to the figures by file name.
    pub markdown: String,
    /// `report.html`; holds the figures.
    pub html: String,
    /// SVG documents by file name.
    pub figures: BTreeMap<String, String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the results in {} cannot be read", folder.display())]
    Results {
        folder: PathBuf,
        #[source]
        source: Box<ResultsError>,
    },
    #[error("the figure {file} cannot be drawn")]
    Figure {
        file: String,
        #[source]
        source: plot::PlotError,
    },
    #[error("the report cannot be written to {}; name a folder you may write to with `--output`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Writes `report.md`, `report.html` and the figures of the results in `results` into the folder `out`.
///
/// # Errors
/// When the results cannot be read, or a file cannot be written.
pub fn build(results: &Path, out: &Path) -> Result<Written, ReportError> {
    let run = RunRecord::open(results)
        .map_err(|source| ReportError::Results { folder: results.to_owned(), source: Box::new(source) })?;
    let report = render(&run)?;
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Write { path, source }
    };
    std::fs::create_dir_all(out).map_err(refused(out))?;
    let written = Written { markdown: out.join("report.md"), html: out.join("report.html") };
    let figures = report.figures.iter().map(|(file, svg)| (out.join(file), svg));
    let pages = [(written.markdown.clone(), &report.markdown), (written.html.clone(), &report.html)];
    for (path, content) in figures.chain(pages) {
        std::fs::write(&path, content).map_err(refused(&path))?;
    }
    Ok(written)
}

/// The report of a run, without touching the disk.
///
/// # Errors
/// When a figure cannot be drawn.
pub fn render(run: &RunRecord) -> Result<Report, ReportError> {
    let view = view::View::of(run);
    let mut figures = BTreeMap::new();
    for figure in view.figures() {
        let svg = plot::svg(&figure.drawing, &figure.alt)
            .map_err(|source| ReportError::Figure { file: figure.file.clone(), source })?;
        figures.insert(figure.file.clone(), svg);
    }
    let markdown = markdown::render(&view.blocks);
    let html = html::page(&view.title, &markdown, &figures);
    Ok(Report { markdown, html, figures })
}
