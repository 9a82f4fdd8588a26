//! Parts of a set of texts that take turns at being asked: scikit-learn's stratified folds, to the text.

use rand_mt::Mt;

/// A number from 0 to `most`, as numpy's `random_interval` draws it: words cut to the bits of `most` until one is small enough.
pub(super) fn up_to(generator: &mut Mt, most: usize) -> usize {
    let mask = (most + 1).next_power_of_two() - 1;
    loop {
        let word = generator.next_u32() as usize & mask;
        if word <= most {
            return word;
        }
    }
}

/// Shuffles as numpy's `RandomState.shuffle` does.
pub(super) fn shuffle<T>(generator: &mut Mt, values: &mut [T]) {
    for last in (1..values.len()).rev() {
        values.swap(last, up_to(generator, last));
    }
}

/// The fold of each text: scikit-learn's `StratifiedKFold(folds, shuffle=True, random_state=seed)`.
pub(super) fn stratified(labels: &[usize], folds: usize, seed: u32) -> Vec<usize> {
    // Classes by their first text, and texts of each.
    let mut classes: Vec<usize> = Vec::new();
    labels.iter().for_each(|label| {
        if !classes.contains(label) {
            classes.push(*label);
        }
    });
    let mut ordered: Vec<usize> = labels.iter().filter_map(|label| classes.iter().position(|class| class == label)).collect();
    ordered.sort_unstable();
    let mut generator = Mt::new(seed);
    let mut of = vec![0; labels.len()];
    for (class, label) in classes.iter().enumerate() {
        // Texts sorted by class take the folds in turn: so many of this class fall to each fold.
        let share = |fold: usize| ordered.iter().skip(fold).step_by(folds).filter(|known| **known == class).count();
        let mut turns: Vec<usize> = (0..folds).flat_map(|fold| std::iter::repeat_n(fold, share(fold))).collect();
        shuffle(&mut generator, &mut turns);
        let own = (0..labels.len()).filter(|text| labels[*text] == *label);
        own.zip(turns).for_each(|(text, fold)| of[text] = fold);
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.9.1: `StratifiedKFold(3, shuffle=True, random_state=1111)` on 14 labels, the fold that each text is tested in.
    #[test]
    fn folds_are_those_of_scikit_learn() {
        let labels = [2, 0, 0, 1, 2, 0, 0, 0, 1, 1, 2, 0, 1, 0];
        assert_eq!(stratified(&labels, 3, 1111), FOLDS);
    }

    const FOLDS: [usize; 14] = [2, 2, 1, 2, 1, 0, 0, 1, 1, 0, 0, 0, 1, 2];

    #[test]
    fn every_fold_has_its_share_of_each_label() {
        let labels: Vec<usize> = (0..101).map(|i| usize::from(i % 4 == 0)).collect();
        let folds = stratified(&labels, 10, 7);
        for fold in 0..10 {
            let of = |label: usize| (0..101).filter(|&i| folds[i] == fold && labels[i] == label).count();
            // 26 and 75 texts in ten folds.
            assert!((2..=3).contains(&of(1)) && (7..=8).contains(&of(0)), "fold {fold}: {} {}", of(0), of(1));
        }
    }

    #[test]
    fn more_folds_than_texts_leave_some_empty() {
        let folds = stratified(&[0, 1], 3, 1);
        assert!(folds.iter().all(|fold| *fold < 3));
    }
}
