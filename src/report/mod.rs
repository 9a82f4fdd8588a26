//! A report from result files alone: Markdown, one self-contained HTML page, and SVG figures.
//!
//! `view` computes and words everything once as blocks, `markdown` writes them, `html` turns that Markdown into a page and
//! adds the run's data to explore, `plot` draws the figures. Same record, same bytes.

mod document;
mod escape;
mod html;
mod markdown;
mod number;
mod plot;
mod summary;
mod view;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::results::{self, Published, ResultsError, RunRecord};
use document::Block;

pub use summary::{SummaryError, summarise};
pub use view::{Ranking, Standing};

/// Where a report was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub markdown: PathBuf,
    pub html: PathBuf,
}

/// A report in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// `report.md`; refers to the figures by file name.
    pub markdown: String,
    /// `report.html`; holds the figures.
    pub html: String,
    /// SVG documents by file name.
    pub figures: BTreeMap<String, String>,
    /// The same before they have a format.
    pictures: BTreeMap<String, plot::Picture>,
}

/// What figures are written as, beside SVG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    None,
    Png,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the figure {file} cannot be drawn")]
    Figure {
        file: String,
        #[source]
        source: plot::PlotError,
    },
    #[error("no PNG of {} in {}; all else is written", files.join(", "), folder.display())]
    Pictures {
        folder: PathBuf,
        files: Vec<String>,
        /// Why the first of them cannot be written.
        #[source]
        source: plot::FontError,
    },
    #[error("the choices of the run cannot be compared")]
    Summary {
        #[source]
        source: Box<ResultsError>,
    },
    #[error("the data of the page cannot be written as JSON")]
    Data {
        #[source]
        source: serde_json::Error,
    },
    #[error("the report cannot be written to {}; name a folder you may write to with `--output`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: Box<ResultsError>,
    },
    #[error("{} is a figure of an earlier report and cannot be removed; remove it yourself", path.display())]
    Stale {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Writes `report.md`, `report.html` and the figures of a run into the folder `out`; `published` are figures of others to show
/// beside the run's own.
///
/// # Errors
/// When a figure cannot be drawn, or a file cannot be written.
pub fn build(run: &RunRecord, out: &Path, published: &[Published], pictures: Pictures) -> Result<Written, ReportError> {
    write(&render_with(run, published)?, out, pictures)
}

/// Puts a report's files into a folder, and removes figures of an earlier one.
fn write(report: &Report, out: &Path, pictures: Pictures) -> Result<Written, ReportError> {
    let written = Written { markdown: out.join("report.md"), html: out.join("report.html") };
    let figures = report.figures.iter().map(|(file, svg)| (out.join(file), svg));
    let pages = [(written.markdown.clone(), &report.markdown), (written.html.clone(), &report.html)];
    for (path, content) in figures.chain(pages) {
        results::replace(&path, content.as_bytes())
            .map_err(|source| ReportError::Write { path: path.clone(), source: Box::new(source) })?;
    }
    for path in stale(out, &report.figures) {
        std::fs::remove_file(&path).map_err(|source| ReportError::Stale { path, source })?;
    }
    // Last, for the machine may lack fonts: all else is there then.
    if pictures == Pictures::Png {
        write_pictures(&report.pictures, out)?;
    }
    Ok(written)
}

/// Writes every figure that can be as PNG; an error names the others.
fn write_pictures(pictures: &BTreeMap<String, plot::Picture>, out: &Path) -> Result<(), ReportError> {
    let mut refused = Vec::new();
    for (file, picture) in pictures {
        let path = out.join(file).with_extension("png");
        match plot::png(picture) {
            Ok(bytes) => results::replace(&path, &bytes)
                .map_err(|source| ReportError::Write { path: path.clone(), source: Box::new(source) })?,
            Err(why) => refused.push((file.clone(), why)),
        }
    }
    let (files, reasons): (Vec<String>, Vec<plot::FontError>) = refused.into_iter().unzip();
    match reasons.into_iter().next() {
        Some(source) => Err(ReportError::Pictures { folder: out.to_owned(), files, source }),
        None => Ok(()),
    }
}

/// Figures that an earlier report left in this folder. Other people's drawings have other names.
fn stale(folder: &Path, figures: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let ours = |file: &str| {
        let stem = file.strip_suffix(".svg").or(file.strip_suffix(".png")).unwrap_or_default();
        let numbered = stem.rsplit_once('-').filter(|(_, number)| number.parse::<usize>().is_ok());
        let kind = numbered.map_or(stem, |(kind, _)| kind);
        view::FIGURES.contains(&kind) && !figures.contains_key(file)
    };
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter(|file| file.file_name().to_str().is_some_and(ours)).map(|file| file.path()).collect()
}

/// The report of a run, without touching the disk.
///
/// # Errors
/// When a figure cannot be drawn, or the table library fails.
pub fn render(run: &RunRecord) -> Result<Report, ReportError> {
    render_with(run, &[])
}

fn render_with(run: &RunRecord, published: &[Published]) -> Result<Report, ReportError> {
    let contests = view::Contests::of(run);
    let view = view::View::of(run, &contests, published).map_err(|source| ReportError::Summary { source: Box::new(source) })?;
    let data = html::elements(run, &contests).map_err(|source| ReportError::Data { source })?;
    assemble(&view.title, &view.blocks, Some(data))
}

/// Blocks as Markdown, as a page and as figures; `data` are the elements that the page's script reads.
fn assemble(title: &str, blocks: &[Block], data: Option<String>) -> Result<Report, ReportError> {
    let (mut figures, mut pictures) = (BTreeMap::new(), BTreeMap::new());
    for block in blocks {
        let Block::Figure(figure) = block else { continue };
        let picture = plot::picture(&figure.drawing, &figure.alt);
        let svg = picture.svg().map_err(|source| ReportError::Figure { file: figure.file.clone(), source })?;
        figures.insert(figure.file.clone(), svg);
        pictures.insert(figure.file.clone(), picture);
    }
    let markdown = markdown::render(blocks);
    let html = html::page(title, &markdown, &figures, data);
    Ok(Report { markdown, html, figures, pictures })
}
