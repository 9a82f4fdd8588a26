//! The cosines of texts with all of many other texts, exact and in blocks of whole rows.

use rayon::prelude::*;

use super::directions;
use crate::embeddings::Embeddings;
use crate::products::{self, Left, Out, Panels};

/// Cosines that are in memory at a time, unless one row has more. Unit: bytes.
const ROWS_BYTES: usize = 256 << 20;
/// Other texts that are laid out together, and how many such blocks are at a time.
const BLOCK: usize = 512;
const BLOCKS: usize = 16;
/// Texts that one thread multiplies at a time.
const ROWS: usize = 48;

/// Hands out the cosines of each text with every other one, in the order of the texts: the first text's place, and whole rows.
/// Shape of a block: `[texts, others]`. A vector of zeros has cosine 0 with everything; values that are not finite were refused.
///
/// Determinism: each cosine is one sum in the order of the coordinates.
pub(super) fn cosines(texts: &Embeddings, others: &Embeddings, take: &mut dyn FnMut(usize, &[f64])) {
    let (count, dim) = (others.len(), texts.dim());
    let together = (ROWS_BYTES / (count * size_of::<f64>()).max(1)).clamp(1, texts.len().max(1));
    let mut rows = vec![0.0; together * count];
    for first in (0..texts.len()).step_by(together) {
        let last = texts.len().min(first + together);
        let wide = directions(texts, first..last);
        let rows = &mut rows[..(last - first) * count];
        for start in (0..count).step_by(BLOCK * BLOCKS) {
            let starts: Vec<usize> = (start..count.min(start + BLOCK * BLOCKS)).step_by(BLOCK).collect();
            let blocks: Vec<Panels<f64>> = starts.par_iter().map(|&start| panels(others, start)).collect();
            let wide = wide.par_chunks(ROWS * dim);
            rows.par_chunks_mut(ROWS * count).zip(wide).for_each(|(rows, wide)| {
                for (&start, panels) in starts.iter().zip(&blocks) {
                    let left = Left { values: wide, rows: wide.len() / dim, stride: dim, inputs: dim };
                    let outputs = panels.outputs;
                    products::multiply(
                        left,
                        panels,
                        &mut Out { values: &mut rows[start..], stride: count, outputs, continued: false },
                    );
                }
            });
        }
        rows.par_iter_mut().for_each(|cosine| *cosine = cosine.clamp(-1.0, 1.0));
        take(first, rows);
    }
}

/// Unit vectors of some texts, all zeros where there is no direction.
fn directions(texts: &Embeddings, some: std::ops::Range<usize>) -> Vec<f64> {
    let dim = texts.dim();
    let mut wide = vec![0.0; some.len() * dim];
    wide.par_chunks_exact_mut(dim).zip(some).for_each(|(wide, text)| {
        // Zeros stay where a vector has no direction.
        let _ = directions::direction(texts.row(text), &[dim], None, wide);
    });
    wide
}

fn panels(others: &Embeddings, start: usize) -> Panels<f64> {
    let (dim, end) = (others.dim(), others.len().min(start + BLOCK));
    let wide = directions(others, start..end);
    Panels::new(dim, end - start, |i, other| wide[other * dim + i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cosine_comes_once_and_in_its_place() {
        // At angle i, of length i + 1; the last has no direction.
        let angle = |i: usize| crate::stats::number(i) / 100.0;
        #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
        let at = |i: usize| [angle(i).cos() as f32, angle(i).sin() as f32].map(|value| value * (1.0 + angle(i) as f32));
        let vectors = |count: usize| Embeddings::from_values(2, (0..count).flat_map(at).chain([0.0; 2]).collect());
        let (texts, others) = (vectors(100), vectors(1200));
        let mut seen = 0;
        cosines(&texts, &others, &mut |first, rows| {
            for (text, row) in rows.chunks_exact(others.len()).enumerate() {
                seen += 1;
                for (other, &cosine) in row.iter().enumerate() {
                    let zero = first + text == 100 || other == 1200;
                    let wanted = if zero { 0.0 } else { (angle(first + text) - angle(other)).cos() };
                    assert!((cosine - wanted).abs() < 1e-6, "{} {other}: {cosine} {wanted}", first + text);
                }
            }
        });
        assert_eq!(seen, texts.len());
    }
}
