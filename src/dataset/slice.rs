//! Cuts a slice out of a split's rows.
//!
//! Determinism: which samples a limit keeps depends on the seed and on each sample's own content, never on its place or
//! on a random generator. A row that goes or comes elsewhere changes a draw by as little as it can.

use std::collections::BTreeMap;

use super::error::{DatasetError, Removed, UnknownLabel};
use super::manifest::{Kind, Manifest, Split};
use super::{Origin, Row, Sample, Slice};
use crate::digest::{Digest, Hasher};
use crate::spec::{self, suggest};

/// The slice `asked` of the rows of `split`, which are in the order of the files.
///
/// # Errors
/// A dataset or split without labels, a label that the dataset does not have, a slice without samples.
pub(super) fn cut(
    asked: &spec::Slice,
    manifest: &Manifest,
    split: &Split,
    rows: Vec<Row>,
    origin: Origin,
    seed: u64,
) -> Result<Slice, DatasetError> {
    if manifest.kind != Kind::Classification {
        return Err(DatasetError::NotClassification {
            slice: asked.id.clone(),
            dataset: manifest.name.clone(),
            kind: manifest.kind.id(),
        });
    }
    if split.columns.label.is_none() {
        let labelled = manifest.splits.iter().filter(|split| split.columns.label.is_some());
        return Err(DatasetError::NoLabels {
            slice: asked.id.clone(),
            dataset: manifest.name.clone(),
            split: split.name.clone(),
            labelled: labelled.map(|split| split.name.clone()).collect(),
        });
    }
    let names = Names::new(asked, manifest, &rows)?;
    let count = rows.len();
    let (samples, removed) = filter(asked, &names, rows, seed);
    if samples.is_empty() {
        return Err(DatasetError::EmptySlice {
            slice: asked.id.clone(),
            dataset: manifest.name.clone(),
            split: split.name.clone(),
            rows: count,
            removed: Box::new(removed),
        });
    }
    let labels = names.kept;
    Ok(Slice { id: asked.id.clone(), digest: digest(&labels, &samples), labels, samples, origin })
}

/// The labels of a slice: what each of the dataset's becomes, and which are kept in which order.
struct Names {
    renamed: BTreeMap<String, String>,
    kept: Vec<String>,
}

impl Names {
    fn new(asked: &spec::Slice, manifest: &Manifest, rows: &[Row]) -> Result<Self, DatasetError> {
        let mut labels = manifest.labels.clone();
        if labels.is_empty() {
            labels = rows.iter().filter_map(|row| row.label.clone()).collect();
            labels.sort();
            labels.dedup();
        }
        let unknown = |key, label: &String, known: &[String], renamed| UnknownLabel {
            slice: asked.id.clone(),
            dataset: manifest.name.clone(),
            key,
            label: label.clone(),
            renamed,
            suggestion: asked
                .rename
                .iter()
                .find(|(old, new)| renamed && old == label && known.contains(new))
                .map_or_else(|| suggest(label, known.iter().map(String::as_str)), |(_, new)| Some(new.clone())),
            known: known.to_vec(),
        };
        let repeated = |key, label: &String| DatasetError::RepeatedLabel { slice: asked.id.clone(), key, label: label.clone() };
        let mut renamed = BTreeMap::new();
        for (old, new) in &asked.rename {
            if !labels.contains(old) {
                return Err(Box::new(unknown("rename", old, &labels, false)).into());
            }
            if renamed.insert(old.clone(), new.clone()).is_some() {
                return Err(repeated("rename", old));
            }
        }
        let mut known: Vec<String> = Vec::new();
        for label in labels {
            let name = renamed.get(&label).cloned().unwrap_or(label);
            if !known.contains(&name) {
                known.push(name);
            }
        }
        for (i, label) in asked.labels.iter().enumerate() {
            if !known.contains(label) {
                return Err(Box::new(unknown("labels", label, &known, !asked.rename.is_empty())).into());
            }
            if asked.labels[..i].contains(label) {
                return Err(repeated("labels", label));
            }
        }
        Ok(Self { renamed, kept: if asked.labels.is_empty() { known } else { asked.labels.clone() } })
    }

