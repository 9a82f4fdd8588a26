//! Turns a manifest's TOML into a [`Manifest`], noting every problem with its place.

use std::ops::Range;
use std::path::{Component, Path};

use toml::de::DeValue;

use super::document::Section;
use super::error::hint;
use super::manifest::{
    Column, Columns, Contents, Corpus, Download, Encoding, Format, Kind, Manifest, MtebTask, OnBadRow, Split, WhiteSpace,
};
use super::{Line, LineError};
use crate::digest::Digest;
use crate::spec::{Identical, suggest};

/// The manifest, or `None` where a key that nothing works without is missing; every problem is noted either way.
pub(super) fn manifest(top: Section<'_>, path: &Path) -> Option<Manifest> {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let name = top.required_text("name");
    if let Some((name, span)) = &name
        && name != folder
    {
        top.note(span.clone(), format!("`name` is \"{name}\", wanted the folder's name, \"{folder}\""));
    }
    let about = top.required_text("about");
    let kinds = [Kind::Classification, Kind::Pairs, Kind::Sts, Kind::Retrieval].map(|kind| (kind.id(), kind));
    top.require("kind");
    let kind = top.choice("kind", &kinds);
    let licence = top.required_text("licence");
    let citation = top.text("citation");
    let homepage = top.text("homepage");
    let obtain = top.text("obtain");
    let languages = top.texts("languages");
    let labels: Vec<String> = bare(top.texts("labels"));
    let on_bad_row = top.choice("on_bad_row", &[("error", OnBadRow::Error), ("skip", OnBadRow::Skip)]).unwrap_or_default();
    let shared = top.section("columns");
    let shared_span = shared.as_ref().map(Section::span);
    let shared = shared.map(Named::read);
    let mut splits = Vec::new();
    for (name, section) in top.sections("splits") {
        splits.extend(split(name, section, (kind, labels.as_slice()), shared.as_ref()));
    }
    if splits.is_empty() && top.value("splits").is_none() {
        top.note(shared_span.unwrap_or(0..0), "the manifest lacks `[splits.<name>]`".to_owned());
    }
    let known: Vec<&str> = splits.iter().flat_map(Split::all_files).collect();
    let downloads = top.array("download").into_iter().filter_map(|section| download(section, &known)).collect();
    top.finish();
    Some(Manifest {
        name: name?.0,
        about: about?.0,
        kind: kind?,
        licence: licence?.0,
        citation: citation.map(|(text, _)| text),
        homepage: homepage.map(|(text, _)| text),
        languages: bare(languages),
        labels,
        on_bad_row,
        obtain: obtain.map(|(text, _)| text),
        splits,
        downloads,
        path: path.to_owned(),
    })
}

/// A `columns` table as it stands: each key with its column and place.
#[derive(Clone)]
struct Named {
    span: Range<usize>,
    columns: Vec<(&'static str, Column, Range<usize>)>,
}

impl Named {
    fn read(section: Section<'_>) -> Self {
        let mut columns = Vec::new();
        for key in ["text", "text2", "label", "score", "title", "id", "group"] {
            let Some(value) = section.value(key) else { continue };
            let column = match value.get_ref() {
                DeValue::String(name) if !name.trim().is_empty() => Some(Column::Name(name.to_string())),
                DeValue::Integer(index) if index.radix() == 10 => index.as_str().parse().ok().map(Column::Index),
                _ => None,
            };
            match column {
                Some(column) => columns.push((key, column, value.span())),
                None => section.note(value.span(), format!("`{key}` wants a column's name, or its index from 0")),
            }
        }
        let named = Self { span: section.span(), columns };
        section.finish();
        named
    }

