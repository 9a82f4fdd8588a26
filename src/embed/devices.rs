//! Rows on several devices: shared out by tokens, with a schedule for each.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use super::Batch;
use super::passes::Passes;

/// Batches that wait to be saved, for each device.
const WAITING: usize = 2;

/// What one device has to do.
pub(super) struct Share<'a> {
    pub passes: Passes<'a>,
    /// Which of all rows those of `passes` are.
    pub rows: &'a [usize],
    pub workers: usize,
}

/// Divides rows into so many parts of nearly as many tokens. Neighbours in sorted order stay together: they share what they begin
/// with, and keys and values do not move between devices.
pub(super) fn divide(rows: &[&[u32]], parts: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| rows[row]);
    let total: usize = rows.iter().map(|row| row.len()).sum();
    let mut divided = vec![Vec::new(); parts];
    let mut before = 0;
    for row in order {
        // By the middle of the row: one that spans a border goes to the side that has more of it.
        let middle = 2 * before + rows[row].len();
        divided[(middle * parts / (2 * total).max(1)).min(parts - 1)].push(row);
        before += rows[row].len();
    }
    divided
}

/// Embeds all rows; `emit` runs on this thread, beside the devices.
pub(super) fn run(shares: &[Share<'_>], emit: &mut dyn FnMut(Batch) -> ControlFlow<()>) {
    let (sender, receiver) = sync_channel(WAITING * shares.len());
    std::thread::scope(|scope| {
        for share in shares {
            let sender = sender.clone();
            scope.spawn(move || {
                share.passes.run(share.workers, &mut |batch| match sender.send(share.named(batch)) {
                    Ok(()) => ControlFlow::Continue(()),
                    // Nobody listens any more: the work was ended early.
                    Err(_) => ControlFlow::Break(()),
                });
            });
        }
        drop(sender);
        for batch in receiver {
            if emit(batch).is_break() {
                break;
            }
        }
    });
}

impl Share<'_> {
    /// A batch with its rows among all.
    fn named(&self, mut batch: Batch) -> Batch {
        batch.rows.iter_mut().for_each(|row| *row = self.rows[*row]);
        batch.failed.iter_mut().for_each(|(row, _)| *row = self.rows[*row]);
        batch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_device_gets_its_share(
            rows in prop::collection::vec(prop::collection::vec(0_u32..3, 1..40), 0..60),
            parts in 1_usize..5,
        ) {
            let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
            let divided = divide(&rows, parts);
            let mut all: Vec<usize> = divided.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows.len()).collect::<Vec<_>>());
            let tokens = |part: &[usize]| part.iter().map(|&row| rows[row].len()).sum::<usize>();
            let (total, longest) = (rows.iter().map(|row| row.len()).sum::<usize>(), rows.iter().map(|row| row.len()).max().unwrap_or(0));
            for part in &divided {
                prop_assert!((tokens(part) * parts).abs_diff(total) <= longest * parts, "{} of {total} tokens", tokens(part));
            }
            for (part, next) in divided.iter().zip(&divided[1..]) {
                let (last, first) = (part.iter().map(|&row| rows[row]).max(), next.iter().map(|&row| rows[row]).min());
                prop_assert!(last.zip(first).is_none_or(|(last, first)| last <= first));
            }
        }
    }
}
