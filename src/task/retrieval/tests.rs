//! Retrieval by hand, against scikit-learn, and against every order of tied documents.

use super::*;

/// The figures of a query whose documents have these cosines and grades, tied ones as is said.
fn ranked(row: &[f64], grades: &[f64], ties: Ties<'_>) -> [f64; QUERY_FIGURES.len()] {
    let graded = grades.iter().copied().enumerate().filter(|(_, grade)| *grade > 0.0).collect();
    let (nothing, judged) = (Embeddings::new(1), [graded]);
    let relevance = Relevance::Judged(&judged);
    let task = Retrieval { queries: &nothing, documents: &nothing, own: &[], relevance, ties, seed: 1 };
    let mut numbers = [0.0; QUERY_NUMBERS];
    task.query(0, row, &turns(ties), &mut numbers);
    std::array::from_fn(|figure| numbers[figure])
}

fn of(row: &[f64], grades: &[f64]) -> [f64; QUERY_FIGURES.len()] {
    ranked(row, grades, Ties::Shared)
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
    let found =
        retrieval(&Retrieval { queries: &queries, documents: &documents, own: &[], relevance, ties: Ties::Shared, seed: 1 })
            .unwrap();
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
    let own = [0, 1, 2, 3].map(Some);
    let task = Retrieval { queries: &queries, documents: &queries, own: &own, relevance, ties: Ties::Shared, seed: 1 };
    let found = retrieval(&task).unwrap();
    // The text at 51 degrees finds the other label first, then both of its own.
    close(value(&found, "precision_at_1"), 2.0 / 3.0);
    close(value(&found, "without_relevant"), 0.25);
}

/// Each query is a document itself, the nearest one; the second query is so for a document that was judged relevant to it.
#[test]
fn a_document_that_is_the_query_is_passed_over() {
    let (queries, documents) = (angles(&[0.0, 90.0]), angles(&[0.0, 90.0, 10.0, 70.0]));
    let judged = [vec![(2, 1.0)], vec![(1, 1.0), (3, 1.0)]];
    let found = |own: &[Option<usize>]| {
        let relevance = Relevance::Judged(&judged);
        let found =
            retrieval(&Retrieval { queries: &queries, documents: &documents, own, relevance, ties: Ties::Shared, seed: 1 });
        let found = found.unwrap();
        ["mrr", "recall_at_10", "ndcg_at_10"].map(|name| value(&found, name))
    };
    let second = 1.0 / 3.0_f64.log2();
    let [mrr, recall, ndcg] = found(&[]);
    [(mrr, 0.75), (recall, 1.0), (ndcg, f64::midpoint(second, 1.0))]
        .into_iter()
        .for_each(|(found, wanted)| close(found, wanted));
    // The first query finds its document first; the second one of its two, and never itself.
    let [mrr, recall, ndcg] = found(&[Some(0), Some(1)]);
    let wanted = [(mrr, 1.0), (recall, 0.75), (ndcg, f64::midpoint(1.0, 1.0 / (1.0 + second)))];
    wanted.into_iter().for_each(|(found, wanted)| close(found, wanted));
}

#[test]
fn constant_vectors_are_chance_and_nothing_relevant_is_no_zero() {
    let (queries, documents) = (angles(&[0.0]), angles(&[30.0; 4]));
    let judged = [vec![(2, 1.0)]];
    let task = Retrieval {
        queries: &queries,
        documents: &documents,
        own: &[],
        relevance: Relevance::Judged(&judged),
        ties: Ties::Shared,
        seed: 1,
    };
    let found = retrieval(&task).unwrap();
    close(value(&found, "mrr"), (1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0) / 4.0);
    close(value(&found, "precision_at_1"), 0.25);
    close(value(&found, "tied_documents"), 4.0);
    let nothing = retrieval(&Retrieval { relevance: Relevance::Judged(&[Vec::new()]), ..task }).unwrap();
    assert_eq!(nothing.metrics[0].reason.as_deref(), Some(NONE_RELEVANT));
    close(value(&nothing, "without_relevant"), 1.0);
}

/// `pytrec_eval` (pytrec-eval-terrier 0.5.11) on six queries and twelve documents with five different scores, half of the grades 3
/// and 1, some of them 0: `ndcg_cut`, `map`, `recip_rank`, `recall` and `P`, then `map_cut_5`.
#[test]
fn ties_by_id_are_those_of_trec_eval() {
    let ids: Vec<String> = (0..12).map(|d| format!("d{}", d * 7 % 12)).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for (q, wanted) in TREC.iter().enumerate() {
        let score = |d: usize| number((q * 7 + d * 5 + q * d) % 5) / 10.0;
        let grade = |d: usize| [3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][(q + 2 * d) % 7];
        let row: Vec<f64> = (0..12).map(score).collect();
        let grades: Vec<f64> = (0..12).map(grade).collect();
        let found = ranked(&row, &grades, Ties::ById { ids: &ids, depth: None });
        found.iter().zip(wanted).for_each(|(found, wanted)| close(*found, *wanted));
        close(ranked(&row, &grades, Ties::ById { ids: &ids, depth: Some(5) })[1], wanted[10]);
    }
}

