//! Corrections of p-values for how many comparisons were made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number;

/// What keeps many comparisons from finding differences by chance alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Correction {
    /// Any difference that is called significant is by chance with at most the level's probability.
    #[default]
    Holm,
    /// Of the differences that are called significant, at most the level's share is by chance, in expectation. Finds more among
    /// many.
    BenjaminiHochberg,
}

impl Correction {
    /// As a column's head has it: `Holm`, `BH`.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Holm => "Holm",
            Self::BenjaminiHochberg => "BH",
        }
    }

    /// As a sentence has it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Holm => "Holm",
            Self::BenjaminiHochberg => "Benjamini and Hochberg",
        }
    }

    /// The p-values of as many comparisons, adjusted, in the order given.
    ///
    /// Source: Holm (1979), "A simple sequentially rejective multiple test procedure"; Benjamini and Hochberg (1995), "Controlling
    /// the false discovery rate".
    pub fn adjust(self, p_values: &[f64]) -> Vec<f64> {
        let all = p_values.len();
        let mut order: Vec<usize> = (0..all).collect();
        order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]).then(i.cmp(&j)));
        let mut adjusted = vec![1.0; all];
        match self {
            Self::Holm => {
                let mut largest: f64 = 0.0;
                for (rank, &i) in order.iter().enumerate() {
                    largest = largest.max(p_values[i] * number(all - rank)).min(1.0);
                    adjusted[i] = largest;
                }
            }
            Self::BenjaminiHochberg => {
                let mut smallest: f64 = 1.0;
                for (rank, &i) in order.iter().enumerate().rev() {
                    smallest = smallest.min(p_values[i] * number(all) / number(rank + 1));
                    adjusted[i] = smallest;
                }
            }
        }
        adjusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(correction: Correction, p_values: &[f64], wanted: &[f64]) {
        let adjusted = correction.adjust(p_values);
        let same = adjusted.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-15);
        assert!(same && adjusted.len() == wanted.len(), "{adjusted:?}, wanted {wanted:?}");
    }

    #[test]
    fn corrections_by_hand() {
        let p_values = [0.03, 0.2, 0.01, 0.02];
        // Sorted 0.01, 0.02, 0.03, 0.2: times 4, 3, 2, 1, each at least the one before.
        close(Correction::Holm, &p_values, &[0.06, 0.2, 0.04, 0.06]);
        // Times 4/1, 4/2, 4/3, 4/4, each at most the one after.
        close(Correction::BenjaminiHochberg, &p_values, &[0.04, 0.2, 0.04, 0.04]);
        for correction in [Correction::Holm, Correction::BenjaminiHochberg] {
            close(correction, &[], &[]);
            close(correction, &[0.3], &[0.3]);
        }
        close(Correction::Holm, &[0.7, 0.6], &[1.0, 1.0]);
        close(Correction::BenjaminiHochberg, &[0.7, 0.6], &[0.7, 0.7]);
    }

    /// `statsmodels.stats.multitest.multipletests(p, method=...)[1]`, statsmodels 0.15.0, with `holm` and `fdr_bh`.
    #[test]
    fn corrections_agree_with_statsmodels() {
        let p_values = [0.0001, 0.21, 0.04, 0.04, 0.9, 0.003, 0.012];
        close(Correction::Holm, &p_values, &[0.0007, 0.42, 0.16, 0.16, 0.9, 0.018, 0.06]);
        close(Correction::BenjaminiHochberg, &p_values, &[0.0007, 0.245, 0.056, 0.056, 0.9, 0.0105, 0.028]);
    }
}