    /// Where a row's label is among the kept ones.
    fn gold(&self, label: Option<&String>) -> Option<usize> {
        let label = label?;
        let name = self.renamed.get(label).unwrap_or(label);
        self.kept.iter().position(|kept| kept == name)
    }
}

/// Checks a slice's label names against a manifest that lists its labels.
pub(super) fn check(asked: &spec::Slice, manifest: &Manifest) -> Result<(), DatasetError> {
    if manifest.labels.is_empty() { Ok(()) } else { Names::new(asked, manifest, &[]).map(|_| ()) }
}

/// Applies the filters in their order: labels, lengths, `per_label`, `limit`.
fn filter(asked: &spec::Slice, names: &Names, rows: Vec<Row>, seed: u64) -> (Vec<Sample>, Removed) {
    let mut removed = Removed::default();
    let mut samples = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(gold) = names.gold(row.label.as_ref()) else {
            removed.labels += 1;
            continue;
        };
        let chars = row.text.chars().count();
        if asked.min_chars.is_some_and(|least| chars < least) {
            removed.min_chars += 1;
        } else if asked.max_chars.is_some_and(|most| chars > most) {
            removed.max_chars += 1;
        } else {
            samples.push(Sample { id: row.id, text: row.text, gold });
        }
    }
    if let Some(most) = asked.per_label {
        let before = samples.len();
        samples = draw(samples, &names.kept, seed, |counts| counts.iter().map(|&count| count.min(most)).collect());
        removed.per_label = before - samples.len();
    }
    if let Some(limit) = asked.limit {
        let before = samples.len();
        samples = draw(samples, &names.kept, seed, |counts| quotas(counts, limit));
        removed.limit = before - samples.len();
    }
    (samples, removed)
}

/// Keeps, of each label, as many samples as `quotas` says from the labels' counts: those with the smallest digests.
fn draw(samples: Vec<Sample>, labels: &[String], seed: u64, quotas: impl Fn(&[usize]) -> Vec<usize>) -> Vec<Sample> {
    let mut ranked: Vec<Vec<(Digest, usize)>> = vec![Vec::new(); labels.len()];
    for (i, sample) in samples.iter().enumerate() {
        let digest = Hasher::new("draw/1")
            .field("seed", seed.to_le_bytes())
            .field("label", &labels[sample.gold])
            .field("text", &sample.text)
            .finish();
        ranked[sample.gold].push((digest, i));
    }
    let counts: Vec<usize> = ranked.iter().map(Vec::len).collect();
    let mut keep = vec![false; samples.len()];
    for (mut ranked, quota) in ranked.into_iter().zip(quotas(&counts)) {
        ranked.sort_unstable();
        for (_, i) in ranked.into_iter().take(quota) {
            keep[i] = true;
        }
    }
    samples.into_iter().zip(keep).filter_map(|(sample, keep)| keep.then_some(sample)).collect()
}

/// `limit` shared out in proportion to the counts by largest remainder; equal remainders go to the earlier label.
fn quotas(counts: &[usize], limit: usize) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    if limit >= total {
        return counts.to_vec();
    }
    let (mut quotas, mut remainders) = (Vec::with_capacity(counts.len()), Vec::with_capacity(counts.len()));
    for (label, &count) in counts.iter().enumerate() {
        let share = count as u128 * limit as u128;
        // Below `count`, because `limit < total`.
        quotas.push(usize::try_from(share / total as u128).unwrap_or(count));
        remainders.push((std::cmp::Reverse(share % total as u128), label));
    }
    remainders.sort_unstable();
    let left = limit - quotas.iter().sum::<usize>();
    for &(_, label) in remainders.iter().take(left) {
        quotas[label] += 1;
    }
    quotas
}