const TREC: [[f64; 11]; 6] = [
    [0.1275975540107561, 0.28484848484848485, 0.2, 0.0, 0.41051211923753506, 0.0, 0.5, 1.0, 0.0, 0.2, 0.05],
    [0.33423303079717487, 0.38108766233766234, 0.5, 0.0, 0.4779324810890608, 0.0, 0.75, 1.0, 0.0, 0.3, 0.125],
    [0.37134975225302275, 0.33164983164983164, 0.5, 0.0, 0.4388752155969505, 0.0, 2.0 / 3.0, 1.0, 0.0, 0.2, 1.0 / 6.0],
    [0.5303581501755691, 0.4666666666666666, 0.5, 0.0, 0.5303581501755691, 0.0, 1.0, 1.0, 0.0, 0.3, 0.3],
    [0.5887197058078394, 0.5, 0.5, 0.0, 0.5887197058078394, 0.0, 1.0, 1.0, 0.0, 0.3, 0.3888888888888889],
    [0.6849552388941378, 0.5, 0.5, 0.0, 0.6849552388941378, 0.0, 1.0, 1.0, 0.0, 0.3, 0.3888888888888889],
];

/// As `trec_eval` holds scores: 1e-9 is nothing to f32 near 0.1, 1e-7 is something, and the two zeros are one. `b` goes before `a`.
#[test]
fn cosines_tie_as_single_precision_does() {
    for (a, b, rank) in [(0.1 + 1e-9, 0.1, 2.0), (0.1 + 1e-7, 0.1, 1.0), (0.0, -0.0, 2.0)] {
        let found = ranked(&[a, b], &[1.0, 0.0], Ties::ById { ids: &["a", "b"], depth: None });
        close(found[2], 1.0 / rank);
    }
}

proptest::proptest! {
    /// Against the definition written down: documents sorted, then counted through.
    #[test]
    fn any_ranking_is_scored_by_the_definition(
        documents in proptest::collection::vec((0_u8..6, 0_u8..4), 1..30),
        depth in 1_usize..40,
    ) {
        let row: Vec<f64> = documents.iter().map(|(score, _)| f64::from(*score) / 5.0).collect();
        let grades: Vec<f64> = documents.iter().map(|(_, grade)| f64::from(*grade)).collect();
        let ids: Vec<String> = (0..row.len()).map(|d| (d * 37 % 101).to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(ids[b].cmp(ids[a])));
        let ranking: Vec<f64> = order.iter().map(|&d| grades[d]).collect();
        let wanted = by_definition(&ranking, depth);
        let found = ranked(&row, &grades, Ties::ById { ids: &ids, depth: Some(depth) });
        for (found, wanted) in found.iter().zip(wanted) {
            proptest::prop_assert!((found - wanted).abs() < 1e-12, "{} {}", found, wanted);
        }
    }
}

/// The figures of grades in the order of a ranking, of which so many documents count as found.
fn by_definition(ranking: &[f64], depth: usize) -> [f64; QUERY_FIGURES.len()] {
    let relevant = ranking.iter().filter(|grade| **grade > 0.0).count();
    if relevant == 0 {
        return [0.0; QUERY_FIGURES.len()];
    }
    let found = &ranking[..depth.min(ranking.len())];
    let gains = |grades: &[f64], k: usize| -> f64 {
        grades.iter().take(k).enumerate().map(|(rank, grade)| grade / (number(rank) + 2.0).log2()).sum()
    };
    let mut ideal = ranking.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let ndcg = |k: usize| gains(found, k) / gains(&ideal, k);
    let hits = |k: usize| number(found.iter().take(k).filter(|grade| **grade > 0.0).count());
    let precisions = (0..found.len()).filter(|&rank| found[rank] > 0.0).map(|rank| hits(rank + 1) / number(rank + 1));
    let first = found.iter().position(|grade| *grade > 0.0);
    [
        ndcg(10),
        precisions.sum::<f64>() / number(relevant),
        first.map_or(0.0, |rank| 1.0 / number(rank + 1)),
        ndcg(1),
        ndcg(100),
        hits(1) / number(relevant),
        hits(10) / number(relevant),
        hits(100) / number(relevant),
        hits(1),
        hits(10) / 10.0,
    ]
}
