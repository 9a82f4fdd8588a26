//! Retrieval by hand, against scikit-learn, and against every order of tied documents.

use super::*;

fn of(row: &[f64], grades: &[f64]) -> [f64; QUERY_FIGURES.len()] {
    let mut relevant: Vec<(f64, f64)> =
        row.iter().copied().zip(grades.iter().copied()).filter(|(_, grade)| *grade > 0.0).collect();
    relevant.sort_by(|a, b| a.0.total_cmp(&b.0));
    figures(&Group::all(&relevant, row.iter().copied()), &relevant)
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
}

/// Relevant at ranks 2 and 4 of 5: DCG 1/log2(3) + 1/log2(5) of at most 1 + 1/log2(3).
#[test]
fn ranks_by_hand() {
    let [ndcg, map, mrr, first, _, recall_1, recall_10, _, precision_1, precision_10] =
        of(&[0.9, 0.8, 0.7, 0.6, 0.5], &[0.0, 1.0, 0.0, 1.0, 0.0]);
    let log = |rank: f64| (rank + 1.0).log2();
    close(ndcg, (1.0 / log(2.0) + 1.0 / log(4.0)) / (1.0 + 1.0 / log(2.0)));
    close(map, f64::midpoint(1.0 / 2.0, 2.0 / 4.0));
    close(mrr, 0.5);
    let found = [first, recall_1, recall_10, precision_1, precision_10];
    found.into_iter().zip([0.0, 0.0, 1.0, 0.0, 0.2]).for_each(|(found, wanted)| close(found, wanted));
}

/// scikit-learn 1.9.1: `ndcg_score([[3, 0, 1, 0, 2, 0]], [[.2, .9, .9, .4, .4, .4]], k=1)`, which averages over ties as well, and k=10.
#[test]
fn ndcg_of_grades_and_ties_is_that_of_scikit_learn() {
    let [ndcg, _, _, first, ..] = of(&[0.2, 0.9, 0.9, 0.4, 0.4, 0.4], &[3.0, 0.0, 1.0, 0.0, 2.0, 0.0]);
    close(first, NDCG_1);
    close(ndcg, NDCG_10);
}

const NDCG_1: f64 = 0.16666666666666666;
const NDCG_10: f64 = 0.5801177762954479;

/// All orders of five documents.
fn orders(places: &[usize]) -> Vec<Vec<usize>> {
    if places.is_empty() {
        return vec![Vec::new()];
    }
    let rest = |first: usize| places.iter().copied().filter(|place| *place != first).collect::<Vec<usize>>();
    let begun = |first: usize| orders(&rest(first)).into_iter().map(move |order| [vec![first], order].concat());
    places.iter().copied().flat_map(begun).collect()
}

#[test]
fn ties_are_means_over_all_orders() {
    for (row, grades) in [
        ([0.5, 0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 1.0, 0.0, 0.0]),
        ([0.9, 0.5, 0.5, 0.5, 0.1], [0.0, 1.0, 0.0, 2.0, 1.0]),
        ([0.7, 0.7, 0.3, 0.3, 0.3], [1.0, 1.0, 1.0, 1.0, 0.0]),
    ] {
        let found = of(&row, &grades);
        let fitting: Vec<Vec<usize>> =
            orders(&[0, 1, 2, 3, 4]).into_iter().filter(|o| o.is_sorted_by(|&a, &b| row[a] >= row[b])).collect();
        let mut sums = [0.0; QUERY_FIGURES.len()];
        for order in &fitting {
            // Untied cosines in this order.
            let mut untied = [0.0; 5];
            order.iter().enumerate().for_each(|(rank, &place)| untied[place] = 1.0 - number(rank) / 10.0);
            sums.iter_mut().zip(of(&untied, &grades)).for_each(|(sum, figure)| *sum += figure / number(fitting.len()));
        }
        found.iter().zip(sums).for_each(|(found, wanted)| close(*found, wanted));
    }
}

fn angles(degrees: &[f64]) -> Embeddings {
    #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
    let values = degrees.iter().flat_map(|angle| [angle.to_radians().cos() as f32, angle.to_radians().sin() as f32]);
    Embeddings::from_values(2, values.collect())
}

fn value(found: &Retrieved, name: &str) -> f64 {
    found.metrics.iter().find(|metric| metric.name == name).unwrap().estimate.unwrap().value
}

/// Query 0 finds its label first, query 1 behind one other document; query 2 has no document of its label.
#[test]
fn a_slice_against_another() {
    let (queries, documents) = (angles(&[0.0, 90.0, 45.0]), angles(&[1.0, 80.0, 60.0]));
    let relevance = Relevance::SameLabel { queries: &[0, 1, 2], documents: &[0, 0, 1] };
    let found = retrieval(&Retrieval { queries: &queries, documents: Some(&documents), relevance, seed: 1 }).unwrap();
    close(value(&found, "mrr"), f64::midpoint(1.0, 0.5));
    close(value(&found, "map"), f64::midpoint(f64::midpoint(1.0, 2.0 / 3.0), 0.5));
    close(value(&found, "without_relevant"), 1.0 / 3.0);
    let names: Vec<&str> = found.metrics.iter().map(|metric| metric.name).collect();
    assert_eq!(names, RETRIEVAL_METRICS.iter().map(|info| info.name).collect::<Vec<_>>());
    assert_eq!(found.metrics[0].estimate.unwrap().n, 2);
    // Two relevant documents and the nearest at place 0; one and place 1; none, and place 2.
    let last: Vec<&[f64]> = found.numbers.chunks_exact(QUERY_NUMBERS).map(|query| &query[QUERY_FIGURES.len()..]).collect();
    assert_eq!(last, [[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]);
}

#[test]
fn a_slice_against_itself_leaves_each_text_out() {
    let queries = angles(&[0.0, 1.0, 50.0, 51.0]);
    let labels = [0, 0, 1, 0];
    let relevance = Relevance::SameLabel { queries: &labels, documents: &labels };
    let found = retrieval(&Retrieval { queries: &queries, documents: None, relevance, seed: 1 }).unwrap();
    // The text at 51 degrees finds the other label first, then both of its own.
    close(value(&found, "precision_at_1"), 2.0 / 3.0);
    close(value(&found, "without_relevant"), 0.25);
}

#[test]
fn constant_vectors_are_chance_and_nothing_relevant_is_no_zero() {
    let (queries, documents) = (angles(&[0.0]), angles(&[30.0; 4]));
    let judged = [vec![(2, 1.0)]];
    let task = Retrieval { queries: &queries, documents: Some(&documents), relevance: Relevance::Judged(&judged), seed: 1 };
    let found = retrieval(&task).unwrap();
    close(value(&found, "mrr"), (1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0) / 4.0);
    close(value(&found, "precision_at_1"), 0.25);
    close(value(&found, "tied_documents"), 4.0);
    let nothing = retrieval(&Retrieval { relevance: Relevance::Judged(&[Vec::new()]), ..task }).unwrap();
    assert_eq!(nothing.metrics[0].reason.as_deref(), Some(NONE_RELEVANT));
    close(value(&nothing, "without_relevant"), 1.0);
}
