//! Cuts a slice out of a split's rows.

use std::collections::{BTreeMap, BTreeSet};

use super::draw::{draw, quotas};
use super::error::{DatasetError, Removed, UnknownLabel};
use super::manifest::{Kind, Manifest, Split};
use super::{Gold, Origin, Partner, Row, Sample, Slice};
use crate::digest::{Digest, Hasher};
use crate::spec::{self, suggest};

/// The slice `asked` of the rows of `split`, which are in the order of the files.
///
/// # Errors
/// A split without labels or scores, a label that the dataset does not have, pairs of more than two labels, a slice without
/// samples.
pub(super) fn cut(
    asked: &spec::Slice,
    manifest: &Manifest,
    split: &Split,
    mut rows: Vec<Row>,
    origin: Origin,
    seed: u64,
    columns: &[String],
) -> Result<Slice, DatasetError> {
    check(asked, manifest)?;
    check_gold(asked, manifest, split)?;
    let names = Names::new(asked, manifest, &rows)?;
    if manifest.kind == Kind::Pairs && names.kept.len() != 2 {
        let (slice, dataset) = (asked.id.clone(), manifest.name.clone());
        return Err(DatasetError::NotBinary { slice, dataset, labels: names.kept });
    }
    let count = rows.len();
    let fields = rows.iter_mut().map(|row| (row.id.clone(), std::mem::take(&mut row.fields)));
    let fields: BTreeMap<String, Vec<String>> = if columns.is_empty() { BTreeMap::new() } else { fields.collect() };
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
    let whole = samples.len() == count && origin.skipped == 0 && asked.rename.is_empty();
    let mteb = split.mteb.clone().filter(|_| whole);
    let value =
        |sample: &Sample, at: usize| fields.get(&sample.id).and_then(|fields| fields.get(at)).cloned().unwrap_or_default();
    let column = |(at, name): (usize, &String)| (name.clone(), samples.iter().map(|sample| value(sample, at)).collect());
    let columns = columns.iter().enumerate().map(column).collect();
    let digest = digest(&labels, &samples);
    let (id, kind) = (asked.id.clone(), manifest.kind);
    Ok(Slice { id, digest, kind, labels, samples: samples.into(), columns, judged: None, origin, mteb })
}

/// Checks that a split says what is right: a label, or a score for pairs that have scores; of queries, other files do.
fn check_gold(asked: &spec::Slice, manifest: &Manifest, split: &Split) -> Result<(), DatasetError> {
    if manifest.kind == Kind::Retrieval {
        return Ok(());
    }
    let scored = manifest.kind == Kind::Sts;
    let has = |split: &Split| if scored { split.columns.score.is_some() } else { split.has_labels() };
    if has(split) {
        return Ok(());
    }
    Err(DatasetError::NoGold {
        slice: asked.id.clone(),
        dataset: manifest.name.clone(),
        split: split.name.clone(),
        gold: if scored { "scores" } else { "labels" },
        others: manifest.splits.iter().filter(|split| has(split)).map(|split| split.name.clone()).collect(),
    })
}

/// The labels of a slice: what each of the dataset's becomes, and which are kept in which order.
struct Names {
    renamed: BTreeMap<String, String>,
    kept: Vec<String>,
    kind: Kind,
}

