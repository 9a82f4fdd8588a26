//! What a report says of slices of pairs: similarity instead of labels, so no confusion and no margins.

mod agreement;
mod answer;
mod contest;
mod leaderboard;
mod worst;

#[cfg(test)]
pub mod tests;

pub use agreement::{diagnosis, similarity};
pub use answer::answer;
pub use contest::{PairContest, PairEntry, hundredths, with_interval};
pub use leaderboard::{leaderboard, worth};
pub use worst::worst;
