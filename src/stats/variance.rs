//! Where the differences between values of a grid come from: single factors, or two of them together.

use std::collections::BTreeSet;

use super::number;

/// One source of differences.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Places of the factors: one alone or two together; none for all that three and more do together.
    pub factors: Vec<usize>,
    /// Share of the values' variance. Range: 0..1.
    pub share: f64,
    /// The share that chance in the choice of samples alone would give it, on average.
    pub by_chance: f64,
    /// How likely so large a share is if the source has no effect.
    pub p_value: f64,
}

/// The analysis of variance of a complete grid. `levels[f][c]` is the level of factor `f` in cell `c`, from 0; every combination of
/// levels is one cell. `drawn[r][c]` is the cell's value on resample `r` of the samples, the same resamples for all cells.
///
/// Effects are tested against what resampling does to them: how often the effect on a resample differs from the observed one by as
/// much as that one differs from none, counting one more so that p is never 0. So nothing is assumed of how cells vary together on
/// the same samples. Empty where the values do not vary.
///
/// Source: Scheffé (1959), "The analysis of variance", chapter 4; Davison and Hinkley (1997), section 4.4, for the test.
pub fn sources(levels: &[Vec<usize>], values: &[f64], drawn: &[Vec<f64>]) -> Vec<Source> {
    let parts: Vec<Part> = subsets(levels.len()).map(|factors| Part::new(factors, levels, values.len())).collect();
    let observed = squares(&parts, values);
    let total: f64 = observed.iter().sum();
    if total.is_nan() || total <= 0.0 {
        return Vec::new();
    }
    let moved = |resample: &Vec<f64>| -> Vec<f64> { resample.iter().zip(values).map(|(drawn, value)| drawn - value).collect() };
    let by_chance: Vec<Vec<f64>> = drawn.iter().map(|resample| squares(&parts, &moved(resample))).collect();
    let source = |(place, squares): (usize, &f64)| {
        let chance = || by_chance.iter().map(|resample| resample[place]);
        let as_large = chance().filter(|chance| chance >= squares).count();
        Source {
            factors: parts.get(place).map(|part| part.factors.clone()).unwrap_or_default(),
            share: squares / total,
            by_chance: chance().sum::<f64>() / number(drawn.len().max(1)) / total,
            p_value: number(as_large + 1) / number(drawn.len() + 1),
        }
    };
    // Of two factors or fewer nothing is left.
    let shown = if levels.len() > 2 { observed.len() } else { observed.len() - 1 };
    observed.iter().enumerate().take(shown).map(source).collect()
}

/// The cells of a complete grid within one that is not: levels go, those with the largest share of combinations missing first,
/// until every combination of the others is there. Cells by their places.
pub fn complete(levels: &[Vec<usize>]) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..levels.first().map_or(0, Vec::len)).collect();
    loop {
        let present: Vec<BTreeSet<usize>> =
            levels.iter().map(|factor| kept.iter().map(|&cell| factor[cell]).collect()).collect();
        let all: usize = present.iter().map(BTreeSet::len).product();
        if kept.len() >= all {
            return kept;
        }
        let filled = |(factor, level): (usize, usize)| {
            let found = kept.iter().filter(|&&cell| levels[factor][cell] == level).count();
            (number(found * present[factor].len()) / number(all), factor, level)
        };
        let each = present.iter().enumerate().flat_map(|(factor, known)| known.iter().map(move |&level| (factor, level)));
        // The last of equals: what is written first stays.
        let emptiest = each.map(filled).reduce(|least, next| if next.0 <= least.0 { next } else { least });
        let Some((_, factor, level)) = emptiest else { return kept };
        kept.retain(|&cell| levels[factor][cell] != level);
    }
}

/// Single factors, then pairs of them.
fn subsets(factors: usize) -> impl Iterator<Item = Vec<usize>> {
    let pairs = (0..factors).flat_map(move |a| (a + 1..factors).map(move |b| vec![a, b]));
    (0..factors).map(|factor| vec![factor]).chain(pairs)
}

/// The cells that share levels of some factors.
struct Part {
    factors: Vec<usize>,
    /// The group of each cell.
    of: Vec<usize>,
    groups: usize,
}

impl Part {
    fn new(factors: Vec<usize>, levels: &[Vec<usize>], cells: usize) -> Self {
        let count = |factor: usize| levels[factor].iter().max().map_or(0, |last| last + 1);
        let of = (0..cells).map(|cell| factors.iter().fold(0, |group, &factor| group * count(factor) + levels[factor][cell]));
        Self { of: of.collect(), groups: factors.iter().map(|&factor| count(factor)).product(), factors }
    }