impl Names {
    fn new(asked: &spec::Slice, manifest: &Manifest, rows: &[Row]) -> Result<Self, DatasetError> {
        let kind = manifest.kind;
        if !has_labels(kind) {
            return Ok(Self { renamed: BTreeMap::new(), kept: Vec::new(), kind });
        }
        let mut labels = manifest.labels.clone();
        if labels.is_empty() {
            let named: BTreeSet<&String> = rows.iter().filter_map(|row| row.label.as_ref()).collect();
            labels = named.into_iter().cloned().collect();
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
        Ok(Self { renamed, kept: if asked.labels.is_empty() { known } else { asked.labels.clone() }, kind })
    }

    /// Where a row's label is among the kept ones, or its score where rows have those.
    fn gold(&self, row: &Row) -> Option<Gold> {
        match self.kind {
            Kind::Sts => return row.score.map(Gold::Score),
            Kind::Retrieval | Kind::Documents => return Some(Gold::Unlabelled),
            Kind::Classification | Kind::Pairs => {}
        }
        let label = row.label.as_ref()?;
        let name = self.renamed.get(label).unwrap_or(label);
        self.kept.iter().position(|kept| kept == name).map(Gold::Label)
    }
}

/// Whether what is right about a row is a label.
const fn has_labels(kind: Kind) -> bool {
    matches!(kind, Kind::Classification | Kind::Pairs)
}

/// Checks what a slice asks of its labels against a manifest: that there are labels, and these.
pub(super) fn check(asked: &spec::Slice, manifest: &Manifest) -> Result<(), DatasetError> {
    let about_labels =
        [("labels", !asked.labels.is_empty()), ("rename", !asked.rename.is_empty()), ("per_label", asked.per_label.is_some())];
    if !has_labels(manifest.kind)
        && let Some((key, _)) = about_labels.into_iter().find(|(_, given)| *given)
    {
        let (slice, dataset, kind) = (asked.id.clone(), manifest.name.clone(), manifest.kind);
        return Err(DatasetError::WithoutLabels { slice, dataset, key, kind });
    }
    if manifest.labels.is_empty() { Ok(()) } else { Names::new(asked, manifest, &[]).map(|_| ()) }
}

/// Applies the filters in their order: labels, lengths (of both texts of a pair), `per_label`, `limit`.
fn filter(asked: &spec::Slice, names: &Names, rows: Vec<Row>, seed: u64) -> (Vec<Sample>, Removed) {
    let mut removed = Removed::default();
    let keep = |row: Row| {
        let Some(gold) = names.gold(&row) else {
            removed.labels += 1;
            return None;
        };
        let chars = || {
            std::iter::once(&row.text)
                .chain(row.text2.as_ref().filter(|_| names.kind.is_pairs()))
                .map(|text| text.chars().count())
        };
        if asked.min_chars.is_some_and(|least| chars().any(|chars| chars < least)) {
            removed.min_chars += 1;
            return None;
        }
        if asked.max_chars.is_some_and(|most| chars().any(|chars| chars > most)) {
            removed.max_chars += 1;
            return None;
        }
        let Row { id, text, text2, group, subset, .. } = row;
        let partner = text2.filter(|_| names.kind.is_pairs());
        Some(Sample { id, text, gold, partner: partner.map(|text| Box::new(Partner { text, group, subset })) })
    };
    // In the place of the rows, which are more than twice as large: there may be millions.
    let mut samples: Vec<Sample> = rows.into_iter().filter_map(keep).collect();
    samples.shrink_to_fit();
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

/// Digest of the samples and labels in their order, and of ids where other files name samples by those.
pub(super) fn digest(labels: &[String], samples: &[Sample]) -> Digest {
    let add = |hasher: Hasher, sample: &Sample| {
        let hasher = hasher.field("text", &sample.text);
        let hasher = match sample.gold {
            Gold::Label(label) => hasher.field("gold", (label as u64).to_le_bytes()),
            Gold::Score(score) => hasher.field("score", score.to_le_bytes()),
            Gold::Unlabelled => hasher.field("id", &sample.id),
        };
        let Some(partner) = &sample.partner else { return hasher };
        hasher.field("partner", &partner.text).json("group", &partner.group).json("subset", &partner.subset)
    };
    samples.iter().fold(Hasher::new("slice/1").json("labels", &labels), add).finish()
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
            fields: Vec::new(),
        };
        rows.iter().enumerate().map(row).collect()
    }

    fn cut_of(asked: &spec::Slice, rows: Vec<Row>, seed: u64) -> Result<Slice, DatasetError> {
        let manifest = manifest();
        let origin = Origin { dataset: "d".to_owned(), split: asked.split.clone(), files: Vec::new(), skipped: 0 };
        cut(asked, &manifest, manifest.split(&asked.split).unwrap(), rows, origin, seed, &[])
    }

    fn message(asked: &spec::Slice) -> String {
        cut_of(asked, rows(&[("eins", "a"), ("zwei", "b")]), 1).unwrap_err().to_string()
    }

    fn golds(slice: &Slice) -> Vec<(&str, usize)> {
        slice.samples.iter().map(|sample| (sample.text.as_str(), sample.gold.label().unwrap())).collect()
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
    fn limits_are_stratified_and_the_seed_decides_which() {
        let texts: Vec<String> = (0..60).map(|i| format!("text {i}")).collect();
        let all: Vec<(&str, &str)> =
            texts.iter().enumerate().map(|(i, text)| (text.as_str(), if i % 3 == 0 { "b" } else { "a" })).collect();
        let asked = spec::Slice { limit: Some(9), ..asked() };
        let draw = |seed| cut_of(&asked, rows(&all), seed).unwrap();
        let of_a = draw(1).samples.iter().filter(|sample| sample.gold == Gold::Label(0)).count();
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
                    slice.samples.iter().filter(|sample| sample.gold == Gold::Label(0)).map(|sample| sample.text.clone()).collect();
                texts.sort();
                texts
            };
            prop_assert_eq!(drawn(&alone).len(), most.min(ours.len()));
            prop_assert_eq!(drawn(&alone), drawn(&mixed));
        }
    }
}