    fn get(&self, key: &str) -> Option<Column> {
        self.columns.iter().find(|(name, ..)| *name == key).map(|(_, column, _)| column.clone())
    }
}

/// Texts without their places.
fn bare(texts: Vec<(String, Range<usize>)>) -> Vec<String> {
    texts.into_iter().map(|(text, _)| text).collect()
}

fn split(
    name: String,
    section: Section<'_>,
    (kind, known): (Option<Kind>, &[String]),
    shared: Option<&Named>,
) -> Option<Split> {
    let files = section.texts("files");
    if files.is_empty() {
        section.note(section.span(), format!("split `{name}` lacks `files`"));
    }
    for (file, span) in &files {
        check_file(&section, file, span);
    }
    let subsets = section.texts("subsets");
    if let Some((_, span)) = subsets.first()
        && subsets.len() != files.len()
    {
        section.note(span.clone(), format!("{} subsets for {} files, wanted one for each", subsets.len(), files.len()));
    }
    let format = format(&section);
    let encoding = encoding(&section, format.as_ref());
    let white_space = section.choice("white_space", &[("keep", WhiteSpace::Keep), ("collapse", WhiteSpace::Collapse)]);
    let own = section.section("columns").map(Named::read);
    let note = section.text("note").map(|(text, _)| text);
    let mteb = section.section("mteb").and_then(|section| {
        let found = mteb(&section, &name);
        section.finish();
        found
    });
    let named = own.as_ref().or(shared);
    let corpus = corpus(&section, kind, named.and_then(|named| named.get("title")));
    let labels = labels(&section, &files, (kind, known), named.is_some_and(|named| named.get("label").is_some()));
    if let (Some(named), Some(format)) = (named, &format) {
        check_columns(&section, named, format, kind);
    } else if named.is_none() {
        section.note(section.span(), format!("split `{name}` has no `[columns]`, and neither has the manifest"));
    }
    section.finish();
    let named = named?;
    Some(Split {
        name,
        files: bare(files),
        subsets: bare(subsets),
        labels,
        format: format?,
        encoding: encoding.unwrap_or_default(),
        white_space: white_space.unwrap_or_default(),
        columns: Columns {
            text: named.get("text")?,
            text2: named.get("text2"),
            label: named.get("label"),
            score: named.get("score"),
            title: None,
            id: named.get("id"),
            group: named.get("group"),
        },
        corpus,
        note,
        mteb,
    })
}

/// The label of each file's rows, where files say it and no column does.
fn labels(
    section: &Section<'_>,
    files: &[(String, Range<usize>)],
    (kind, known): (Option<Kind>, &[String]),
    in_column: bool,
) -> Vec<String> {
    let labels = section.list("labels");
    let Some(value) = section.value("labels") else { return Vec::new() };
    if !matches!(kind, None | Some(Kind::Classification | Kind::Pairs)) {
        section.note(value.span(), "`labels` is for texts and pairs that have labels".to_owned());
    } else if in_column {
        section
            .note(value.span(), "`labels` says what each file's rows are, and so does the column `label`; keep one".to_owned());
    } else if labels.len() != files.len() {
        let message = format!("{} labels for {} files, wanted one for each", labels.len(), files.len());
        section.note(value.span(), message);
    }
    for (label, span) in labels.iter().filter(|(label, _)| !known.is_empty() && !known.contains(label)) {
        let guess = suggest(label, known.iter().map(String::as_str));
        section.note(span.clone(), format!("`{label}` is none of the manifest's labels{}", hint(guess.as_deref())));
    }
    bare(labels)
}

/// How bytes stand for characters, in files of text.
fn encoding(section: &Section<'_>, format: Option<&Format>) -> Option<Encoding> {
    let encoding = section.choice("encoding", &[("utf-8", Encoding::Utf8), ("latin-1", Encoding::Latin1)]);
    if let (Some(value), Some(Format::Parquet)) = (section.value("encoding"), format) {
        section.note(value.span(), "`encoding` is for files of text, and Parquet is none".to_owned());
    }
    encoding
}

/// What the queries of a split are asked of, in a dataset of queries.
fn corpus(section: &Section<'_>, kind: Option<Kind>, title: Option<Column>) -> Option<Corpus> {
    let [files, qrels] = ["corpus", "qrels"].map(|key| {
        let files = section.texts(key);
        files.iter().for_each(|(file, span)| check_file(section, file, span));
        match (kind, section.value(key)) {
            (Some(Kind::Retrieval), _) if files.is_empty() => {
                section.note(section.span(), format!("a split of queries lacks `{key}`, a list of files"));
            }
            (Some(Kind::Retrieval) | None, _) | (_, None) => {}
            (Some(_), Some(value)) => section.note(value.span(), format!("`{key}` is for `kind = \"retrieval\"`")),
        }
        files.into_iter().map(|(file, _)| file).collect()
    });
    (kind == Some(Kind::Retrieval)).then_some(Corpus { files, qrels, title })
}

/// What MTEB calls a split, and what its figures are made of.
fn mteb(section: &Section<'_>, split: &str) -> Option<MtebTask> {
    let (task, revision) = (section.required_text("task"), section.required_text("revision"));
    let named = section.text("split").map_or_else(|| split.to_owned(), |(split, _)| split);
    section.require("languages");
    let languages = section.texts("languages").into_iter().map(|(text, _)| text).collect();
    let count = |key, usual| {
        let Some(value) = section.value(key) else { return usual };
        let digits = value.get_ref().as_integer().filter(|digits| digits.radix() == 10);
        digits.and_then(|digits| digits.as_str().parse().ok()).filter(|count| *count > 0).unwrap_or_else(|| {
            section.note(value.span(), format!("`{key}` wants a whole number above 0"));
            usual
        })
    };
    let (samples_per_label, experiments) = (count("samples_per_label", 8), count("experiments", 10));
    let ignored = section.boolean("ignore_identical_ids").is_some_and(|(flag, _)| flag);
    Some(MtebTask {
        task: task?.0,
        revision: revision?.0,
        split: named,
        languages,
        samples_per_label,
        experiments,
        identical: if ignored { Identical::Ignored } else { Identical::Found },
    })
}

fn format(section: &Section<'_>) -> Option<Format> {
    section.require("format");
    let words = ["jsonl", "csv", "tsv", "lines", "parquet"].map(|word| (word, word));
    let word = section.choice("format", &words);
    let header = section.boolean("header");
    let quoting = section.boolean("quoting");
    let pattern = section.text("line");
    if let Some((_, span)) = pattern.as_ref().filter(|_| word.is_some_and(|word| word != "lines")) {
        section.note(span.clone(), "`line` is for `format = \"lines\"` only".to_owned());
    }
    let format = match word? {
        "jsonl" => Format::JsonLines,
        "parquet" => Format::Parquet,
        "lines" => Format::Lines(match pattern {
            None => Line::whole(),
            Some((pattern, span)) => {
                let wrong = |error: LineError| section.note(span, format!("`line`: {error}"));
                Line::parse(&pattern).map_err(wrong).ok()?
            }
        }),
        word => {
            let separator = if word == "csv" { b',' } else { b'\t' };
            let flag = |given: Option<&(bool, Range<usize>)>| given.is_none_or(|(flag, _)| *flag);
            return Some(Format::Delimited { separator, header: flag(header.as_ref()), quoting: flag(quoting.as_ref()) });
        }
    };
    for (key, given) in [("header", header), ("quoting", quoting)] {
        if let Some((_, span)) = given {
            section.note(span, format!("`{key}` is for csv and tsv only"));
        }
    }
    Some(format)
}

/// Checks that a split's columns fit its format and the dataset's kind.
fn check_columns(section: &Section<'_>, named: &Named, format: &Format, kind: Option<Kind>) {
    let by_index = matches!(format, Format::Delimited { header: false, .. });
    for (key, column, span) in &named.columns {
        match column {
            Column::Index(_) if !by_index => {
                section.note(
                    span.clone(),
                    format!("`{key}` is an index, wanted a name: indices are for files with `header = false`"),
                );
            }
            Column::Name(_) if by_index => {
                section.note(span.clone(), format!("`{key}` is a name, wanted an index from 0: the file has no header"));
            }
            Column::Name(name) => {
                if let Format::Lines(line) = format
                    && !line.names().any(|field| field == name)
                {
                    let guess = suggest(name, line.names());
                    section.note(span.clone(), format!("no field of `{line}` is `{name}`{}", hint(guess.as_deref())));
                }
            }
            Column::Index(_) => {}
        }
    }
    let wanted: &[&str] = match kind {
        Some(Kind::Pairs | Kind::Sts) => &["text", "text2"],
        // Judgements name queries and documents.
        Some(Kind::Retrieval) => &["text", "id"],
        _ => &["text"],
    };
    for key in wanted.iter().filter(|key| named.get(key).is_none()) {
        section.note(named.span.clone(), format!("the columns lack `{key}`"));
    }
}

/// Checks that a file's name stays inside the dataset's folder.
fn check_file(section: &Section<'_>, file: &str, span: &Range<usize>) {
    let inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || file.contains('\\') {
        section.note(span.clone(), format!("`{file}` is not a name inside the dataset's folder"));
    }
}

fn download(section: Section<'_>, known: &[&str]) -> Option<Download> {
    let url = section.required_text("url");
    if let Some((url, span)) = &url
        && !url.starts_with("https://")
        && !url.starts_with("http://")
    {
        section.note(span.clone(), format!("`url` is `{url}`, wanted an http or https address"));
    }
    let sha256 = section.text("sha256").and_then(|(text, span)| match Digest::parse(&text) {
        Some(digest) => Some(digest),
        None => section.complain(span, "`sha256` wants 64 hexadecimal digits".to_owned()),
    });
    let file = section.text("file");
    let unzip = section.entries("unzip");
    for (name, span) in file.iter().cloned().chain(unzip.iter().flatten().map(|(_, name, span)| (name.clone(), span.clone()))) {
        check_file(&section, &name, &span);
        if !known.contains(&name.as_str()) {
            let guess = suggest(&name, known.iter().copied());
            section.note(span, format!("no split reads `{name}`{}", hint(guess.as_deref())));
        }
    }
    let contents = match (file, unzip) {
        (Some((file, _)), None) => Some(Contents::File(file)),
        (None, Some(members)) => Some(Contents::Zip(members.into_iter().map(|(member, file, _)| (member, file)).collect())),
        _ => section.complain(section.span(), "a download wants either `file` or `unzip`".to_owned()),
    };
    section.finish();
    Some(Download { url: url?.0, sha256, contents: contents? })
}

#[cfg(test)]
mod tests;
