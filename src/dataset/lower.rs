//! Turns a manifest's TOML into a [`Manifest`], noting every problem with its place.

use std::ops::Range;
use std::path::{Component, Path};

use toml::de::DeValue;

use super::document::Section;
use super::error::hint;
use super::manifest::{Column, Columns, Contents, Corpus, Download, Format, Kind, Manifest, MtebTask, OnBadRow, Split};
use crate::digest::Digest;
use crate::spec::suggest;

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
    let labels = top.texts("labels");
    let on_bad_row = top.choice("on_bad_row", &[("error", OnBadRow::Error), ("skip", OnBadRow::Skip)]).unwrap_or_default();
    let shared = top.section("columns");
    let shared_span = shared.as_ref().map(Section::span);
    let shared = shared.map(Named::read);
    let mut splits = Vec::new();
    for (name, section) in top.sections("splits") {
        splits.extend(split(name, section, kind, shared.as_ref()));
    }
    if splits.is_empty() && top.value("splits").is_none() {
        top.note(shared_span.unwrap_or(0..0), "the manifest lacks `[splits.<name>]`".to_owned());
    }
    let known: Vec<&str> = splits.iter().flat_map(Split::all_files).collect();
    let downloads = top.array("download").into_iter().filter_map(|section| download(section, &known)).collect();
    top.finish();
    let texts = |pairs: Vec<(String, Range<usize>)>| pairs.into_iter().map(|(text, _)| text).collect();
    Some(Manifest {
        name: name?.0,
        about: about?.0,
        kind: kind?,
        licence: licence?.0,
        citation: citation.map(|(text, _)| text),
        homepage: homepage.map(|(text, _)| text),
        languages: texts(languages),
        labels: texts(labels),
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

fn split(name: String, section: Section<'_>, kind: Option<Kind>, shared: Option<&Named>) -> Option<Split> {
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
    let own = section.section("columns").map(Named::read);
    let note = section.text("note").map(|(text, _)| text);
    let mteb = section.section("mteb").and_then(|section| {
        let found = mteb(&section, &name);
        section.finish();
        found
    });
    let named = own.as_ref().or(shared);
    let corpus = corpus(&section, kind, named.and_then(|named| named.get("title")));
    if let (Some(named), Some(format)) = (named, format) {
        check_columns(&section, named, format, kind);
    } else if named.is_none() {
        section.note(section.span(), format!("split `{name}` has no `[columns]`, and neither has the manifest"));
    }
    section.finish();
    let named = named?;
    let texts = |pairs: Vec<(String, Range<usize>)>| pairs.into_iter().map(|(text, _)| text).collect();
    Some(Split {
        name,
        files: texts(files),
        subsets: texts(subsets),
        format: format?,
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
    let found = MtebTask { task: task?.0, revision: revision?.0, split: named, languages, samples_per_label, experiments };
    Some(found)
}

fn format(section: &Section<'_>) -> Option<Format> {
    section.require("format");
    let word = section.choice("format", &[("jsonl", "jsonl"), ("csv", "csv"), ("tsv", "tsv"), ("parquet", "parquet")]);
    let header = section.boolean("header");
    let quoting = section.boolean("quoting");
    let format = match word? {
        "jsonl" => Format::JsonLines,
        "parquet" => Format::Parquet,
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
fn check_columns(section: &Section<'_>, named: &Named, format: Format, kind: Option<Kind>) {
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
            _ => {}
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
mod tests {
    use super::*;
    use crate::dataset::Manifest;

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse(text, Path::new("sts/dataset.toml")).map_err(|problems| format!("{problems:#}"))
    }

    const HEAD: &str = "name = \"sts\"\nabout = \"pairs\"\nkind = \"sts\"\nlicence = \"free\"\n";

    #[test]
    fn a_whole_manifest() {
        let text = format!(
            "{HEAD}on_bad_row = \"skip\"\nlanguages = [\"en\"]\n\
             columns = {{ text = 1, text2 = 2, score = 0 }}\n\
             [splits.test]\nfiles = [\"b.tsv\", \"a.tsv\"]\nsubsets = [\"B\", \"A\"]\nformat = \"tsv\"\nheader = false\nquoting = false\n\
             [splits.dev]\nfiles = [\"en/dev.jsonl\"]\nformat = \"jsonl\"\ncolumns = {{ text = \"s\", text2 = \"t\" }}\n\
             [[download]]\nurl = \"https://x.org/a.zip\"\nsha256 = \"{}\"\nunzip = {{ \"z/b.tsv\" = \"b.tsv\", \"a\" = \"a.tsv\" }}\n",
            "0".repeat(64)
        );
        let manifest = parse(&text).unwrap();
        assert_eq!(manifest.on_bad_row, OnBadRow::Skip);
        assert_eq!(manifest.splits.iter().map(|split| split.name.as_str()).collect::<Vec<_>>(), ["test", "dev"]);
        let [first, second] = &manifest.splits[..] else { panic!() };
        assert_eq!(first.files, ["b.tsv", "a.tsv"]);
        assert_eq!(first.subsets, ["B", "A"]);
        assert_eq!(first.format, Format::Delimited { separator: b'\t', header: false, quoting: false });
        assert_eq!((&first.columns.text, &first.columns.score), (&Column::Index(1), &Some(Column::Index(0))));
        assert_eq!((&second.columns.text, &second.columns.score), (&Column::Name("s".to_owned()), &None));
        let members = vec![("z/b.tsv".to_owned(), "b.tsv".to_owned()), ("a".to_owned(), "a.tsv".to_owned())];
        assert_eq!(manifest.downloads[0].contents, Contents::Zip(members));
        assert_eq!(manifest.downloads[0].sha256, Digest::parse(&"0".repeat(64)));
    }

    #[test]
    fn every_problem_comes_at_once_with_its_place() {
        let text = "name = \"stss\"\nabout = 7\nkind = \"st\"\nlicense = \"free\"\n\
                    [splits.test]\nfiles = [\"../a.tsv\"]\nformat = \"tsv\"\nheader = \"no\"\nqouting = false\n\
                    [splits.test.columns]\ntext = 0\ntext2 = \"b\"\n\
                    [[download]]\nurl = \"ftp://x\"\nsha256 = \"abc\"\nfile = \"a.tsv\"\n";
        let wanted = "\
sts/dataset.toml:1:1: the manifest lacks `licence`
sts/dataset.toml:1:8: `name` is \"stss\", wanted the folder's name, \"sts\"
sts/dataset.toml:2:9: `about` is of type integer, wanted a text
sts/dataset.toml:3:8: `kind` is \"st\", wanted \"classification\" or \"pairs\" or \"sts\" or \"retrieval\" (did you mean `sts`?)
sts/dataset.toml:4:1: the manifest has no key `license` (did you mean `licence`?)
sts/dataset.toml:6:10: `../a.tsv` is not a name inside the dataset's folder
sts/dataset.toml:8:10: `header` is of type string, wanted true or false
sts/dataset.toml:9:1: `[splits.test]` has no key `qouting` (did you mean `quoting`?)
sts/dataset.toml:11:8: `text` is an index, wanted a name: indices are for files with `header = false`
sts/dataset.toml:14:7: `url` is `ftp://x`, wanted an http or https address
sts/dataset.toml:15:10: `sha256` wants 64 hexadecimal digits
sts/dataset.toml:16:8: no split reads `a.tsv`";
        assert_eq!(parse(text), Err(wanted.to_owned()));
    }

    #[test]
    fn columns_must_fit_the_kind_and_the_format() {
        let split = |rest: &str| parse(&format!("{HEAD}[splits.s]\nfiles = [\"s\"]\n{rest}")).unwrap_err();
        assert_eq!(
            split("format = \"csv\"\nheader = false\ncolumns = { text = \"a\" }\n"),
            "sts/dataset.toml:9:11: the columns lack `text2`\n\
             sts/dataset.toml:9:20: `text` is a name, wanted an index from 0: the file has no header"
        );
        assert_eq!(
            split("format = \"jsonl\"\nheader = true\nsubsets = [\"a\", \"b\"]\n"),
            "sts/dataset.toml:5:9: split `s` has no `[columns]`, and neither has the manifest\n\
             sts/dataset.toml:8:10: `header` is for csv and tsv only\n\
             sts/dataset.toml:9:12: 2 subsets for 1 files, wanted one for each"
        );
    }

    #[test]
    fn broken_toml_is_a_problem_with_a_place() {
        assert_eq!(parse("name = \"sts\nabout = 1\n").unwrap_err().lines().count(), 1);
        assert!(parse("name = \"sts\n").unwrap_err().starts_with("sts/dataset.toml:1:"));
        assert_eq!(parse("").unwrap_err().lines().count(), 5);
    }
}
