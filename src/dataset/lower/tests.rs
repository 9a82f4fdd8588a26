//! Tests of manifests, whole and with mistakes.

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

const TEXTS: &str =
    "name = \"sts\"\nabout = \"a\"\nkind = \"classification\"\nlicence = \"free\"\nlabels = [\"neg\", \"pos\"]\n";

#[test]
fn files_of_lines_may_hold_a_class_each() {
    let text = format!(
        "{TEXTS}[splits.all]\nfiles = [\"x.pos\", \"x.neg\"]\nlabels = [\"pos\", \"neg\"]\nformat = \"lines\"\n\
         encoding = \"latin-1\"\nwhite_space = \"collapse\"\ncolumns = {{ text = \"text\" }}\n\
         [splits.test]\nfiles = [\"t\"]\nformat = \"lines\"\nline = \"{{label}}:{{fine}} {{text}}\"\n\
         columns = {{ text = \"text\", label = \"label\" }}\n"
    );
    let manifest = parse(&text).unwrap();
    let [all, test] = &manifest.splits[..] else { panic!() };
    assert_eq!(
        (&all.format, all.encoding, all.white_space),
        (&Format::Lines(Line::whole()), Encoding::Latin1, WhiteSpace::Collapse)
    );
    assert_eq!((all.labels.as_slice(), all.has_labels()), (&["pos".to_owned(), "neg".to_owned()][..], true));
    assert_eq!(test.format, Format::Lines(Line::parse("{label}:{fine} {text}").unwrap()));
    assert_eq!((test.encoding, test.white_space, test.labels.is_empty()), (Encoding::Utf8, WhiteSpace::Keep, true));
}

#[test]
fn mistakes_in_lines_and_classes_have_their_place() {
    let split = |rest: &str| parse(&format!("{TEXTS}[splits.s]\nfiles = [\"s\"]\n{rest}")).unwrap_err();
    assert_eq!(
        split(
            "format = \"lines\"\nline = \"{lable} {text}\"\nencoding = \"latin1\"\nlabels = [\"pos\", \"nge\"]\ncolumns = { text = \"text\", label = \"label\" }\n"
        ),
        "sts/dataset.toml:10:12: `encoding` is \"latin1\", wanted \"utf-8\" or \"latin-1\" (did you mean `latin-1`?)\n\
         sts/dataset.toml:11:10: `labels` says what each file's rows are, and so does the column `label`; keep one\n\
         sts/dataset.toml:11:18: `nge` is none of the manifest's labels (did you mean `neg`?)\n\
         sts/dataset.toml:12:36: no field of `{lable} {text}` is `label` (did you mean `lable`?)"
    );
    assert_eq!(
        split("format = \"csv\"\nline = \"{text}\"\nlabels = [\"pos\", \"pos\"]\ncolumns = { text = \"t\" }\n"),
        "sts/dataset.toml:9:8: `line` is for `format = \"lines\"` only\n\
         sts/dataset.toml:10:10: 2 labels for 1 files, wanted one for each"
    );
    assert_eq!(
        split("format = \"lines\"\nline = \"{label}{text}\"\ncolumns = { text = \"text\" }\n"),
        "sts/dataset.toml:9:8: `line`: nothing stands between field `{label}` and the next one, so nobody knows where it ends"
    );
    assert_eq!(
        split("format = \"parquet\"\nencoding = \"latin-1\"\ncolumns = { text = \"text\" }\n"),
        "sts/dataset.toml:9:12: `encoding` is for files of text, and Parquet is none"
    );
}

#[test]
fn broken_toml_is_a_problem_with_a_place() {
    assert_eq!(parse("name = \"sts\nabout = 1\n").unwrap_err().lines().count(), 1);
    assert!(parse("name = \"sts\n").unwrap_err().starts_with("sts/dataset.toml:1:"));
    assert_eq!(parse("").unwrap_err().lines().count(), 5);
}
