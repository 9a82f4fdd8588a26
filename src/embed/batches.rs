//! Which rows go through the model together.

/// How much of `claimed` all rows do have in common, leaving every row at least one token of its own.
pub(super) fn common_beginning(rows: &[&[u32]], claimed: usize) -> usize {
    let [first, rest @ ..] = rows else { return 0 };
    let shortest = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let longest = claimed.min(shortest.saturating_sub(1));
    rest.iter().fold(longest, |common, row| first[..common].iter().zip(*row).take_while(|(a, b)| a == b).count())
}

/// Indices of rows by length, longest first, in batches of at most `budget` tokens or a single row.
///
/// The longest come first so that memory is short at once or never; equal lengths keep their order.
pub(super) fn batches(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for row in order {
        match batches.last_mut() {
            Some(batch) if lengths[row] <= room => {
                batch.push(row);
                room -= lengths[row];
            }
            _ => {
                batches.push(vec![row]);
                room = budget.saturating_sub(lengths[row]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_keeps_a_token_of_its_own() {
        assert_eq!(common_beginning(&[&[1, 2, 3, 4], &[1, 2, 3, 5], &[1, 2, 9]], 9), 2);
        assert_eq!(common_beginning(&[&[1, 2, 3, 4], &[1, 2, 3, 5]], 1), 1);
        assert_eq!(common_beginning(&[&[1, 2, 3], &[1, 2]], 2), 1);
        assert_eq!(common_beginning(&[&[1, 2, 3]], 3), 2);
        assert_eq!(common_beginning(&[], 3), 0);
    }

    #[test]
    fn what_is_left_makes_the_same_batches_again() {
        let lengths: Vec<usize> = (0..40).map(|i| 1 + i * 7 % 13).collect();
        let all = batches(&lengths, 20);
        let done: Vec<usize> = all[..3].concat();
        let left: Vec<usize> = (0..lengths.len()).filter(|row| !done.contains(row)).collect();
        let again = batches(&left.iter().map(|&row| lengths[row]).collect::<Vec<_>>(), 20);
        let again: Vec<Vec<usize>> = again.into_iter().map(|batch| batch.into_iter().map(|i| left[i]).collect()).collect();
        assert_eq!(again, all[3..]);
    }

    #[test]
    fn batches_hold_every_row_once_within_the_budget() {
        let lengths = [3, 9, 1, 4, 4, 2];
        assert_eq!(batches(&lengths, 8), [vec![1], vec![3, 4], vec![0, 5, 2]]);
        assert_eq!(batches(&lengths, 1).len(), 6);
        assert_eq!(batches(&lengths, 100).len(), 1);
    }
}
