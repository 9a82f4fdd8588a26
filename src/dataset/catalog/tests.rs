//! Where datasets and their files are found, and what is said where they are not.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::observe::Silent;

const HEAD: &str = "about = \"a\"\nkind = \"classification\"\nlicence = \"none\"\ncolumns = { text = \"t\", label = \"l\" }\n";

/// A catalog of one dataset, `news`, with two splits, and a folder of local copies.
fn catalog(manifest: &str, files: &[(&str, &str)]) -> (TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let splits = "[splits.train]\nfiles = [\"one.jsonl\", \"two.jsonl\"]\nformat = \"jsonl\"\n\
                  [splits.test]\nfiles = [\"test.jsonl\"]\nformat = \"jsonl\"\n";
    write("datasets/news/dataset.toml", &format!("name = \"news\"\n{HEAD}{manifest}{splits}"));
    write("datasets/stray.txt", "");
    for (path, text) in files {
        write(path, text);
    }
    let catalog = Catalog::new(folder.path().join("datasets"), Some(folder.path().join("data")));
    (folder, catalog)
}

/// The message with the folder's own path taken out.
fn message<T>(folder: &TempDir, result: Result<T, DatasetError>) -> String {
    let shown = folder.path().display().to_string();
    result.map(|_| ()).unwrap_err().to_string().replace(&shown, "")
}

#[test]
fn unknown_names_are_told_with_a_suggestion() {
    let (folder, catalog) = catalog("", &[]);
    assert_eq!(catalog.names().unwrap(), ["news"]);
    assert_eq!(
        message(&folder, catalog.manifest("newz")),
        "there is no dataset `newz` in /datasets (did you mean `news`?); there are: news"
    );
    assert_eq!(
        message(&folder, catalog.rows("news", "tests")),
        "dataset `news` has no split `tests` (did you mean `test`?); its splits are: train, test"
    );
    assert!(message(&folder, catalog.manifest("../datasets/news")).starts_with("there is no dataset"));
}

#[test]
fn a_missing_file_is_told_with_every_place_and_a_way_out() {
    let (folder, catalog) = catalog("", &[]);
    let catalog = catalog.with_downloads("cache".into());
    assert_eq!(
        message(&folder, catalog.rows("news", "test")),
        "dataset `news`, split `test`: `test.jsonl` is in none of these places:\n  /datasets/news/test.jsonl\n  \
         /data/news/test.jsonl\n  cache/news/test.jsonl\n\
         Point --data-dir (or BENCH_DATA_DIR) at a folder that holds news/<file>, or copy the files to /datasets/news."
    );
    let download = "download = [{ url = \"http://x\", file = \"test.jsonl\" }]\n";
    let (folder, catalog) = super::tests::catalog(download, &[]);
    assert!(message(&folder, catalog.rows("news", "test")).ends_with(
        "Run `bench data get news`, or point --data-dir (or BENCH_DATA_DIR) at a folder that holds news/test.jsonl."
    ));
}

#[test]
fn a_dataset_without_downloads_says_how_to_get_it() {
    let (folder, catalog) = catalog("obtain = \"Ask the author.\"\n", &[]);
    assert_eq!(message(&folder, catalog.fetch("news", &Silent)), "dataset `news`: no folder for downloads is set");
    let catalog = catalog.with_downloads("cache".into());
    assert_eq!(
        message(&folder, catalog.fetch("news", &Silent)),
        "dataset `news` has nothing to download: Ask the author. Point --data-dir (or BENCH_DATA_DIR) at a folder that \
         holds news/<file>, or copy the files to /datasets/news."
    );
}

#[test]
fn rows_come_in_the_order_of_the_files_with_ids_by_line() {
    let files = [
        ("data/news/one.jsonl", "{\"t\": \"a\", \"l\": 1}\n\n{\"t\": \"b\", \"l\": 2}\n"),
        ("datasets/news/two.jsonl", "{\"t\": \"c\", \"l\": \"1\"}"),
        ("data/news/two.jsonl", "never read: the bundled file comes first"),
        ("data/news/test.jsonl", "{\"t\": \"d\", \"l\": \"1\"}"),
    ];
    let (_folder, catalog) = catalog("", &files);
    let (rows, origin) = catalog.rows("news", "train").unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["train:one.jsonl:1", "train:one.jsonl:3", "train:two.jsonl:1"]);
    assert_eq!(origin.files[1], ("two.jsonl".to_owned(), Digest::of_bytes(files[1].1.as_bytes())));
    assert_eq!(catalog.rows("news", "test").unwrap().0[0].id, "test:1");
    assert_eq!(catalog.texts("news", "train").unwrap(), ["a", "b", "c"]);
}

#[test]
fn a_broken_row_is_an_error_or_skipped_and_counted() {
    let files = [("data/news/test.jsonl", "{\"t\": \"a\", \"l\": 1}\n{\"t\": 5, \"l\": 1}\n{\"t\": \" \", \"l\": 1}\n")];
    let (folder, catalog) = catalog("", &files);
    assert_eq!(
        message(&folder, catalog.rows("news", "test")),
        "/data/news/test.jsonl, line 2: column `t`: found a number, wanted text\n\
         Mend the row, or let the dataset's manifest pass over such rows with `on_bad_row = \"skip\"`."
    );
    let (_folder, catalog) = super::tests::catalog("on_bad_row = \"skip\"\n", &files);
    let (rows, origin) = catalog.rows("news", "test").unwrap();
    assert_eq!((rows.len(), origin.skipped), (1, 2));
}