    /// The mean of each cell's group.
    fn means(&self, values: &[f64]) -> Vec<f64> {
        let (mut sums, mut counts) = (vec![0.0; self.groups], vec![0.0; self.groups]);
        for (&group, value) in self.of.iter().zip(values) {
            sums[group] += value;
            counts[group] += 1.0;
        }
        self.of.iter().map(|&group| sums[group] / counts[group]).collect()
    }
}

/// The sum over cells of each part's squared effect; then that of what no part explains.
fn squares(parts: &[Part], values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / number(values.len().max(1));
    let mut rest: Vec<f64> = values.iter().map(|value| value - mean).collect();
    // In a complete grid effects are at right angles: each part's is the mean, over its groups, of what smaller parts left.
    let mut found: Vec<f64> = Vec::with_capacity(parts.len() + 1);
    for part in parts {
        let effects = part.means(&rest);
        found.push(effects.iter().map(|effect| effect * effect).sum());
        rest.iter_mut().zip(effects).for_each(|(rest, effect)| *rest -= effect);
    }
    found.push(rest.iter().map(|rest| rest * rest).sum());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two by three by two, in the order of a plan.
    fn grid() -> Vec<Vec<usize>> {
        let cells: Vec<[usize; 3]> = (0..12).map(|cell| [cell / 6, cell / 2 % 3, cell % 2]).collect();
        (0..3).map(|factor| cells.iter().map(|cell| cell[factor]).collect()).collect()
    }

    /// `statsmodels.stats.anova.anova_lm(ols("y ~ C(a)*C(b)*C(c)", frame).fit())`'s `sum_sq`, statsmodels 0.15.0, over their sum.
    #[test]
    fn shares_agree_with_statsmodels() {
        let values = [0.61, 0.7, 0.55, 0.72, 0.5, 0.66, 0.8, 0.78, 0.65, 0.81, 0.7, 0.73];
        let found = sources(&grid(), &values, &[]);
        let wanted = [
            0.437556449626406,
            0.11101075621972,
            0.285819853846785,
            0.010509894079974,
            0.051317842187371,
            0.083422284259792,
            0.020362919779949,
        ];
        let factors: Vec<&[usize]> = found.iter().map(|source| source.factors.as_slice()).collect();
        assert_eq!(factors, [&[0][..], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[]]);
        let near = found.iter().zip(wanted).all(|(source, wanted)| (source.share - wanted).abs() < 1e-10);
        assert!(near, "{:?}", found.iter().map(|source| source.share).collect::<Vec<_>>());
        assert!((found.iter().map(|source| source.share).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    /// One factor moves values by 0.2, resamples by about 0.01: the others' shares are those of chance.
    #[test]
    fn chance_is_told_from_effects() {
        let levels = grid();
        let noise = |seed: usize, cell: usize| number((seed * 7919 + cell * 104_729 + seed * cell * 31) % 1000) / 1000.0 - 0.5;
        let values: Vec<f64> = (0..12).map(|cell| 0.2 * number(levels[0][cell]) + 0.02 * noise(1, cell)).collect();
        let drawn: Vec<Vec<f64>> =
            (2..1002).map(|seed| (0..12).map(|cell| values[cell] + 0.02 * noise(seed, cell)).collect()).collect();
        let found = sources(&levels, &values, &drawn);
        assert!(found[0].share > 0.98 && found[0].p_value < 0.002, "{:?}", found[0]);
        assert!(found[1..].iter().all(|source| source.p_value > 0.05 && source.by_chance < 0.01), "{found:?}");
    }

    #[test]
    fn values_that_do_not_vary_have_no_sources() {
        assert!(sources(&grid(), &[0.5; 12], &[]).is_empty());
        assert!(sources(&[], &[], &[]).is_empty());
    }

    #[test]
    fn what_is_not_complete_loses_its_emptiest_levels() {
        let levels = grid();
        let without = |gone: &[usize]| -> Vec<Vec<usize>> {
            levels.iter().map(|factor| (0..12).filter(|cell| !gone.contains(cell)).map(|cell| factor[cell]).collect()).collect()
        };
        assert_eq!(complete(&levels), (0..12).collect::<Vec<_>>());
        // Cell 4 is the first of the last level of the second factor, which has 3 of 4 cells left; the others have 5 of 6 or more.
        let kept = complete(&without(&[4]));
        assert_eq!(kept, [0, 1, 2, 3, 5, 6, 7, 8]);
        assert!(complete(&[Vec::new()]).is_empty());
    }
}
