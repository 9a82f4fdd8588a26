//! Labels by the nearest texts whose label is known.

use rayon::prelude::*;

use super::lesson::Lesson;
use super::search::cosines;
use super::{Evaluation, Said, TaskError};
use crate::stats::number;

/// Each text gets the label that most of its `k` nearest train texts by cosine have; scores are shares of the votes.
///
/// Of train texts that are equally near, the first ones vote; of labels with equally many votes, the first in the slice's order
/// wins. Where neither happens, that is scikit-learn's `KNeighborsClassifier(k, metric="cosine")`.
///
/// # Errors
/// Inputs that cannot be scored: see [`TaskError`].
pub fn nearest_neighbours(lesson: &Lesson<'_>, k: usize) -> Result<Evaluation, TaskError> {
    lesson.check()?;
    let Lesson { train, known, texts, gold, labels, seed } = *lesson;
    if k > train.len() {
        return Err(TaskError::FewTexts { k, texts: train.len() });
    }
    let mut scores = vec![0.0; texts.len() * labels];
    cosines(texts, train, &mut |first, rows| {
        let scores = &mut scores[first * labels..][..rows.len() / train.len() * labels];
        scores.par_chunks_exact_mut(labels).zip(rows.par_chunks_exact(train.len())).for_each(|(scores, row)| {
            for neighbour in nearest(row, k) {
                scores[known[neighbour]] += 1.0;
            }
            // Divided at the end: equal votes are equal scores.
            scores.iter_mut().for_each(|votes| *votes /= number(k));
        });
    });
    Ok(Said::of(texts, train).evaluation(scores, gold, labels, seed))
}

/// The places of the `k` highest cosines, in any order; of equal ones, the first places.
fn nearest(row: &[f64], k: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..row.len()).collect();
    if k < places.len() {
        places.select_nth_unstable_by(k, |&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    }
    places.truncate(k);
    places
}

#[cfg(test)]
mod tests {
    use super::super::Vectors;
    use super::*;
    use crate::embeddings::Embeddings;

    /// Vectors in the plane at these angles. Unit: degrees.
    fn at(degrees: &[f64]) -> Embeddings {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
        let values = degrees.iter().flat_map(|angle| [angle.to_radians().cos() as f32, angle.to_radians().sin() as f32]);
        Embeddings::from_values(2, values.collect())
    }

    fn lesson<'a>(train: &'a Embeddings, known: &'a [usize], texts: &'a Embeddings) -> Lesson<'a> {
        Lesson { train, known, texts, gold: &[0, 1], labels: 3, seed: 1 }
    }

    /// Near 0 degrees stand 0, 10 and 20; near 60 degrees 50, 75 and, of two that are equally far, the first.
    #[test]
    fn neighbours_by_hand() {
        let (train, texts) = (at(&[0.0, 10.0, 20.0, 50.0, 75.0]), at(&[0.0, 60.0]));
        let found = nearest_neighbours(&lesson(&train, &[0, 0, 1, 1, 2], &texts), 3).unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(found.scores, [2.0 * third, third, 0.0, 0.0, 2.0 * third, third]);
        assert_eq!(found.predictions.iter().map(|p| p.predicted).collect::<Vec<_>>(), [0, 1]);
        assert!(found.metrics.iter().all(|metric| metric.name != "label_anisotropy"));
    }

    #[test]
    fn ties_go_to_the_first_text_and_the_first_label() {
        let (train, texts) = (at(&[30.0, 30.0, 30.0]), at(&[0.0, 90.0]));
        let found = nearest_neighbours(&lesson(&train, &[2, 1, 0], &texts), 1).unwrap();
        assert_eq!(found.scores, [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        let two = nearest_neighbours(&lesson(&train, &[2, 1, 0], &texts), 2).unwrap();
        assert_eq!((two.predictions[0].predicted, two.predictions[0].tied), (1, true));
    }

    #[test]
    fn vectors_of_zeros_and_of_one_kind_have_an_answer() {
        let (train, texts) = (Embeddings::from_values(2, vec![0.0; 6]), Embeddings::from_values(2, vec![0.0, 0.0, 1.0, 0.0]));
        let found = nearest_neighbours(&lesson(&train, &[1, 1, 1], &texts), 3).unwrap();
        assert_eq!(found.predictions.iter().map(|p| p.predicted).collect::<Vec<_>>(), [1, 1]);
        let zero = found.metrics.iter().find(|metric| metric.name == "zero_vectors").unwrap().estimate.unwrap();
        assert_eq!((zero.value, zero.n), (0.8, 5));
    }

    #[test]
    fn too_few_texts_and_broken_vectors_are_refused() {
        let (train, texts) = (at(&[0.0, 1.0]), at(&[0.0, 1.0]));
        assert_eq!(
            nearest_neighbours(&lesson(&train, &[0, 1], &texts), 3).unwrap_err(),
            TaskError::FewTexts { k: 3, texts: 2 }
        );
        let broken = Embeddings::from_values(2, vec![1.0, 0.0, f32::NAN, 0.0]);
        let refused = nearest_neighbours(&lesson(&broken, &[0, 1], &texts), 1).unwrap_err();
        assert_eq!(refused, TaskError::NotFinite { of: Vectors::Train, row: 1 });
    }
}
