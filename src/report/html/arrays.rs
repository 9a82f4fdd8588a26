//! Numbers of a page as base64 of little-endian arrays, each an element that the script decodes when it is first used.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Arrays by content: what several cells share is kept once.
#[derive(Default)]
pub struct Arrays {
    places: BTreeMap<(&'static str, Vec<u8>), usize>,
}

impl Arrays {
    /// The place of an array of counts, in as few bytes each as the largest needs.
    pub fn counts(&mut self, counts: &[usize]) -> usize {
        let largest = counts.iter().copied().max().unwrap_or(0);
        let (kind, bytes) = match largest {
            0..=0xff => ("u8", 1),
            0x100..=0xffff => ("u16", 2),
            _ => ("u32", 4),
        };
        let little = |count: &usize| (*count as u64).to_le_bytes().into_iter().take(bytes);
        self.keep(kind, counts.iter().flat_map(little).collect())
    }

    /// The place of an array of scores, as f32.
    #[expect(clippy::cast_possible_truncation, reason = "scores come from f32 vectors, and bars show less")]
    pub fn scores(&mut self, scores: &[f64]) -> usize {
        self.keep("f32", scores.iter().flat_map(|score| (*score as f32).to_le_bytes()).collect())
    }

    /// The place of an array of numbers as they are.
    pub fn numbers(&mut self, numbers: &[f64]) -> usize {
        self.keep("f64", numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    fn keep(&mut self, kind: &'static str, bytes: Vec<u8>) -> usize {
        let next = self.places.len();
        *self.places.entry((kind, bytes)).or_insert(next)
    }

    /// Adds one element for each array, in the order of their places.
    pub fn elements(&self, to: &mut String) {
        let mut arrays: Vec<(&usize, &str, &[u8])> =
            self.places.iter().map(|((kind, bytes), place)| (place, *kind, bytes.as_slice())).collect();
        arrays.sort_unstable();
        for (place, kind, bytes) in arrays {
            to.reserve(bytes.len().div_ceil(3) * 4 + 100);
            // Writing to a string cannot fail.
            let _ = write!(to, "<script type=\"text/plain\" id=\"array-{place}\" data-kind=\"{kind}\">");
            STANDARD.encode_string(bytes, to);
            to.push_str("</script>\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arrays_are_kept_once_and_small_counts_take_a_byte() {
        let mut arrays = Arrays::default();
        assert_eq!([arrays.counts(&[1, 255]), arrays.counts(&[1, 256]), arrays.counts(&[1, 255])], [0, 1, 0]);
        assert_eq!(arrays.scores(&[0.5]), 2);
        let wanted =
            [("u8", "Af8="), ("u16", "AQAAAQ=="), ("f32", "AAAAPw==")].into_iter().enumerate().map(|(i, (kind, text))| {
                format!("<script type=\"text/plain\" id=\"array-{i}\" data-kind=\"{kind}\">{text}</script>\n")
            });
        let mut elements = String::new();
        arrays.elements(&mut elements);
        assert_eq!(elements, wanted.collect::<String>());
    }
}