fn digest(labels: &[String], samples: &[Sample]) -> Digest {
    let hasher = Hasher::new("slice/1").json("labels", &labels);
    let add =
        |hasher: Hasher, sample: &Sample| hasher.field("text", &sample.text).field("gold", (sample.gold as u64).to_le_bytes());
    samples.iter().fold(hasher, add).finish()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Manifest {
        let text = "name = \"d\"\nabout = \"a\"\nkind = \"classification\"\nlicence = \"none\"\nlabels = [\"a\", \"b\", \"c\"]\n\
            columns = { text = \"text\", label = \"label\" }\n[splits.s]\nfiles = [\"s.jsonl\"]\nformat = \"jsonl\"\n\
            [splits.bare]\nfiles = [\"b.jsonl\"]\nformat = \"jsonl\"\ncolumns = { text = \"text\" }\n";
        Manifest::parse(text, Path::new("d/dataset.toml")).unwrap()
    }

    fn asked() -> spec::Slice {
        spec::Slice {
            id: "x".to_owned(),
            dataset: "d".to_owned(),
            split: "s".to_owned(),
            labels: Vec::new(),
            rename: Vec::new(),
            limit: None,
            per_label: None,
            min_chars: None,
            max_chars: None,
        }
    }

    fn rows(rows: &[(&str, &str)]) -> Vec<Row> {
        let row = |(i, &(text, label)): (usize, &(&str, &str))| Row {
            id: format!("s:{}", i + 1),
            text: text.to_owned(),
            text2: None,
            label: Some(label.to_owned()),
            score: None,
            group: None,
            subset: None,
        };
        rows.iter().enumerate().map(row).collect()
    }

    fn cut_of(asked: &spec::Slice, rows: Vec<Row>, seed: u64) -> Result<Slice, DatasetError> {
        let manifest = manifest();
        let origin = Origin { dataset: "d".to_owned(), split: asked.split.clone(), files: Vec::new(), skipped: 0 };
        cut(asked, &manifest, manifest.split(&asked.split).unwrap(), rows, origin, seed)
    }

    fn message(asked: &spec::Slice) -> String {
        cut_of(asked, rows(&[("eins", "a"), ("zwei", "b")]), 1).unwrap_err().to_string()
    }

    fn golds(slice: &Slice) -> Vec<(&str, usize)> {
        slice.samples.iter().map(|sample| (sample.text.as_str(), sample.gold)).collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn labels_are_kept_in_the_order_asked_and_rename_comes_first() {
        let all = rows(&[("1", "a"), ("2", "b"), ("3", "c"), ("4", "a")]);
        let slice = cut_of(&spec::Slice { labels: names(&["c", "a"]), ..asked() }, all.clone(), 1).unwrap();
        assert_eq!((slice.labels.clone(), golds(&slice)), (names(&["c", "a"]), vec![("1", 1), ("3", 0), ("4", 1)]));

        let rename = vec![("a".to_owned(), "z".to_owned()), ("c".to_owned(), "z".to_owned())];
        let slice = cut_of(&spec::Slice { rename, ..asked() }, all, 1).unwrap();
        assert_eq!(slice.labels, ["z", "b"]);
        assert_eq!(golds(&slice), [("1", 0), ("2", 1), ("3", 0), ("4", 0)]);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let asked = spec::Slice { min_chars: Some(2), max_chars: Some(3), ..asked() };
        let slice = cut_of(&asked, rows(&[("一", "a"), ("一二", "a"), ("一二三", "b"), ("一二三四", "b")]), 1).unwrap();
        assert_eq!(golds(&slice), [("一二", 0), ("一二三", 1)]);
    }

    #[test]
    fn quotas_follow_the_counts_by_largest_remainder() {
        assert_eq!(quotas(&[30, 17, 3], 10), [6, 3, 1]); // shares 6, 3.4, 0.6
        assert_eq!(quotas(&[1, 1, 1], 2), [1, 1, 0]); // equal remainders: the earlier labels
        assert_eq!(quotas(&[0, 4], 3), [0, 3]);
        assert_eq!(quotas(&[2, 2], 9), [2, 2]);
    }

    #[test]
    fn limits_are_stratified_and_the_seed_decides_which() {
        let texts: Vec<String> = (0..60).map(|i| format!("text {i}")).collect();
        let all: Vec<(&str, &str)> =
            texts.iter().enumerate().map(|(i, text)| (text.as_str(), if i % 3 == 0 { "b" } else { "a" })).collect();
        let asked = spec::Slice { limit: Some(9), ..asked() };
        let draw = |seed| cut_of(&asked, rows(&all), seed).unwrap();
        let of_a = draw(1).samples.iter().filter(|sample| sample.gold == 0).count();
        assert_eq!((draw(1).samples.len(), of_a), (9, 6));
        assert_eq!(draw(1).samples, draw(1).samples);
        assert_ne!(draw(1).samples, draw(2).samples);
        let each = cut_of(&spec::Slice { per_label: Some(2), limit: None, ..asked.clone() }, rows(&all), 1).unwrap();
        assert_eq!(each.samples.len(), 4);
    }

    #[test]
    fn the_digest_is_of_content_alone() {
        let two = || rows(&[("1", "a"), ("2", "b")]);
        let digest = |asked: &spec::Slice, rows| cut_of(asked, rows, 1).unwrap().digest;
        let first = digest(&asked(), two());
        let mut moved = two();
        moved[0].id = "elsewhere".to_owned();
        assert_eq!(first, digest(&spec::Slice { id: "other".to_owned(), ..asked() }, moved));
        assert_ne!(first, digest(&asked(), rows(&[("2", "b"), ("1", "a")])));
        assert_ne!(first, digest(&asked(), rows(&[("1", "a"), ("2", "c")])));
        assert_ne!(first, digest(&spec::Slice { labels: names(&["a", "b"]), ..asked() }, two()));
    }

    #[test]
    fn what_cannot_be_cut_says_why() {
        let unknown = spec::Slice { labels: names(&["A"]), ..asked() };
        assert_eq!(
            message(&unknown),
            "slice `x`: `labels` names `A`, which is not a label of dataset `d` (did you mean `a`?); its labels are: a, b, c"
        );
        let renamed = spec::Slice { rename: vec![("a".to_owned(), "z".to_owned())], labels: names(&["a"]), ..asked() };
        assert_eq!(
            message(&renamed),
            "slice `x`: `labels` names `a`, which is not a label of dataset `d` after its `rename` (did you mean `z`?); \
             its labels are: z, b, c"
        );
        let twice = spec::Slice { labels: names(&["a", "a"]), ..asked() };
        assert_eq!(message(&twice), "slice `x`: `labels` names `a` twice; name it once");
        let bare = spec::Slice { split: "bare".to_owned(), ..asked() };
        assert_eq!(message(&bare), "slice `x`: split `bare` of dataset `d` has no labels; splits with labels: s");
        let empty = spec::Slice { labels: names(&["b", "c"]), min_chars: Some(9), ..asked() };
        assert_eq!(
            message(&empty),
            "slice `x` keeps none of the 2 samples of dataset `d`, split `s`: `labels` removed 1, `min_chars` removed 1; \
             loosen what removed them"
        );
    }

    proptest! {
        /// Which samples of a label are drawn depends on that label's samples alone: rows of other labels, and any
        /// order of rows, leave the drawn set as it is.
        #[test]
        fn unrelated_rows_and_order_do_not_change_a_draw(
            ours in prop::collection::btree_set("[a-z]{1,6}", 1..20),
            others in prop::collection::vec("[a-z]{1,6}", 0..20),
            rotate in 0_usize..40,
            most in 1_usize..8,
            seed in any::<u64>(),
        ) {
            let asked = spec::Slice { per_label: Some(most), ..asked() };
            let alone: Vec<(&str, &str)> = ours.iter().map(|text| (text.as_str(), "a")).collect();
            let mut mixed: Vec<(&str, &str)> =
                alone.iter().copied().chain(others.iter().map(|text| (text.as_str(), "b"))).collect();
            let by = rotate % mixed.len();
            mixed.rotate_left(by);
            let drawn = |pairs: &[(&str, &str)]| {
                let slice = cut_of(&asked, rows(pairs), seed).unwrap();
                let mut texts: Vec<String> =
                    slice.samples.into_iter().filter(|sample| sample.gold == 0).map(|sample| sample.text).collect();
                texts.sort();
                texts
            };
            prop_assert_eq!(drawn(&alone).len(), most.min(ours.len()));
            prop_assert_eq!(drawn(&alone), drawn(&mixed));
        }
    }
}
