//! Queries whose documents people judged, as BEIR and TREC write them: queries, a corpus, and files of judgements (qrels).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::error::{DatasetError, RowProblem};
use super::jsonl::BYTE_ORDER_MARK;
use super::manifest::{Kind, OnBadRow};
use super::{Gold, Origin, Row, Sample, Slice, slice};
use crate::digest::Hasher;

/// What is searched for a slice's queries, and what of it is relevant to each.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The whole corpus, as a slice of its own.
    pub documents: Box<Slice>,
    /// Of each sample, places of the relevant documents and their grades, which are above 0.
    pub relevant: Vec<Vec<(usize, f64)>>,
}

/// A corpus, and what was judged of it.
pub(super) struct Judgements {
    documents: Slice,
    places: HashMap<String, usize>,
    /// By the query's id: the document's place, and its grade.
    grades: BTreeMap<String, BTreeMap<usize, i64>>,
}

impl Judgements {
    /// None so far, of these documents.
    pub fn new(id: String, documents: Vec<Row>) -> Self {
        let sample = |row: Row| Sample { id: row.id, text: row.text, gold: Gold::Unlabelled, partner: None };
        let samples: Vec<Sample> = documents.into_iter().map(sample).collect();
        let places = samples.iter().enumerate().map(|(place, sample)| (sample.id.clone(), place)).collect();
        let origin = Origin { dataset: String::new(), split: String::new(), files: Vec::new(), skipped: 0 };
        let documents = Slice {
            id,
            digest: slice::digest(&[], &samples),
            kind: Kind::Documents,
            labels: Vec::new(),
            samples: samples.into(),
            columns: BTreeMap::new(),
            judged: None,
            origin,
            mteb: None,
        };
        Self { documents, places, grades: BTreeMap::new() }
    }

    /// The same, with where it was read from.
    pub fn read_from(self, origin: Origin) -> Self {
        Self { documents: Slice { origin, ..self.documents }, ..self }
    }

    /// Adds a file's judgements, a line each: query, document and grade between tabs, below BEIR's header or without one; or TREC's
    /// four fields between blanks. Gives how many lines were passed over, where the manifest lets bad ones pass.
    ///
    /// # Errors
    /// A line that is no judgement, or one of a query or a document that is not there.
    pub fn add(&mut self, bytes: &[u8], path: &Path, on_bad: OnBadRow, queries: &[Row]) -> Result<usize, DatasetError> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let known: HashSet<&str> = queries.iter().map(|row| row.id.as_str()).collect();
        let mut skipped = 0;
        for (place, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            let added = match judgement(line) {
                Ok(None) => Ok(()),
                Err(RowProblem::NotGrade { found }) if place == 1 && found == "score" => Ok(()),
                Ok(Some(judgement)) => self.judged(judgement, &known),
                Err(problem) => Err(problem),
            };
            match (added, on_bad) {
                (Ok(()), _) => {}
                (Err(_), OnBadRow::Skip) => skipped += 1,
                (Err(problem), OnBadRow::Error) => {
                    let problem = Box::new(problem);
                    return Err(DatasetError::BadRow { path: path.to_owned(), unit: "line", place, problem });
                }
            }
        }
        Ok(skipped)
    }

    fn judged(&mut self, (query, document, grade): (&str, &str, i64), known: &HashSet<&str>) -> Result<(), RowProblem> {
        if !known.contains(query) {
            return Err(RowProblem::NotThere { what: "query", id: query.to_owned() });
        }
        let Some(&place) = self.places.get(document) else {
            return Err(RowProblem::NotThere { what: "document", id: document.to_owned() });
        };
        match self.grades.entry(query.to_owned()).or_default().insert(place, grade) {
            Some(_) => Err(RowProblem::JudgedTwice { query: query.to_owned(), document: document.to_owned() }),
            None => Ok(()),
        }
    }

    /// Whether any document was judged for a query.
    pub fn know(&self, query: &str) -> bool {
        self.grades.contains_key(query)
    }

    /// A slice of queries with what was judged for them, which is part of its digest.
    pub fn judge(self, queries: Slice) -> Slice {
        let above = |sample: &Sample| -> Vec<(usize, i64)> {
            let of_query = self.grades.get(&sample.id).into_iter().flatten();
            of_query.filter(|(_, grade)| **grade > 0).map(|(place, grade)| (*place, *grade)).collect()
        };
        let relevant: Vec<Vec<(usize, i64)>> = queries.samples.iter().map(above).collect();
        let digest = Hasher::new("judged/1")
            .field("queries", queries.digest.as_bytes())
            .field("documents", self.documents.digest.as_bytes())
            .json("relevant", &relevant)
            .finish();
        #[expect(clippy::cast_precision_loss, reason = "grades are small")]
        let graded = |of_query: Vec<(usize, i64)>| of_query.into_iter().map(|(place, grade)| (place, grade as f64)).collect();
        let judged = Judged { documents: Box::new(self.documents), relevant: relevant.into_iter().map(graded).collect() };
        Slice { digest, judged: Some(judged), ..queries }
    }
}

/// Query, document and grade of a line; None where it is blank.
fn judgement(line: &[u8]) -> Result<Option<(&str, &str, i64)>, RowProblem> {
    let line = std::str::from_utf8(line).map_err(|_| RowProblem::NotUtf8)?.trim_end();
    if line.trim().is_empty() {
        return Ok(None);
    }
    let fields: Vec<&str> =
        if line.contains('\t') { line.split('\t').map(str::trim).collect() } else { line.split_whitespace().collect() };
    let ([query, document, grade] | [query, _, document, grade]) = fields[..] else {
        return Err(RowProblem::NotJudgement { found: fields.len() });
    };
    let grade = grade.parse().map_err(|_| RowProblem::NotGrade { found: grade.to_owned() })?;
    Ok(Some((query, document, grade)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> Row {
        Row {
            id: id.to_owned(),
            text: format!("text of {id}"),
            text2: None,
            label: None,
            score: None,
            group: None,
            subset: None,
            fields: Vec::new(),
        }
    }

    fn added(text: &str, on_bad: OnBadRow) -> Result<(Judgements, usize), String> {
        let mut judgements = Judgements::new("d:corpus".to_owned(), ["d1", "d2", "d3"].map(row).into());
        let queries = ["q1", "q2", "q3"].map(row);
        let skipped = judgements.add(text.as_bytes(), Path::new("qrels.tsv"), on_bad, &queries).map_err(|e| e.to_string())?;
        Ok((judgements, skipped))
    }

    fn grades(text: &str) -> BTreeMap<String, BTreeMap<usize, i64>> {
        added(text, OnBadRow::Error).unwrap().0.grades
    }

    #[test]
    fn files_of_beir_and_of_trec_say_the_same() {
        let beir = grades("query-id\tcorpus-id\tscore\r\nq1\td3\t2\r\nq1\td1\t0\r\n\r\nq2\td2\t1");
        assert_eq!(beir["q1"], BTreeMap::from([(0, 0), (2, 2)]));
        assert_eq!(beir["q2"], BTreeMap::from([(1, 1)]));
        assert_eq!(beir, grades("q1 0 d3 2\nq1 Q0   d1 0\nq2 0 d2 1\n"));
        assert_eq!(beir, grades("q1\t0\td3\t2\nq1\t0\td1\t0\nq2\t0\td2\t1\n"));
    }

    #[test]
    fn bad_lines_are_told_with_their_place_or_counted() {
        let told = |text: &str| added(text, OnBadRow::Error).err().unwrap().lines().next().unwrap().to_owned();
        assert_eq!(
            told("q1 d1\n"),
            "qrels.tsv, line 1: 2 fields, wanted query, document and grade between tabs, or TREC's four: query, iteration, document, grade"
        );
        assert_eq!(told("q1\td1\t1\nq1\td2\tyes"), "qrels.tsv, line 2: the grade is `yes`, wanted a whole number");
        assert_eq!(told("q1\td9\t1"), "qrels.tsv, line 1: there is no document `d9` in the split's files");
        assert_eq!(told("p1\td1\t1"), "qrels.tsv, line 1: there is no query `p1` in the split's files");
        assert_eq!(told("q1\td1\t1\nq1\td1\t2"), "qrels.tsv, line 2: document `d1` was judged for query `q1` before");
        let (judgements, skipped) = added("q1\td9\t1\nq2\td1\t1\nq2", OnBadRow::Skip).unwrap();
        assert_eq!((judgements.know("q1"), judgements.know("q2"), skipped), (false, true, 2));
    }
}
